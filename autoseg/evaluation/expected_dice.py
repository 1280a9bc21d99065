"""The Dice to expect of a segmentation from how sure the model is of it, learnt from held-out cases.

The curve is the isotonic regression of Dice on certainty (``inference.certainty.soft_dice``): surer is never worse, and
nothing else is assumed. Between the steps it is linear. The interval is that of the errors which the curve makes in
cases that it was not fitted to (a tenth of them at a time), with the ranks of split conformal prediction (Vovk et al.,
2005; Lei et al., JASA 2018): it holds for cases like those of the cross-validation, whatever the distribution.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

COVERAGE = 0.9
FEWEST_CASES = 10  # with less there is no curve
_TENTHS = 10

Line = npt.NDArray[np.float64]


class Expected(NamedTuple):
    """The Dice to expect, the interval that has it in nine cases of ten, and the held-out cases that say so."""

    dice: float
    low: float
    high: float
    num_cases: int


@dataclass(frozen=True, eq=False)
class Curve:
    """Dice by certainty: ``knots`` ``(2, m)``, linear between them and level beyond; errors lie in ``errors``."""

    knots: Line
    errors: tuple[float, float]
    num_cases: int
    least_certain: float

    def at(self, certainty: float) -> Expected:
        """What to expect of a certainty. Of one smaller than any held-out case had, 0 is in the interval."""
        dice = float(np.interp(certainty, *self.knots))
        low, high = (min(1.0, max(0.0, dice + error)) for error in self.errors)
        return Expected(dice, 0.0 if certainty < self.least_certain else low, high, self.num_cases)


def fit_curve(pairs: Sequence[tuple[float, float]]) -> Curve | None:
    """The curve of pairs (certainty, Dice); None without any.

    Of fewer than ``FEWEST_CASES`` it is their mean Dice, whatever the certainty, and the interval all that they had.
    """
    if not pairs:
        return None
    certainty, dice = np.array(sorted(pairs), np.float64).T
    if len(pairs) < FEWEST_CASES:
        mean = float(dice.mean())
        knots = np.array([[certainty[0]], [mean]])
        return Curve(knots, (float(dice.min()) - mean, float(dice.max()) - mean), len(pairs), float(certainty[0]))
    errors = np.empty_like(dice)
    for tenth in range(_TENTHS):
        left_out = np.arange(len(dice)) % _TENTHS == tenth
        errors[left_out] = dice[left_out] - np.interp(
            certainty[left_out], *isotonic_knots(certainty[~left_out], dice[~left_out])
        )
    errors.sort()
    tail = (1 - COVERAGE) / 2 * (len(errors) + 1)
    lowest, highest = max(0, floor(tail) - 1), min(len(errors) - 1, ceil(len(errors) + 1 - tail) - 1)
    interval = min(0.0, float(errors[lowest])), max(0.0, float(errors[highest]))
    return Curve(isotonic_knots(certainty, dice), interval, len(pairs), float(certainty[0]))


def isotonic_knots(certainty: Line, dice: Line) -> Line:
    """``(2, m)``: mean certainty and mean Dice of each level piece of the regression; ``certainty`` ascends."""
    from scipy.optimize import isotonic_regression

    values, place, number = np.unique(certainty, return_inverse=True, return_counts=True)
    means = np.bincount(place, dice) / number
    blocks = isotonic_regression(means, weights=number).blocks
    weights = np.add.reduceat(number, blocks[:-1])
    knots: Line = np.stack([np.add.reduceat(one * number, blocks[:-1]) / weights for one in (values, means)])
    return knots
