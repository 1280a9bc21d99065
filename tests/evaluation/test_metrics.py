"""Overlap against sets of voxels and SimpleITK, distances of all labels against brute force, and the empty cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.geometry import spacing_mm
from autoseg.core.labels import Labels
from autoseg.evaluation.metrics import case_metrics
from autoseg.evaluation.scores import FAMILIES, LabelMetrics, score_names
from tests.evaluation.masks import UNIT, Mask, blobs, brute_force_distances, cube

LABELS = Labels(values={"background": 0, "front": 1, "back": 2})


def one_label(prediction: Mask, reference: Mask, families: tuple[str, ...] = tuple(FAMILIES)) -> LabelMetrics:
    maps = prediction.astype(np.uint8), reference.astype(np.uint8)
    return case_metrics(*maps, UNIT, Labels(values={"it": 1}), families)["it"]


def all_scores(metrics: LabelMetrics) -> dict[str, float]:
    """The scores that exist."""
    return {name: getattr(metrics, name) for name in score_names(FAMILIES) if getattr(metrics, name) is not None}


@pytest.mark.parametrize("seed", range(4))
def test_overlap_equals_counting_voxels(seed: int) -> None:
    prediction, reference, spacing = blobs(seed), blobs(seed + 100), (0.5, 2.0, 1.5)
    result = case_metrics(prediction, reference, spacing, LABELS, families=[])
    assert list(result) == ["front", "back"]
    for name, metrics in result.items():
        found = {tuple(voxel) for voxel in np.argwhere(prediction == LABELS.values[name]).tolist()}
        wanted = {tuple(voxel) for voxel in np.argwhere(reference == LABELS.values[name]).tolist()}
        assert metrics.dice == pytest.approx(2 * len(found & wanted) / (len(found) + len(wanted)), rel=1e-12)
        assert metrics.iou == pytest.approx(len(found & wanted) / len(found | wanted), rel=1e-12)
        assert metrics.precision == pytest.approx(len(found & wanted) / len(found), rel=1e-12)
        assert metrics.recall == pytest.approx(len(found & wanted) / len(wanted), rel=1e-12)
        background = prediction.size - len(wanted)
        assert metrics.specificity == pytest.approx((background - len(found - wanted)) / background, rel=1e-12)
        if shared := len(found & wanted):
            assert metrics.conformity_percent == pytest.approx(100 * (1 - len(found ^ wanted) / shared), rel=1e-12)
            assert metrics.conformity_percent == pytest.approx(100 * (3 - 2 / metrics.dice), rel=1e-12)
        else:
            assert metrics.conformity_percent is None
        assert metrics.volume_error_percent == pytest.approx(100 * (len(found) / len(wanted) - 1), rel=1e-12)
        assert metrics.predicted_volume_mm3 == pytest.approx(1.5 * len(found), rel=1e-12)
        assert metrics.reference_volume_mm3 == pytest.approx(1.5 * len(wanted), rel=1e-12)
        assert set(all_scores(metrics)) <= set(score_names(["overlap"]))
        assert metrics.families == ("overlap",)


def test_overlap_equals_simpleitk() -> None:
    import SimpleITK as sitk

    prediction, reference = blobs(5), blobs(6)
    measures = sitk.LabelOverlapMeasuresImageFilter()
    measures.Execute(*(sitk.GetImageFromArray(voxels.astype(np.uint8)) for voxels in (prediction, reference)))
    for name, metrics in case_metrics(prediction, reference, UNIT, LABELS, families=[]).items():
        value = LABELS.values[name]
        assert metrics.dice == pytest.approx(measures.GetDiceCoefficient(value), rel=1e-9)
        assert metrics.iou == pytest.approx(measures.GetJaccardCoefficient(value), rel=1e-9)
        assert metrics.recall == pytest.approx(1 - measures.GetFalseNegativeError(value), rel=1e-9)
        assert metrics.precision == pytest.approx(1 - measures.GetFalseDiscoveryRate(value), rel=1e-9)
        assert metrics.specificity == pytest.approx(1 - measures.GetFalsePositiveError(value), rel=1e-9)


@pytest.mark.parametrize(("seed", "spacing"), [(0, UNIT), (1, (0.7, 3.0, 1.1)), (2, (2.5, 0.4, 0.4))])
def test_surface_scores_equal_brute_force(seed: int, spacing: tuple[float, float, float]) -> None:
    prediction, reference = blobs(seed), blobs(seed + 50)
    result = case_metrics(prediction, reference, spacing, LABELS, tolerance_mm=1.3)
    for name, metrics in result.items():
        value = LABELS.values[name]
        there, back = brute_force_distances(prediction == value, reference == value, spacing)
        pooled = [*there, *back]
        assert metrics.hd_mm == pytest.approx(max(pooled), rel=1e-9)
        assert metrics.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-9)
        assert metrics.assd_mm == pytest.approx(sum(pooled) / len(pooled), rel=1e-9)
        assert metrics.nsd == pytest.approx(sum(distance <= 1.3 for distance in pooled) / len(pooled), rel=1e-12)


def test_equal_maps_are_perfect() -> None:
    result = case_metrics(blobs(3), blobs(3), (1.0, 2.0, 3.0), LABELS)["front"]
    assert (result.dice, result.iou, result.precision, result.recall, result.nsd) == (1, 1, 1, 1, 1)
    assert (result.hd_mm, result.hd95_mm, result.assd_mm, result.volume_error_percent) == (0, 0, 0, 0)
    assert (result.specificity, result.conformity_percent) == (1, 100)


def test_masks_at_the_border_of_the_image_have_a_surface_there() -> None:
    full = np.ones((5, 5, 5), bool)
    scores = one_label(full, cube((0, 0, 0), 1, (5, 5, 5)))
    there, back = brute_force_distances(full, cube((0, 0, 0), 1, (5, 5, 5)), UNIT)
    assert scores.hd95_mm == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)))


NOTHING = np.zeros((20, 20, 20), bool)


def test_absent_label_has_no_scores() -> None:
    result = one_label(NOTHING, NOTHING)
    assert (result.absent, result.missed, result.spurious) == (True, False, False)
    assert all_scores(result) == {}


def test_missed_label_scores_zero() -> None:
    result = one_label(NOTHING, cube((1, 1, 1)))
    assert (result.absent, result.missed, result.spurious) == (False, True, False)
    zero = dict.fromkeys(("dice", "iou", "recall", "nsd", "lesion_sensitivity", "lesion_f1"), 0)
    assert all_scores(result) == {**zero, "specificity": 1, "volume_error_percent": -100}
    assert (result.num_predicted_lesions, result.num_reference_lesions) == (0, 1)


def test_spurious_label_scores_zero() -> None:
    result = one_label(cube((1, 1, 1)), NOTHING)
    assert (result.absent, result.missed, result.spurious) == (False, False, True)
    zero = dict.fromkeys(("dice", "iou", "precision", "nsd", "lesion_ppv", "lesion_f1"), 0)
    assert all_scores(result) == {**zero, "specificity": pytest.approx(1 - 6**3 / 20**3)}
    assert (result.num_predicted_lesions, result.num_reference_lesions) == (1, 0)
    assert one_label(cube((1, 1, 1)), NOTHING, ("overlap",)).nsd is None


def test_a_label_that_fills_the_image_has_no_specificity() -> None:
    assert one_label(cube((0, 0, 0), 3, (3, 3, 3)), cube((0, 0, 0), 3, (3, 3, 3))).specificity is None


def test_conformity_does_not_exist_without_a_common_voxel() -> None:
    result = one_label(cube((0, 0, 0)), cube((10, 0, 0)))
    assert result.conformity_percent is None
    assert one_label(cube((0, 0, 0), 2), cube((1, 1, 1), 2)).conformity_percent == 100 * (1 - 14)


def test_disjoint_cubes_overlap_nowhere() -> None:
    result = one_label(cube((0, 0, 0)), cube((10, 0, 0)))
    assert (result.dice, result.precision, result.recall, result.nsd) == (0, 0, 0, 0)
    assert (result.hd_mm, result.hd95_mm, result.hd_voxels) == (10, 10, 10)
    assert (result.lesion_sensitivity, result.lesion_ppv, result.lesion_f1) == (0, 0, 0)


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
    result = case_metrics(prediction, reference, UNIT, regions, FAMILIES)
    masks = [np.isin(label_map, (1, 2)) for label_map in (prediction, reference)]
    assert result["both"] == one_label(*masks)
    assert result["back"] == one_label(prediction == 2, reference == 2)
    assert result["other"] == one_label(prediction == 7, reference == 7)


def test_what_is_to_be_ignored_in_the_reference_counts_in_neither_map():
    labels = Labels(values={"background": 0, "front": 1, "ignore": 7})
    prediction, reference = blobs(1), np.where(blobs(2) == 2, 7, blobs(2))
    known = reference != 7
    assert ((prediction == 1) & ~known).sum() > 0
    (metrics,) = case_metrics(prediction, reference, UNIT, labels, FAMILIES).values()
    without = one_label((prediction == 1) & known, (reference == 1) & known)
    assert metrics == replace(without, specificity=metrics.specificity)
    negatives = known & (reference != 1)
    assert metrics.specificity == pytest.approx(1 - (negatives & (prediction == 1)).sum() / negatives.sum())


def test_families_are_those_that_were_asked_for() -> None:
    result = one_label(cube((1, 1, 1)), cube((2, 2, 2)), ("lesions", "voxels"))
    assert result.families == ("overlap", "voxels", "lesions")
    assert set(all_scores(result)) == set(score_names(result.families))
    with pytest.raises(BadInput, match="no family of scores called 'surfaces'; choose of overlap, surface"):
        one_label(cube((1, 1, 1)), cube((2, 2, 2)), ("surfaces",))


def test_skeletons_are_those_of_slices_across_the_axial_axis() -> None:
    bar = np.zeros((8, 30, 9), np.uint8)
    bar[:, 2:28, 3] = 1
    moved = np.roll(bar, 2, axis=2)
    for axis, distance_mm in ((0, 3.0), (1, 3.0), (2, None)):  # across axis 2 no slice holds both
        metrics = case_metrics(bar, moved, (1.0, 0.5, 1.5), Labels(values={"it": 1}), ["skeleton"], axial_axis=axis)
        assert metrics["it"].shd_mm == (None if distance_mm is None else pytest.approx(distance_mm, abs=0.1))
