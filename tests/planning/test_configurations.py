"""nnU-Net's configurations beyond what ``test_golden_plans.py`` compares: bounds, odd images, augmentation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from autoseg.planning.configurations import LOWRES_BELOW_SHARE, LOWRES_STEP, augmentation, fit_configurations
from autoseg.planning.planners import PLANNERS
from autoseg.planning.targets import DatasetSummary


def summary(spacings, shapes) -> DatasetSummary:
    return DatasetSummary(np.array(spacings, float), np.array(shapes), len(shapes), 3, ("CT",), 1.0)


@pytest.mark.parametrize("planner", sorted(PLANNERS))
def test_lowres_is_the_first_step_with_enough_context(planner: str) -> None:
    fitted = fit_configurations(summary([(1, 0.7, 0.7)], [(600, 512, 512)]), PLANNERS[planner], 8)
    lowres, fullres = fitted.configurations["3d_lowres"], fitted.configurations["3d_fullres"]
    voxels = [math.prod(one.median_shape_voxels) for one in (lowres, fullres)]
    assert math.prod(fullres.patch_size) < LOWRES_BELOW_SHARE * voxels[1]
    assert math.prod(lowres.patch_size) >= 0.99 * LOWRES_BELOW_SHARE * voxels[0]  # the median shape is rounded
    assert voxels[0] <= voxels[1] / 2
    steps = [math.log(s / f, LOWRES_STEP) for s, f in zip(lowres.spacing_mm, fullres.spacing_mm, strict=True)]
    assert steps == pytest.approx([round(step) for step in steps], abs=1e-6)


def test_lowres_coarsens_the_fine_axes_first() -> None:
    fitted = fit_configurations(summary([(5, 0.5, 0.5)], [(200, 700, 700)]), PLANNERS["default"], 8)
    lowres = fitted.configurations["3d_lowres"]
    assert lowres.spacing_mm[0] == 5
    assert lowres.spacing_mm[1] > 0.5


def test_images_of_less_than_half_a_voxel_count_as_one() -> None:
    fitted = fit_configurations(summary([(1, 1, 1), (9, 1, 1), (9, 1, 1)], [(2, 64, 64)] * 3), PLANNERS["default"], 8)
    assert fitted.configurations["2d"].median_shape_voxels == (64, 64)
    assert min(fitted.largest_shape) >= 1


@pytest.mark.parametrize(
    ("patch", "degrees", "dummy_2d"),
    [
        ((64, 64), 180, False),
        ((64, 40), 15, False),
        ((96, 64), 180, False),
        ((64, 64, 64), 30, False),
        ((16, 64, 64), 180, True),
        ((20, 60, 60), 30, False),
    ],
)
def test_augmentation_follows_the_patch(patch, degrees, dummy_2d) -> None:
    spec = augmentation(patch)
    assert (spec.rotation_degrees, spec.dummy_2d, spec.mirror_axes) == (degrees, dummy_2d, tuple(range(len(patch))))
