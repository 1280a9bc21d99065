"""Distances between surfaces and between voxels: a k-d tree, geometry, all pairs and SimpleITK."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.evaluation.surfaces import hausdorff_voxels, surface_scores
from tests.evaluation.masks import UNIT, blobs, cube, surface_points


def test_surface_scores_equal_a_tree_on_larger_masks() -> None:
    from scipy.ndimage import gaussian_filter
    from scipy.spatial import cKDTree

    spacing, rng = (0.8, 0.8, 3.0), np.random.default_rng(0)
    masks = [gaussian_filter(rng.normal(size=(40, 40, 20)), 2) > 0.03 for _ in range(2)]
    a, b = (surface_points(mask, spacing) for mask in masks)
    there, back = cKDTree(b).query(a)[0], cKDTree(a).query(b)[0]
    scores = surface_scores(*masks, spacing)
    assert scores.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-9)
    assert scores.assd_mm == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-9)


@pytest.mark.parametrize("side_mm", [0.5, 0.25])
def test_spheres_have_the_distance_of_their_radii(side_mm: float) -> None:
    half = 12.5 - side_mm / 2
    grid = np.stack(np.meshgrid(*[np.arange(-half, half + side_mm / 2, side_mm)] * 3, indexing="ij"))
    radius = np.sqrt((grid**2).sum(0))
    scores = surface_scores(radius <= 8, radius <= 12, (side_mm,) * 3)
    # Centres of surface voxels lie 0 to 1 side within their sphere, 0.42 on average: the same in both, so the mean
    # distance is that of the radii but for the choice of the nearest. It gains at most 0.58 sides from the inner
    # sphere (to the deepest centre of the outer one) and 0.42 from the outer one, which has 9/13 of the points.
    assert 4 - 0.47 * side_mm < scores.assd_mm < 4
    assert scores.hd95_mm == pytest.approx(4, abs=side_mm)  # the deepest centre of one, the highest of the other
    assert scores.nsd == 0
    assert scores.hd_mm == pytest.approx(4, abs=side_mm)


@pytest.mark.parametrize(("axis", "shift"), [(0, 3), (1, 5), (2, 2)])
def test_shifted_cube_has_its_shift_as_hd95(axis: int, shift: int) -> None:
    spacing = (0.5, 1.5, 4.0)
    start = [6, 6, 6]
    start[axis] += shift
    scores = surface_scores(cube((start[0], start[1], start[2])), cube((6, 6, 6)), spacing)
    # The far face is 36 of the 152 surface voxels, more than the 5 % that HD95 leaves out.
    assert scores.hd95_mm == pytest.approx(shift * spacing[axis], rel=1e-9)


def test_tolerance_includes_a_distance_that_equals_it() -> None:
    scores = surface_scores(cube((6, 6, 6), 1), cube((9, 6, 6), 1), (0.1, 1.0, 1.0), tolerance_mm=0.3)
    assert scores.nsd == 1
    assert surface_scores(cube((6, 6, 6), 1), cube((9, 6, 6), 1), (0.1, 1.0, 1.0), tolerance_mm=0.29).nsd == 0


def test_two_voxels_have_the_distance_of_their_centres() -> None:
    one, other = cube((1, 2, 3), 1), cube((4, 6, 3), 1)
    scores = surface_scores(one, other, (2.0, 0.5, 1.0))
    expected = np.hypot(3 * 2.0, 4 * 0.5)
    assert (scores.hd_mm, scores.hd95_mm, scores.assd_mm) == pytest.approx((expected,) * 3, rel=1e-12)
    assert hausdorff_voxels(one, other) == 5


@pytest.mark.parametrize("seed", range(3))
def test_the_distance_of_voxels_is_that_of_simpleitk(seed: int) -> None:
    import SimpleITK as sitk

    masks = [blobs(seed) > 0, blobs(seed + 20) == 1]
    measure = sitk.HausdorffDistanceImageFilter()
    measure.Execute(*(sitk.GetImageFromArray(mask.astype(np.uint8)) for mask in masks))
    assert hausdorff_voxels(*masks) == pytest.approx(measure.GetHausdorffDistance(), rel=1e-6)
    points = [np.argwhere(mask).astype(float) for mask in masks]
    pairs = np.sqrt(((points[0][:, None] - points[1][None]) ** 2).sum(-1))
    assert hausdorff_voxels(*masks) == pytest.approx(max(pairs.min(axis=1).max(), pairs.min(axis=0).max()), rel=1e-12)


def test_neither_hausdorff_distance_bounds_the_other() -> None:
    solid = cube((2, 2, 2), 11)
    hollow = solid.copy()
    hollow[7, 7, 7] = False  # its walls are surface, 4 from the outer one; the hole itself is 1 from the rest
    assert surface_scores(hollow, solid, UNIT).hd_mm == 4
    assert hausdorff_voxels(hollow, solid) == 1
    shell = cube((0, 0, 0), 15) & ~cube((1, 1, 1), 13)
    core = cube((3, 3, 3), 9)  # its centre is 7 from the shell; its corner is within 3, the shell's is sqrt(27) away
    assert hausdorff_voxels(core, shell) == 7
    assert surface_scores(core, shell, UNIT).hd_mm == pytest.approx(np.sqrt(27))
