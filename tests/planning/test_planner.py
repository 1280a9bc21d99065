"""Whole plans: axes, recommendation, augmentation, small datasets and errors."""

from __future__ import annotations

import math

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.plan import read_plan
from autoseg.planning.planner import axis_order_of, make_plan
from autoseg.planning.planners import PLANNERS


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


def test_large_images_have_lowres_and_a_cascade(make_fingerprint) -> None:
    """nnU-Net's figures for a liver data set: patch, batch, and spacing of 3d_lowres."""
    large = make_fingerprint(shape=(512, 512, 432), spacing_mm=(0.767578125, 0.767578125, 1), num_cases=131)
    plan = make_plan(large)
    parts = plan.configurations
    assert list(parts) == ["2d", "3d_lowres", "3d_fullres", "3d_cascade_fullres"]
    assert parts["3d_lowres"].spacing_mm == pytest.approx((2.4273, 1.8631, 1.8631), abs=1e-4)
    assert not parts["3d_lowres"].batch_dice
    assert parts["3d_fullres"].batch_dice
    fullres = parts["3d_fullres"].model_dump() | {"name": "3d_cascade_fullres", "previous_stage": "3d_lowres"}
    assert parts["3d_cascade_fullres"].model_dump() == fullres
    assert [part.previous_stage for part in parts.values()] == [None, None, None, "3d_lowres"]
    assert plan.recommended == "3d_fullres"
    assert read_plan(plan.model_dump_json(), "plan.json") == plan


def test_batch_dice_where_a_patch_lacks_context(make_fingerprint) -> None:
    plan = make_plan(make_fingerprint())
    assert not plan.configurations["3d_fullres"].batch_dice
    assert plan.configurations["2d"].batch_dice


@pytest.mark.parametrize(
    ("planner", "patch", "batch"),
    [("resenc-m", (40, 56, 40), 58), ("resenc-l", (40, 56, 40), 178), ("resenc-xl", (40, 56, 40), 183)],
)
def test_residual_planners(make_fingerprint, planner, patch, batch) -> None:
    """nnU-Net's figures for the hippocampus; full_volume has the network of the planner."""
    plan = make_plan(make_fingerprint(shape=(35, 50, 36), num_cases=260, labels={"a": 1, "b": 2}), planner=planner)
    fullres = plan.configurations["3d_fullres"]
    assert plan.planner == planner
    assert (fullres.patch_size, fullres.batch_size) == (patch, batch)
    assert {part.network.name for part in plan.configurations.values()} == {"residual_encoder_unet"}
    assert plan.configurations["full_volume"].network.blocks_per_stage == (1, 3, 4, 6)


@pytest.mark.parametrize("planner", sorted(PLANNERS))
def test_memory_scales_patch_and_batch(make_fingerprint, planner) -> None:
    fingerprint, usual = make_fingerprint(shape=(138, 169, 138), num_cases=484), PLANNERS[planner].memory_gb
    sizes = []
    for share in (0.2, 1, 3):
        fullres = make_plan(fingerprint, planner, memory_gb=share * usual).configurations["3d_fullres"]
        sizes.append((math.prod(fullres.patch_size), fullres.batch_size))
    assert sizes == sorted(set(sizes))
    assert make_plan(fingerprint, planner) == make_plan(fingerprint, planner, memory_gb=usual)


def test_bad_input(make_fingerprint) -> None:
    with pytest.raises(BadInput, match="no such planner; choose one of default"):
        make_plan(make_fingerprint(), planner="nonsense")
    with pytest.raises(BadInput, match="no training cases"):
        make_plan(make_fingerprint(num_cases=0))
    for memory_gb in (0, -1, math.nan):
        with pytest.raises(BadInput, match="the memory must be positive"):
            make_plan(make_fingerprint(), memory_gb=memory_gb)
