"""Lines whose skeletons are known, and all pairs of skeleton points."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage
from skimage.morphology import skeletonize

from autoseg.evaluation.skeletons import skeleton_points, skeleton_scores, slice_distances
from tests.evaluation.masks import Mask, blobs, cube


def line(row: int, start: int = 5, stop: int = 45, shape: tuple[int, int] = (30, 50)) -> Mask:
    mask = np.zeros(shape, bool)
    mask[row, start:stop] = True
    return mask


def test_the_skeleton_of_a_wide_bar_is_its_middle() -> None:
    mask = np.zeros((30, 60), bool)
    mask[10:21, 5:55] = True  # 11 x 50 voxels of 0.5 x 0.5 mm
    points = skeleton_points(mask, (0.5, 0.5))
    inner = points[(points[:, 1] > 7) & (points[:, 1] < 23)]
    assert len(inner) == 160  # one in each column of 0.1 mm
    assert np.abs(inner[:, 0] - (10 + 5.5) * 0.5).max() <= 0.1


def test_points_lie_where_the_mask_is_whatever_the_spacing() -> None:
    for spacing in ((0.3, 0.7), (0.1, 0.1), (0.04, 0.25)):
        points = skeleton_points(line(12), spacing)
        assert len(points) > 0
        voxels = (points / spacing).astype(int)
        assert line(12)[voxels[:, 0], voxels[:, 1]].all()


@pytest.mark.parametrize("spacing", [(0.5, 0.5), (0.33, 0.71)])
def test_thinning_part_by_part_changes_nothing(spacing: tuple[float, float]) -> None:
    mask = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(40, 30)), 1.5) > 0.08
    assert ndimage.label(mask, np.ones((3, 3)))[1] > 3
    nearest = [
        ((np.arange(round(size * side / 0.1)) + 0.5) * 0.1 / side + 1e-9).astype(int)
        for size, side in zip(mask.shape, spacing, strict=True)
    ]
    whole = skeletonize(mask[np.ix_(*nearest)], method="zhang")
    expected = sorted(((np.argwhere(whole) + 0.5) * 0.1).tolist())
    assert sorted(skeleton_points(mask, spacing).tolist()) == expected


@pytest.mark.parametrize("shift", [1, 4])
def test_parallel_lines_are_their_shift_apart(shift: int) -> None:
    maximal, median = slice_distances(line(12), line(12 + shift), (0.5, 0.4))
    assert median == pytest.approx(shift * 0.5, abs=1e-9)
    assert maximal == pytest.approx(shift * 0.5, abs=1e-9)


def test_the_median_leaves_out_zeros_and_the_larger_direction_counts() -> None:
    short, long = line(12, 5, 25), line(12, 5, 45)  # 20 voxels of 1 mm more at one end
    maximal, median = slice_distances(short, long, (1.0, 1.0))
    assert maximal == pytest.approx(20, abs=1)  # thinning shortens the ends a little
    assert median == pytest.approx(10, abs=0.6)
    assert slice_distances(long, short, (1.0, 1.0)) == (maximal, median)


def test_equal_masks_have_no_distance() -> None:
    assert slice_distances(line(3), line(3), (0.3, 0.3)) == (0, 0)


@pytest.mark.parametrize("seed", range(3))
def test_distances_equal_all_pairs(seed: int) -> None:
    masks, spacing = [(blobs(seed + 10 * i) > 0)[:, :, 5] for i in range(2)], (0.35, 0.5)
    a, b = (skeleton_points(mask, spacing) for mask in masks)
    pairs = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    directed = [pairs.min(axis=1), pairs.min(axis=0)]
    maximal, median = slice_distances(*masks, spacing)
    assert maximal == pytest.approx(max(d.max() for d in directed), rel=1e-9)
    assert median == pytest.approx(max(np.median(d[d > 0]) for d in directed), rel=1e-9)


def test_slices_are_averaged_where_both_have_the_label() -> None:
    one, other = np.zeros((30, 50, 4), bool), np.zeros((30, 50, 4), bool)
    for number, row in ((0, 12), (1, 12), (2, 12)):
        one[:, :, number] = line(row)
    for number, row in ((0, 13), (1, 15), (3, 12)):
        other[:, :, number] = line(row)
    scores = skeleton_scores(one, other, (1.0, 1.0, 5.0))
    assert (scores.shd_mm, scores.smd_mm) == pytest.approx((2, 2))
    turned = skeleton_scores(np.moveaxis(one, 2, 1), np.moveaxis(other, 2, 1), (1.0, 5.0, 1.0), axial_axis=1)
    assert turned == scores


def test_no_common_slice_has_no_distance() -> None:
    scores = skeleton_scores(cube((3, 3, 0), 3), cube((3, 3, 10), 3), (1.0, 1.0, 1.0))
    assert (scores.shd_mm, scores.smd_mm) == (None, None)
