"""The soft Dice of a prediction with itself, against sums over whole arrays in float64."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest

from autoseg.core.case import Image
from autoseg.core.labels import Labels
from autoseg.inference.certainty import logits_sums, no_sums, overlap_sums, soft_dice
from autoseg.inference.predictor import load_predictor
from autoseg.preprocessing import resample_slabs
from tests.inference.test_predictor import save_fold

EXCLUSIVE = Labels(values={"background": 0, "core": 2, "shell": 1})
REGIONS = Labels(values={"background": 0, "whole": (1, 2, 3), "inner": (2, 3), "tip": (3,)}, region_order=(1, 2, 3))
INDEPENDENT = Labels(values={"background": 0, "a": 1, "b": 2, "c": 3}, region_order=(1, 2, 3), independent=True)


def by_hand(logits, labels):
    """label -> soft Dice, voxel by voxel."""
    values = logits.astype(np.float64).reshape(len(logits), -1).T
    both, sizes, masks = ({name: 0.0 for name in labels.output_names} for _ in range(3))
    for voxel in values:
        if labels.has_regions:
            probabilities = dict(zip(labels.output_names, 1 / (1 + np.exp(-voxel)), strict=True))
            value = 0
            for name, written in zip(labels.output_names, labels.region_order, strict=True):
                value = written if probabilities[name] > 0.5 else value
        else:
            exponentials = np.exp(voxel - voxel.max())
            softmax = exponentials / exponentials.sum()
            value = labels.stored_values[int(voxel.argmax())]
            probabilities = {name: softmax[labels.foreground[name][0]] for name in labels.output_names}
        for name, probability in probabilities.items():
            inside = value in labels.foreground[name]
            sizes[name] += probability
            both[name] += probability * inside
            masks[name] += inside
    return {name: 2 * both[name] / (sizes[name] + masks[name]) if masks[name] else None for name in both}


@pytest.mark.parametrize("labels", [EXCLUSIVE, REGIONS, INDEPENDENT])
@pytest.mark.parametrize("slab_bytes", [1, 2**21])
def test_the_sums_are_those_of_a_loop_over_voxels(labels, slab_bytes, monkeypatch):
    monkeypatch.setattr(resample_slabs, "SLAB_BYTES", slab_bytes)
    logits = 3 * np.random.default_rng(0).normal(size=(labels.num_outputs, 7, 6, 5)).astype(np.float32)
    found = soft_dice(logits_sums(logits, labels), labels)
    expected = by_hand(logits, labels)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, rel=1e-5)


def test_certain_voxels_have_a_dice_of_one_and_labels_that_are_nowhere_have_none():
    logits = np.full((3, 4, 4, 4), -50, np.float32)
    logits[0] = 50
    logits[:, 1:3, 1:3, 1:3] = np.array([-50, 50, -50])[:, None, None, None]
    assert soft_dice(logits_sums(logits, EXCLUSIVE), EXCLUSIVE) == {"shell": pytest.approx(1), "core": None}


def test_probabilities_may_be_sums_of_several():
    probabilities = np.random.default_rng(0).dirichlet((1, 1, 1), size=(3, 4, 5)).transpose(3, 0, 1, 2)
    indices = probabilities.argmax(axis=0)
    once = overlap_sums(probabilities.astype(np.float32), indices, EXCLUSIVE)
    thrice = overlap_sums(3 * probabilities.astype(np.float32), indices, EXCLUSIVE, 3)
    np.testing.assert_allclose(once, thrice, rtol=1e-5)


@pytest.mark.parametrize("stretch", [1.0, 1.5])
@pytest.mark.parametrize("waiting_bytes", [0, 2**27])
def test_a_prediction_needs_no_other_pass(tmp_path, tiny_plan, tiny_bids, monkeypatch, stretch, waiting_bytes):
    """With and without resampling: the same labels, as many forward passes, the sums of the logits."""
    monkeypatch.setattr("autoseg.inference.predictor.WAITING_LOGITS_BYTES", waiting_bytes)
    stored = nibabel.load(tiny_bids / "sub-00/anat/sub-00_T1w.nii.gz")
    image = Image(np.asarray(stored.dataobj, np.float32)[None], stored.affine @ np.diag([stretch, 1, 1, 1]))
    predictor = load_predictor([save_fold(tmp_path / "fold0", tiny_plan)], "3d_fullres", "cpu", mirror=False)
    passes = []
    (engine,) = predictor.engines

    def counting(batch):
        passes.append(len(batch))
        return engine(batch)

    predictor = replace(predictor, engines=[counting])
    case = predictor.prepare("case", image)
    plain, plain_passes = predictor.segment(case)(), sum(passes)
    passes.clear()
    sums = no_sums(tiny_plan.labels)
    np.testing.assert_array_equal(predictor.segment(case, sums)(), plain)
    assert sum(passes) == plain_passes > 0
    expected = by_hand(predictor.logits(case.image), tiny_plan.labels)
    assert soft_dice(sums, tiny_plan.labels) == pytest.approx(expected, rel=1e-4)
