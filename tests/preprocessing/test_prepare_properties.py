"""Any orientation, spacing, shear and crop: every voxel comes back to its place."""

from __future__ import annotations

from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from skimage.transform import resize

from autoseg.core.case import Image
from autoseg.core.geometry import box_shape, box_slices
from autoseg.preprocessing import prepare
from tests.core.affines import affines, shapes
from tests.core.test_geometry_properties import clearly_turned, world
from tests.preprocessing.test_prepare import LABELS, apply, changed, make_plan, one_hot, synthetic

SEEDED = settings(max_examples=40, derandomize=True, deadline=None)
ORDERS = st.permutations(range(3))
SEEDS = st.integers(0, 2**32 - 1)
CLEAR = 1e-3  # a difference of probabilities that rounding to float32 does not turn


@st.composite
def cases(draw: Any, least: int = 1, most: int = 12) -> tuple[Image, npt.NDArray[np.int32]]:
    """An image that is zero around a box, and labels inside that box."""
    shape = draw(shapes(max(least, 5), most)) if draw(st.booleans()) else draw(shapes(least, most))
    seed = draw(SEEDS)
    if min(shape) >= 5:
        voxels, labels = synthetic(seed, shape)
    else:
        random = np.random.default_rng(seed)
        voxels = random.normal(10, 1, (1, *shape)).astype(np.float32)
        labels = random.integers(0, 3, shape).astype(np.int32)
    return Image(voxels, draw(affines())), labels


@SEEDED
@given(cases(), ORDERS, st.sampled_from(["nonzero", "none", "centre"]), st.sampled_from([2, 3]))
def test_on_its_own_grid_every_voxel_comes_back(one: Any, order: list[int], crop: str, dimensions: int) -> None:
    image, labels = one
    plan = changed(make_plan((1.0,) * dimensions, tuple(order)), crop=crop, native_spacing=True)
    case = apply(image, labels, plan)
    inside = prepare.undo_box(np.ones(box_shape(case.trace.box), np.bool_), case.trace)
    expected = np.where(inside, labels, 0)
    np.testing.assert_array_equal(prepare.undo(one_hot(case.labels), case.trace, LABELS), expected)
    if crop == "none":
        assert inside.all()
    if crop == "nonzero":
        assert inside[image.voxels[0] != 0].all()


@SEEDED
@given(affines(), shapes(1, 8), ORDERS)
def test_prepared_voxels_lie_where_nibabel_says(affine: Any, shape: tuple[int, ...], order: list[int]) -> None:
    assume(clearly_turned(affine))
    positions = world(affine, shape) + 10_000  # nowhere zero
    schemes = ("none",) * 3
    plan = changed(make_plan((1.0,) * 3, tuple(order), schemes), native_spacing=True)
    case = apply(Image(positions.astype(np.float32), affine), None, plan)
    canonical = nibabel.as_closest_canonical(nibabel.Nifti1Image(np.zeros(shape, np.uint8), affine))
    expected = world(canonical.affine, canonical.shape).transpose(0, *(1 + axis for axis in order)) + 10_000
    np.testing.assert_allclose(case.image, expected, rtol=1e-6)
    spacing = np.linalg.norm(canonical.affine[:3, :3], axis=0)[list(order)]
    np.testing.assert_allclose(case.trace.spacing_mm, spacing, rtol=1e-9)


