"""Lesions laid out by hand, and scipy's components."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from autoseg.evaluation.lesions import LesionScores, lesion_scores, num_detected, overlap_table
from tests.evaluation.masks import Mask


def row(*runs: tuple[int, int], length: int = 60) -> Mask:
    """A line of voxels with lesions from start to stop."""
    mask = np.zeros((length, 1, 1), bool)
    for start, stop in runs:
        mask[start:stop] = True
    return mask


def test_found_missed_and_invented_lesions_are_counted() -> None:
    reference = row((0, 10), (20, 30), (40, 50))
    prediction = row((2, 9), (21, 30), (32, 38), (55, 60))
    scores = lesion_scores(prediction, reference, 1.0)
    assert (scores.num_reference_lesions, scores.num_predicted_lesions) == (3, 4)
    assert scores.lesion_sensitivity == pytest.approx(2 / 3)
    assert scores.lesion_ppv == pytest.approx(2 / 4)
    assert scores.lesion_f1 == pytest.approx(2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2))


def test_more_than_a_tenth_must_be_covered() -> None:
    reference = row((10, 50))  # 40 voxels
    assert lesion_scores(row((6, 14)), reference, 1.0).lesion_sensitivity == 0  # 4 of 40
    assert lesion_scores(row((6, 15)), reference, 1.0).lesion_sensitivity == 1  # 5 of 40


def test_a_lesion_that_lies_mostly_outside_detects_nothing() -> None:
    reference = row((10, 16))
    assert lesion_scores(row((2, 13)), reference, 1.0).lesion_sensitivity == 0  # 8 of 11 voxels outside
    assert lesion_scores(row((3, 13)), reference, 1.0).lesion_sensitivity == 1  # 7 of 10
    both = row((4, 9), (10, 16))
    assert lesion_scores(row((2, 13)), both, 1.0).lesion_sensitivity == 1  # what lies in another lesion is not outside


def test_only_the_largest_overlaps_up_to_their_share_must_lie_inside() -> None:
    table = np.array([[0, 0, 90], [2, 12, 6]])  # 12 of 18 covered voxels are two thirds: the second is not looked at
    assert num_detected(table) == 1
    table = np.array([[0, 0, 90], [2, 11, 7]])
    assert num_detected(table) == 0


def test_lesions_of_three_mm3_are_too_small() -> None:
    reference = row((0, 3), (10, 14))
    assert overlap_table(reference, reference, 1.0).tolist() == [[56, 0], [0, 4]]
    assert overlap_table(reference, reference, 1.01).shape == (3, 3)


def test_diagonal_neighbours_are_two_lesions() -> None:
    mask = np.zeros((8, 4, 2), bool)
    mask[:4, :2] = mask[4:, 2:] = True
    assert overlap_table(mask, mask, 1.0).shape == (3, 3)


@pytest.mark.parametrize("seed", range(4))
def test_the_table_equals_that_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [ndimage.gaussian_filter(rng.normal(size=(24, 20, 16)), 1.2) > 0.1 for _ in range(2)]
    tables = []
    for mask in masks:
        found, number = ndimage.label(mask)
        for lesion in range(1, number + 1):
            if (found == lesion).sum() * 0.5 <= 3:
                found[found == lesion] = 0
        tables.append(found)
    expected = sorted(
        int(((tables[1] == a) & (tables[0] == b)).sum()) for a in np.unique(tables[1]) for b in np.unique(tables[0])
    )
    assert sorted(overlap_table(*masks, 0.5).ravel().tolist()) == expected


def test_without_lesions_only_what_can_be_counted_exists() -> None:
    nothing, something = row(), row((3, 9))
    assert lesion_scores(nothing, nothing, 1.0) == LesionScores()
    assert lesion_scores(nothing, something, 1.0) == LesionScores(0.0, None, 0.0, 0, 1)
    assert lesion_scores(something, nothing, 1.0) == LesionScores(None, 0.0, 0.0, 1, 0)
    assert lesion_scores(something, something, 1.0) == LesionScores(1.0, 1.0, 1.0, 1, 1)
    assert lesion_scores(row((3, 5)), something, 1.0) == LesionScores(0.0, None, 0.0, 0, 1)
