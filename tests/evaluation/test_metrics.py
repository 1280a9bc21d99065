"""Overlap against float loops and sets; surfaces against brute force, a k-d tree and geometry."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.geometry import spacing_mm
from autoseg.core.labels import Labels
from autoseg.evaluation.metrics import LabelMetrics, case_metrics, surface_scores

LABELS = Labels(values={"background": 0, "front": 1, "back": 2})
UNIT = (1.0, 1.0, 1.0)
Mask = npt.NDArray[np.bool_]


def blobs(seed: int, shape: tuple[int, ...] = (14, 12, 10)) -> npt.NDArray[np.int32]:
    """A label map with values 0, 1, 2 and 7, in overlapping boxes at random places."""
    rng = np.random.default_rng(seed)
    result = np.zeros(shape, np.int32)
    for value in (1, 2, 7, 1, 2):
        corner = [int(rng.integers(0, size - 4)) for size in shape]
        result[tuple(slice(start, start + int(rng.integers(3, 7))) for start in corner)] = value
    return result


def surface_points(mask: Mask, spacing: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """The centres of surface voxels in mm, voxel by voxel: a face neighbour is outside the mask or the array."""
    inside = set(map(tuple, np.argwhere(mask).tolist()))
    steps = [tuple(sign * int(axis == other) for other in range(3)) for axis, sign in product(range(3), (-1, 1))]
    surface = [
        voxel for voxel in sorted(inside) if any(tuple(np.add(voxel, step).tolist()) not in inside for step in steps)
    ]
    return np.array(surface, np.float64) * np.array(spacing)


def brute_force_distances(
    one: Mask, other: Mask, spacing: tuple[float, ...]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Directed distances between two surfaces: the minimum over all pairs, in float64."""
    a, b = surface_points(one, spacing), surface_points(other, spacing)
    pairs = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    return pairs.min(axis=1), pairs.min(axis=0)


def cube(start: tuple[int, int, int], size: int = 6, shape: tuple[int, int, int] = (20, 20, 20)) -> Mask:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(first, first + size) for first in start)] = True
    return mask


def one_label(prediction: Mask, reference: Mask, surface: bool = True) -> LabelMetrics:
    maps = prediction.astype(np.uint8), reference.astype(np.uint8)
    return case_metrics(*maps, UNIT, Labels(values={"it": 1}), surface)["it"]


@pytest.mark.parametrize("seed", range(4))
def test_overlap_equals_counting_voxels(seed: int) -> None:
    prediction, reference, spacing = blobs(seed), blobs(seed + 100), (0.5, 2.0, 1.5)
    result = case_metrics(prediction, reference, spacing, LABELS, surface=False)
    assert list(result) == ["front", "back"]
    for name, metrics in result.items():
        found = {tuple(voxel) for voxel in np.argwhere(prediction == LABELS.values[name]).tolist()}
        wanted = {tuple(voxel) for voxel in np.argwhere(reference == LABELS.values[name]).tolist()}
        assert metrics.dice == pytest.approx(2 * len(found & wanted) / (len(found) + len(wanted)), rel=1e-12)
        assert metrics.iou == pytest.approx(len(found & wanted) / len(found | wanted), rel=1e-12)
        assert metrics.precision == pytest.approx(len(found & wanted) / len(found), rel=1e-12)
        assert metrics.recall == pytest.approx(len(found & wanted) / len(wanted), rel=1e-12)
        assert metrics.volume_error == pytest.approx(len(found) / len(wanted) - 1, rel=1e-12)
        assert metrics.predicted_volume_mm3 == pytest.approx(1.5 * len(found), rel=1e-12)
        assert metrics.reference_volume_mm3 == pytest.approx(1.5 * len(wanted), rel=1e-12)
        assert (metrics.hd95_mm, metrics.assd_mm, metrics.nsd) == (None, None, None)


@pytest.mark.parametrize(("seed", "spacing"), [(0, UNIT), (1, (0.7, 3.0, 1.1)), (2, (2.5, 0.4, 0.4))])
def test_surface_scores_equal_brute_force(seed: int, spacing: tuple[float, float, float]) -> None:
    prediction, reference = blobs(seed), blobs(seed + 50)
    result = case_metrics(prediction, reference, spacing, LABELS, tolerance_mm=1.3)
    for name, metrics in result.items():
        value = LABELS.values[name]
        there, back = brute_force_distances(prediction == value, reference == value, spacing)
        pooled = [*there, *back]
        assert metrics.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-9)
        assert metrics.assd_mm == pytest.approx(sum(pooled) / len(pooled), rel=1e-9)
        assert metrics.nsd == pytest.approx(sum(distance <= 1.3 for distance in pooled) / len(pooled), rel=1e-12)


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
    assert one_label(radius <= 8, radius <= 12).dice == pytest.approx(2 * 8**3 / (8**3 + 12**3), abs=0.01)


@pytest.mark.parametrize(("axis", "shift"), [(0, 3), (1, 5), (2, 2)])
def test_shifted_cube_has_its_shift_as_hd95(axis: int, shift: int) -> None:
    spacing = (0.5, 1.5, 4.0)
    start = [6, 6, 6]
    start[axis] += shift
    scores = surface_scores(cube((start[0], start[1], start[2])), cube((6, 6, 6)), spacing)
    # The far face is 36 of the 152 surface voxels, more than the 5 % that HD95 leaves out.
    assert scores.hd95_mm == pytest.approx(shift * spacing[axis], rel=1e-9)


