"""Is one method better than another? Paired tests, correction for many tests, and bootstrap intervals.

A score that is undefined (None or NaN) has no part in anything: a pair in which one side is undefined is dropped and
counted (``num_dropped``); one in which both are is no pair. All tests are two-tailed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 10_000
CONFIDENCE = 0.95
SIGNIFICANCE = ((0.001, "***"), (0.01, "**"), (0.05, "*"))
BLOCK_NUMBERS = 2**21  # weights that are in memory at once

Numbers = npt.NDArray[np.float64]
Scores = Sequence[float | None] | Numbers


class Interval(NamedTuple):
    """A confidence interval."""

    low: float
    high: float


@dataclass(frozen=True)
class Pairs:
    """Two arrays ``(N,)`` of defined scores, and how many pairs were dropped."""

    one: Numbers
    other: Numbers
    num_dropped: int


@dataclass(frozen=True)
class PairedTest:
    """The statistic and the two-tailed p of a paired test; None where the pairs cannot be tested."""

    statistic: float | None
    p: float | None


def as_numbers(scores: Scores) -> Numbers:
    """``(N,)`` float64 with NaN for None."""
    return np.array([np.nan if score is None else score for score in scores], np.float64)


def defined_pairs(one: Scores, other: Scores) -> Pairs:
    """The pairs of which both sides are defined; ValueError for scores of different numbers."""
    a, b = as_numbers(one), as_numbers(other)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} scores are no pairs")
    known = np.isfinite(a), np.isfinite(b)
    both = known[0] & known[1]
    return Pairs(a[both], b[both], int((known[0] ^ known[1]).sum()))


def paired_t_test(one: Scores, other: Scores) -> PairedTest:
    """Student's t-test of pairs (``scipy.stats.ttest_1samp`` of the differences): is the mean difference zero?

    If no pair differs, t is 0 and p is 1. Fewer than two pairs, or differences that are all the same, cannot be tested.
    """
    from scipy import stats

    difference = _differences(one, other)
    if len(difference) < 2:
        return PairedTest(None, None)
    if not difference.any():
        return PairedTest(0.0, 1.0)
    if np.ptp(difference) == 0:
        return PairedTest(None, None)
    test = stats.ttest_1samp(difference, 0.0)
    return PairedTest(float(test.statistic), float(test.pvalue))


def wilcoxon_signed_rank(one: Scores, other: Scores) -> PairedTest:
    """Wilcoxon's signed-rank test (``scipy.stats.wilcoxon``): are the differences symmetric about zero?

    Pairs that do not differ are left out (Wilcoxon's own rule); p is exact for few pairs and normal for many. If no
    pair differs, p is 1. Fewer than two pairs cannot be tested.
    """
    from scipy import stats

    difference = _differences(one, other)
    if len(difference) < 2:
        return PairedTest(None, None)
    if not difference.any():
        return PairedTest(0.0, 1.0)
    test = stats.wilcoxon(difference[difference != 0])
    return PairedTest(float(test.statistic), float(test.pvalue))


def _differences(one: Scores, other: Scores) -> Numbers:
    """Of the defined pairs; rounded far below any score's precision, so that equal ones are equal in floats too."""
    pairs = defined_pairs(one, other)
    return np.round(pairs.one - pairs.other, 12)


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """The p of each of several tests, corrected so that any false alarm is as rare as one of a single test.

    The i-th smallest of m values is multiplied by m - i + 1; none ends up below a smaller one, or above 1 (Holm,
    Scand J Stat 1979). A test that could not be made (None) does not count.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    largest = 0.0
    for rank, (p, place) in enumerate(known):
        largest = max(largest, min(1.0, (len(known) - rank) * p))
        corrected[place] = largest
    return corrected


def significance_mark(p: float | None) -> str:
    """``***`` for p < 0.001, ``**`` for p < 0.01, ``*`` for p < 0.05, else nothing."""
    return next((mark for limit, mark in SIGNIFICANCE if p is not None and p < limit), "")


def bootstrap_mean(scores: Scores, groups: Sequence[int] | None = None, seed: int = 0) -> Interval | None:
    """The percentile interval (95 %) of the mean of the defined scores; None for fewer than two groups with one.

    ``groups`` numbers what is drawn together, such as the subject of each score: scores of one subject are not
    independent. Without it each score is drawn by itself.
    """
    values = as_numbers(scores)
    members = np.arange(len(values)) if groups is None else np.asarray(groups, np.intp)
    known = np.isfinite(values)
    sums: Numbers = np.bincount(members, weights=np.where(known, values, 0.0)).astype(np.float64)
    counts: Numbers = np.bincount(members, weights=known).astype(np.float64)
    return bootstrap_ratios(sums[:, None], counts[:, None], seed)[0]


def bootstrap_difference(
    one: Scores, other: Scores, groups: Sequence[int] | None = None, seed: int = 0
) -> Interval | None:
    """The percentile interval (95 %) of the mean of ``one - other`` over the pairs in which both are defined."""
    a, b = as_numbers(one), as_numbers(other)
    if a.shape != b.shape:
        raise ValueError(f"{len(a)} and {len(b)} scores are no pairs")
    return bootstrap_mean(a - b, groups, seed)


def bootstrap_ratios(sums: Numbers, counts: Numbers, seed: int = 0) -> list[Interval | None]:
    """The percentile intervals (95 %) of ``K`` means over ``N`` groups, all from the same draws of groups.

    ``sums`` and ``counts`` ``(N, K)`` are the sum and the number of the defined scores of each group. Each of 10,000
    times ``N`` groups are drawn with replacement, and a mean is the sum of what was drawn over its number (Efron and
    Tibshirani 1993, chapter 13); draws without any defined score do not count. None where fewer than two groups
    have scores. The same ``seed`` gives the same interval.
    """
    num_groups, num_means = sums.shape
    if not num_groups:
        return [None] * num_means
    random = np.random.default_rng(seed)
    means = np.empty((RESAMPLES, num_means))
    rows = max(1, BLOCK_NUMBERS // num_groups)
    for start in range(0, RESAMPLES, rows):
        drawn = random.integers(0, num_groups, (min(rows, RESAMPLES - start), num_groups))
        drawn += num_groups * np.arange(len(drawn))[:, None]
        weights = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
        numbers = weights @ counts
        means[start : start + len(drawn)] = np.where(numbers > 0, weights @ sums / np.maximum(numbers, 1), np.nan)
    tail = 50 * (1 - CONFIDENCE)
    enough = (counts > 0).sum(axis=0) > 1
    low, high = np.zeros(num_means), np.zeros(num_means)
    if enough.any():
        low[enough], high[enough] = np.nanpercentile(means[:, enough], (tail, 100 - tail), axis=0)
    bounds = zip(enough.tolist(), low.tolist(), high.tolist(), strict=True)
    return [Interval(first, last) if known else None for known, first, last in bounds]
