"""Textbook formulae, all sign patterns of small samples, a hand-computed Holm example, and scipy."""

from __future__ import annotations

from itertools import product
from math import sqrt

import numpy as np
import pytest
from scipy import stats

from autoseg.evaluation.statistics import (
    Interval,
    PairedTest,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_ratios,
    defined_pairs,
    holm,
    paired_t_test,
    significance_mark,
    wilcoxon_signed_rank,
)

ONE = [0.81, 0.90, 0.74, 0.88, 0.93, 0.79, 0.85, 0.60]
OTHER = [0.78, 0.91, 0.70, 0.80, 0.91, 0.74, 0.79, 0.53]


def test_pairs_with_one_undefined_side_are_dropped_and_counted() -> None:
    pairs = defined_pairs([1.0, None, 3.0, None, float("nan"), 6.0], [2.0, 5.0, None, None, 4.0, 1.0])
    assert (pairs.one.tolist(), pairs.other.tolist(), pairs.num_dropped) == ([1, 6], [2, 1], 3)
    with pytest.raises(ValueError, match="2 and 3 scores are no pairs"):
        defined_pairs([1, 2], [1, 2, 3])


def test_paired_t_is_the_mean_difference_over_its_standard_error() -> None:
    difference = [a - b for a, b in zip(ONE, OTHER, strict=True)]
    mean = sum(difference) / 8
    deviation = sqrt(sum((d - mean) ** 2 for d in difference) / 7)
    t = mean / (deviation / sqrt(8))
    test = paired_t_test([*ONE, None], [*OTHER, 0.5])
    assert test.statistic == pytest.approx(t, rel=1e-12)
    assert test.p == pytest.approx(2 * stats.t.sf(abs(t), 7), rel=1e-9)
    assert test.p == pytest.approx(stats.ttest_rel(ONE, OTHER).pvalue, rel=1e-9)
    assert paired_t_test(OTHER, ONE).p == pytest.approx(test.p, rel=1e-12)


def test_wilcoxon_p_is_the_share_of_sign_patterns_that_are_as_extreme() -> None:
    difference = np.array([0.03, -0.01, 0.04, 0.08, 0.02, 0.05, -0.06, 0.07])
    ranks = np.argsort(np.argsort(np.abs(difference))) + 1
    observed = min(ranks[difference > 0].sum(), ranks[difference < 0].sum())
    sums = [ranks[np.array(signs)].sum() for signs in product([True, False], repeat=8)]
    expected = 2 * np.mean([total <= observed for total in sums])
    test = wilcoxon_signed_rank(difference, np.zeros(8))
    assert (test.statistic, test.p) == (observed, pytest.approx(expected, rel=1e-12))
    with_equal_pair = wilcoxon_signed_rank([*difference, 0.5], [*np.zeros(8), 0.5])
    assert with_equal_pair == test


def test_what_cannot_be_tested_has_no_p() -> None:
    for test in (paired_t_test, wilcoxon_signed_rank):
        assert test([], []) == PairedTest(None, None)
        assert test([0.5, None], [0.4, 0.3]) == PairedTest(None, None)
        assert test([0.5, 0.7], [0.5, 0.7]) == PairedTest(0.0, 1.0)
    assert paired_t_test([2.0, 3.0, 4.0], [1.0, 2.0, 3.0]) == PairedTest(None, None)
    assert 0.8 - 0.7 != 0.3 - 0.2
    assert paired_t_test([0.8, 0.3], [0.7, 0.2]) == PairedTest(None, None)
    assert wilcoxon_signed_rank([0.8, 0.3, 0.5], [0.7, 0.2, 0.7]) == wilcoxon_signed_rank([1, 1, 0], [0, 0, 2])


def test_holm_by_hand() -> None:
    # Sorted: 0.005 x 4, 0.01 x 3, 0.03 x 2, and 0.04 x 1 = 0.04, which must not be below 0.06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, None, 0.6]) == [1.0, None, 1.0]
    assert holm([]) == []
    assert holm([0.02]) == [0.02]


def test_marks_are_strict() -> None:
    assert [significance_mark(p) for p in (0.0009, 0.001, 0.009, 0.01, 0.049, 0.05, 1.0, None)] == [
        *("***", "**", "**", "*", "*", "", "", "")
    ]


def test_bootstrap_interval_of_a_large_sample_is_the_normal_one() -> None:
    values = np.random.default_rng(3).normal(5, 2, 400)
    interval = bootstrap_mean(values)
    assert interval is not None
    half = 1.96 * values.std() / sqrt(400)
    assert interval == pytest.approx((values.mean() - half, values.mean() + half), abs=0.05 * half)


def test_bootstrap_agrees_with_scipy_on_a_small_skewed_sample() -> None:
    theirs = stats.bootstrap((ONE,), np.mean, method="percentile", n_resamples=20_000, rng=1).confidence_interval
    interval = bootstrap_mean([*ONE, None])
    assert interval is not None
    # One more case is drawn, which has no score: the interval is a little wider than that of eight of eight.
    assert interval == pytest.approx((theirs.low, theirs.high), abs=0.1 * (theirs.high - theirs.low))
    assert bootstrap_mean(ONE) == pytest.approx((theirs.low, theirs.high), abs=0.03 * (theirs.high - theirs.low))


def test_bootstrap_of_two_values_is_known() -> None:
    assert bootstrap_mean([1.0, 3.0]) == Interval(1.0, 3.0)  # each with probability 1/4


def test_the_same_seed_gives_the_same_interval() -> None:
    assert bootstrap_mean(ONE, seed=7) == bootstrap_mean(ONE, seed=7)
    assert bootstrap_mean(ONE, seed=7) != bootstrap_mean(ONE, seed=8)


def test_scores_of_a_group_are_drawn_together() -> None:
    repeated = [value for value in ONE for _ in range(5)]
    groups = [number for number in range(8) for _ in range(5)]
    assert bootstrap_mean(repeated, groups) == pytest.approx(bootstrap_mean(ONE), rel=1e-12)
    alone, together = bootstrap_mean(repeated), bootstrap_mean(repeated, groups)
    assert alone is not None
    assert together is not None
    assert (alone.high - alone.low) < 0.6 * (together.high - together.low)


def test_difference_is_that_of_the_pairs() -> None:
    interval = bootstrap_difference(ONE, OTHER)
    assert interval == bootstrap_mean([a - b for a, b in zip(ONE, OTHER, strict=True)])
    assert bootstrap_difference([*ONE, None], [*OTHER, 0.1]) == bootstrap_mean([*np.subtract(ONE, OTHER), None])
    with pytest.raises(ValueError, match="are no pairs"):
        bootstrap_difference([1.0], [1.0, 2.0])


def test_too_few_values_have_no_interval() -> None:
    assert bootstrap_mean([]) is None
    assert bootstrap_mean([0.5, None]) is None
    assert bootstrap_mean([0.5, 0.6], groups=[3, 3]) is None


def test_means_drawn_together_equal_those_drawn_one_by_one() -> None:
    rng = np.random.default_rng(0)
    sums, counts = rng.normal(size=(9, 4)), rng.integers(0, 3, (9, 4)).astype(float)
    together = bootstrap_ratios(sums * (counts > 0), counts, seed=2)
    for column in range(4):
        place = slice(column, column + 1)
        (alone,) = bootstrap_ratios((sums * (counts > 0))[:, place], counts[:, place], seed=2)
        assert together[column] == pytest.approx(alone, rel=1e-9)