@SEEDED
@given(affines(most_shear=0.1), shapes(14, 18), ORDERS, st.tuples(*[st.floats(0.6, 1.7)] * 3))
def test_resampled_voxels_lie_in_the_middle_of_what_they_replace(
    affine: Any, shape: tuple[int, ...], order: list[int], factors: tuple[float, ...]
) -> None:
    """Positions are linear in the index, and a cubic spline keeps what is linear but near a border."""
    affine = affine.copy()
    affine[:3, :3] /= np.linalg.norm(affine[:3, :3], axis=0)  # alike: no axis is resampled on its own
    reorientation = prepare.working_axes(affine, order)
    plan = make_plan(tuple(factors), tuple(order), ("none",) * 3)
    case = apply(Image((world(affine, shape) + 10_000).astype(np.float32), affine), None, plan)
    new = case.trace.resampled_shape
    old = tuple(shape[axis] for axis in reorientation.axes)
    centres = [(np.arange(n) + 0.5) * m / n - 0.5 for n, m in zip(new, old, strict=True)]
    index = np.stack(np.meshgrid(*centres, indexing="ij"))
    turned = np.stack([reorientation.apply(field) for field in world(affine, shape)])
    steps = [turned.take(1, axis + 1) - turned.take(0, axis + 1) for axis in range(3)]
    expected = turned[:, 0, 0, 0, None, None, None] + sum(
        step.reshape(3, -1)[:, 0, None, None, None] * index[axis] for axis, step in enumerate(steps)
    )
    inner = tuple(
        slice(*np.flatnonzero((c > 5) & (c < m - 6))[[0, -1]] + [0, 1]) for c, m in zip(centres, old, strict=True)
    )
    assert all(part.stop - part.start >= 1 for part in inner)
    np.testing.assert_allclose(case.image[(slice(None), *inner)], expected[(slice(None), *inner)] + 10_000, atol=0.03)


@SEEDED
@given(cases(least=2, most=10), ORDERS, st.tuples(*[st.floats(0.5, 4.0)] * 3), SEEDS)
def test_resampled_logits_come_back_by_linear_interpolation(
    one: Any, order: list[int], spacing: tuple[float, ...], seed: int
) -> None:
    image, labels = one
    case = apply(image, labels, make_plan(tuple(spacing), tuple(order)))
    trace = case.trace
    logits = np.random.default_rng(seed).normal(size=(3, *trace.resampled_shape)).astype(np.float32)
    box = box_shape(trace.box)
    expected = np.stack([interpolated(one, box, prepare.axis_back(trace)) for one in logits.astype(np.float64)])
    clear = np.diff(np.sort(expected, axis=0), axis=0)[-1] > CLEAR
    whole = np.zeros(tuple(trace.stored_shape[axis] for axis in trace.reorientation.axes), np.int64)
    whole[box_slices(trace.box)] = np.where(clear, expected.argmax(axis=0), -1)
    stored = trace.reorientation.undo(whole)
    written = prepare.undo(logits, trace, LABELS)
    np.testing.assert_array_equal(written[stored >= 0], stored[stored >= 0])
    assert written.shape == labels.shape


def interpolated(channel: npt.NDArray[np.float64], shape: tuple[int, ...], separate: int | None) -> Any:
    """Linear interpolation by skimage, in the slices of a separate axis, which is taken from the nearest slice."""
    how = {"order": 1, "mode": "edge", "anti_aliasing": False, "preserve_range": True}
    if separate is None or channel.shape == shape:
        return resize(channel, shape, **how)
    across = [resize(one, np.delete(shape, separate), **how) for one in np.moveaxis(channel, separate, 0)]
    slices = np.stack(across, axis=separate)
    number = shape[separate]
    nearest = np.minimum(((np.arange(number) + 0.5) * len(across) / number).astype(int), len(across) - 1)
    return slices.take(nearest, axis=separate)


@SEEDED
@given(cases(least=5), ORDERS, st.tuples(*[st.integers(0, 2)] * 3))
def test_labels_come_back_from_an_odd_multiple_of_voxels(one: Any, order: list[int], halves: tuple[int, ...]) -> None:
    """Of 1, 3 or 5 voxels in the place of one, the middle one is at its centre."""
    image, labels = one
    affine = np.eye(4)
    affine[:3, :3] = np.round(image.affine[:3, :3] / np.linalg.norm(image.affine[:3, :3], axis=0))
    assume((np.abs(affine[:3, :3]).sum(axis=0) == 1).all() and abs(np.linalg.det(affine[:3, :3])) == 1)
    spacing = tuple(1 / (2 * half + 1) for half in halves)
    case = apply(Image(image.voxels, affine), labels, make_plan(spacing, tuple(order)))
    assert all(
        new == old * (2 * half + 1)
        for new, old, half in zip(case.trace.resampled_shape, box_shape(case.trace.box), halves, strict=True)
    )
    np.testing.assert_array_equal(prepare.undo(one_hot(case.labels), case.trace, LABELS), labels)