def test_equal_maps_are_perfect() -> None:
    result = case_metrics(blobs(3), blobs(3), (1.0, 2.0, 3.0), LABELS)["front"]
    assert (result.dice, result.iou, result.precision, result.recall, result.nsd) == (1, 1, 1, 1, 1)
    assert (result.hd95_mm, result.assd_mm, result.volume_error) == (0, 0, 0)


def test_tolerance_includes_a_distance_that_equals_it() -> None:
    scores = surface_scores(cube((6, 6, 6), 1), cube((9, 6, 6), 1), (0.1, 1.0, 1.0), tolerance_mm=0.3)
    assert scores.nsd == 1
    assert surface_scores(cube((6, 6, 6), 1), cube((9, 6, 6), 1), (0.1, 1.0, 1.0), tolerance_mm=0.29).nsd == 0


def test_masks_at_the_border_of_the_image_have_a_surface_there() -> None:
    full = np.ones((5, 5, 5), bool)
    scores = one_label(full, cube((0, 0, 0), 1, (5, 5, 5)))
    there, back = brute_force_distances(full, cube((0, 0, 0), 1, (5, 5, 5)), UNIT)
    assert scores.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


def test_absent_label_has_no_scores() -> None:
    nothing = np.zeros((20, 20, 20), bool)
    result = one_label(nothing, nothing)
    assert (result.absent, result.missed, result.spurious) == (True, False, False)
    assert (result.dice, result.iou, result.precision, result.recall) == (None, None, None, None)
    assert (result.hd95_mm, result.assd_mm, result.nsd, result.volume_error) == (None, None, None, None)


def test_missed_label_scores_zero() -> None:
    result = one_label(np.zeros((20, 20, 20), bool), cube((1, 1, 1)))
    assert (result.absent, result.missed, result.spurious) == (False, True, False)
    assert (result.dice, result.iou, result.precision, result.recall, result.nsd) == (0, 0, None, 0, 0)
    assert (result.hd95_mm, result.assd_mm, result.volume_error) == (None, None, -1)


def test_spurious_label_scores_zero() -> None:
    result = one_label(cube((1, 1, 1)), np.zeros((20, 20, 20), bool))
    assert (result.absent, result.missed, result.spurious) == (False, False, True)
    assert (result.dice, result.iou, result.precision, result.recall, result.nsd) == (0, 0, 0, None, 0)
    assert (result.hd95_mm, result.assd_mm, result.volume_error) == (None, None, None)
    assert one_label(cube((1, 1, 1)), np.zeros((20, 20, 20), bool), surface=False).nsd is None


def test_disjoint_cubes_overlap_nowhere() -> None:
    result = one_label(cube((0, 0, 0)), cube((10, 0, 0)))
    assert (result.dice, result.precision, result.recall, result.nsd) == (0, 0, 0, 0)
    assert result.hd95_mm == 10


def test_values_outside_the_labels_are_background() -> None:
    prediction, reference = blobs(0), blobs(1)
    expected = case_metrics(prediction, reference, UNIT, LABELS)
    for extra in (-1, 3, 60_000):
        changed = np.where(reference == 0, extra, reference)
        assert case_metrics(np.where(prediction == 7, extra, prediction), changed, UNIT, LABELS) == expected


@pytest.mark.parametrize("kind", [np.uint8, np.uint16, np.int16, np.int64])
def test_integer_type_does_not_matter(kind: type[np.integer]) -> None:
    expected = case_metrics(blobs(0), blobs(1), UNIT, LABELS)
    assert case_metrics(blobs(0).astype(kind), blobs(1).astype(kind), UNIT, LABELS) == expected


def test_sheared_affine_uses_its_column_norms() -> None:
    affine = np.diag([1.0, 1.0, 4.0, 1.0])
    affine[1, 2] = 3.0
    maps = cube((6, 6, 6)).astype(np.int16), cube((6, 6, 8)).astype(np.int16)
    result = case_metrics(*maps, spacing_mm(affine), Labels(values={"it": 1}))["it"]
    assert result.hd95_mm == pytest.approx(10)  # two slices of 5 mm
    assert result.reference_volume_mm3 == pytest.approx(5 * 6**3)


def test_shapes_must_agree() -> None:
    with pytest.raises(BadInput, match=r"\(2, 3, 4\).*\(2, 3, 5\)"):
        case_metrics(np.zeros((2, 3, 4), int), np.zeros((2, 3, 5), int), UNIT, LABELS)


@pytest.mark.parametrize("seed", range(3))
def test_a_region_is_scored_as_the_mask_of_its_values(seed):
    regions = Labels(values={"background": 0, "both": (1, 2), "back": (2,), "other": 7}, region_order=(1, 2, 7))
    prediction, reference = blobs(seed), blobs(seed + 10)
    result = case_metrics(prediction, reference, UNIT, regions)
    masks = [np.isin(label_map, (1, 2)) for label_map in (prediction, reference)]
    assert result["both"] == one_label(*masks)
    assert result["back"] == one_label(prediction == 2, reference == 2)
    assert result["other"] == one_label(prediction == 7, reference == 7)


def test_what_is_to_be_ignored_in_the_reference_counts_in_neither_map():
    labels = Labels(values={"background": 0, "front": 1, "ignore": 7})
    prediction, reference = blobs(1), np.where(blobs(2) == 2, 7, blobs(2))
    known = reference != 7
    assert ((prediction == 1) & ~known).sum() > 0
    result = case_metrics(prediction, reference, UNIT, labels)
    assert result == {"front": one_label((prediction == 1) & known, (reference == 1) & known)}
