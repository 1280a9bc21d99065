"""Whole plans: axes, recommendation, augmentation, small datasets and errors."""

from __future__ import annotations

import math

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.plan import read_plan
from autoseg.planning.configurations import augmentation
from autoseg.planning.planner import axis_order_of, make_plan


@pytest.mark.parametrize(
    ("shape", "spacing", "axis_order", "patch"),
    [
        ((200, 180, 9), (0.5, 0.6, 6), (2, 1, 0), (10, 192, 224)),  # axial slices: z, then y, x
        ((200, 9, 180), (0.5, 6, 0.6), (1, 2, 0), (10, 192, 224)),  # coronal slices: y, then z, x
        ((9, 200, 180), (6, 0.5, 0.6), (0, 2, 1), (10, 192, 224)),  # sagittal slices: x, then z, y
    ],
)
def test_coarsest_axis_is_working_axis_0(make_fingerprint, shape, spacing, axis_order, patch) -> None:
    plan = make_plan(make_fingerprint(shape=shape, spacing_mm=spacing, num_cases=3))
    fullres = plan.configurations["3d_fullres"]
    assert plan.axis_order == axis_order
    assert fullres.spacing_mm == tuple(spacing[axis] for axis in axis_order)
    assert fullres.median_shape_voxels == tuple(shape[axis] for axis in axis_order)
    assert fullres.patch_size == patch
    assert plan.configurations["2d"].spacing_mm == fullres.spacing_mm[1:]


def test_axis_order_turns_zyx_around() -> None:
    assert axis_order_of((0, 1, 2)) == (2, 1, 0)
    assert axis_order_of((2, 0, 1)) == (0, 2, 1)


def test_a_single_case_plans_and_survives_json(make_fingerprint) -> None:
    plan = make_plan(make_fingerprint(), file_ending=".nrrd")
    assert set(plan.configurations) == {"2d", "3d_fullres", "full_volume"}
    assert plan.configurations["2d"].batch_size == 2
    assert plan.file_ending == ".nrrd"
    assert read_plan(plan.model_dump_json(), "plan.json") == plan


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 4, 5), (300, 2, 2), (1, 40, 40)])
def test_odd_shapes_plan(make_fingerprint, shape) -> None:
    plan = make_plan(make_fingerprint(shape=shape))
    assert plan.recommended in plan.configurations
    assert all(len(part.network.strides) >= 2 for part in plan.configurations.values())


def test_single_slices_have_no_3d_configuration(make_fingerprint) -> None:
    plan = make_plan(make_fingerprint(shape=(512, 512, 1), spacing_mm=(1, 1, 999), num_cases=100))
    assert set(plan.configurations) == {"2d"}
    assert (plan.configurations["2d"].patch_size, plan.configurations["2d"].batch_size) == ((512, 512), 5)
    assert plan.recommended == "2d"


def test_batch_dice_where_a_patch_lacks_context(make_fingerprint) -> None:
    large = make_fingerprint(shape=(512, 512, 432), spacing_mm=(0.767578125, 0.767578125, 1), num_cases=131)
    assert make_plan(large).configurations["3d_fullres"].batch_dice
    assert not make_plan(make_fingerprint()).configurations["3d_fullres"].batch_dice
    assert make_plan(make_fingerprint()).configurations["2d"].batch_dice


def test_memory_scales_patch_and_batch(make_fingerprint) -> None:
    fingerprint = make_fingerprint(shape=(138, 169, 138), num_cases=484)
    plans = [make_plan(fingerprint, memory_gb=gb).configurations for gb in (2, 8, 24)]
    volumes = [math.prod(plan["3d_fullres"].patch_size) for plan in plans]
    assert volumes == sorted(set(volumes))
    assert make_plan(fingerprint).configurations == plans[1]


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


def test_bad_input(make_fingerprint) -> None:
    with pytest.raises(BadInput, match="no such planner; choose one of default"):
        make_plan(make_fingerprint(), planner="nonsense")
    with pytest.raises(BadInput, match="no training cases"):
        make_plan(make_fingerprint(num_cases=0))
    for memory_gb in (0, -1, math.nan):
        with pytest.raises(BadInput, match="the memory must be positive"):
            make_plan(make_fingerprint(), memory_gb=memory_gb)
