"""From certainty to the Dice to expect."""

from itertools import pairwise

import numpy as np
import pytest

from autoseg.evaluation.expected_dice import fit_curve, isotonic_knots


def min_max(values):
    """The isotonic regression by its formula: the largest of the smallest means over what surrounds a value."""
    number = len(values)
    return [max(min(np.mean(values[j : k + 1]) for k in range(i, number)) for j in range(i + 1)) for i in range(number)]


def test_the_levels_are_those_of_isotonic_regression():
    random = np.random.default_rng(0)
    certainty = np.sort(random.random(40))
    dice = np.clip(certainty + random.normal(0, 0.2, 40), 0, 1)
    levels, inverse = np.unique(np.round(min_max(dice), 12), return_inverse=True)
    knots = isotonic_knots(certainty, dice)
    np.testing.assert_allclose(knots[1], levels)
    np.testing.assert_allclose(knots[0], [certainty[inverse == level].mean() for level in range(len(levels))])


def test_equal_certainties_count_as_their_mean():
    knots = isotonic_knots(np.array([0.5, 0.5, 0.5, 0.9]), np.array([0.2, 0.4, 0.6, 0.8]))
    np.testing.assert_allclose(knots, [[0.5, 0.9], [0.4, 0.8]])


def truth(certainty):
    """A network that is surer than it is right: certainty 0.95 means 0.85, 0.7 means 0.5."""
    return 0.5 + 1.4 * (certainty - 0.7)


def test_a_network_that_is_too_sure_is_put_right_and_the_interval_holds():
    """Nine new cases of ten lie in the interval, over many cross-validations of 40 cases."""
    random = np.random.default_rng(1)
    inside, bias = [], []
    for _ in range(60):
        certainty = random.uniform(0.7, 0.98, 90)
        dice = truth(certainty) + random.normal(0, 0.03, 90)
        curve = fit_curve(list(zip(certainty[:40], dice[:40], strict=True)))
        expected = [curve.at(one) for one in certainty[40:]]
        inside += [one.low <= score <= one.high for one, score in zip(expected, dice[40:], strict=True)]
        bias += [one.dice - truth(sure) for one, sure in zip(expected, certainty[40:], strict=True)]
    assert 0.88 < np.mean(inside) < 0.96
    assert abs(np.mean(bias)) < 0.005
    assert np.abs(bias).mean() < 0.03


def test_surer_is_never_worse_and_everything_is_a_share():
    random = np.random.default_rng(2)
    curve = fit_curve([(one, one**3) for one in random.uniform(0.3, 1, 30)])
    found = [curve.at(one) for one in np.linspace(0, 1, 101)]
    assert all(a.dice <= b.dice for a, b in pairwise(found))
    assert all(0 <= one.low <= one.dice <= one.high <= 1 for one in found)
    assert {one.num_cases for one in found} == {30}


def test_less_sure_than_any_case_that_was_seen_may_be_nothing():
    curve = fit_curve([(0.8 + 0.005 * number, 0.85) for number in range(20)])
    assert curve.at(0.85).low == pytest.approx(0.85)
    assert curve.at(0.5).low == 0
    assert curve.at(0.5).dice == pytest.approx(0.85)


def test_few_cases_give_their_mean_and_their_range():
    curve = fit_curve([(0.9, 0.8), (0.7, 0.9), (0.95, 0.7)])
    assert curve.at(0.92) == pytest.approx((0.8, 0.7, 0.9, 3))
    assert curve.at(0.6) == pytest.approx((0.8, 0, 0.9, 3))
    assert fit_curve([]) is None
