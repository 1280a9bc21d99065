"""Averaging probabilities, against float64 on whole arrays."""

from dataclasses import replace

import numpy as np
import pytest
from skimage.transform import resize

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.inference.certainty import no_sums, soft_dice
from autoseg.inference.ensemble import PROBABILITY_ONE, Ensemble, average_labels
from autoseg.inference.predictor import load_predictor
from autoseg.preprocessing import prepare
from tests.inference.test_predictor import save_fold

SPACINGS = ((1.2, 1.0, 1.0), (2.0, 1.0, 0.8))


@pytest.fixture
def image():
    """20 x 24 x 16 voxels in a border of zeros, which is cropped."""
    voxels = 100 + np.random.default_rng(0).normal(size=(1, 20, 24, 16)).astype(np.float32)
    return Image(np.pad(voxels, ((0, 0), (2, 3), (4, 0), (0, 5))), np.diag([-1.0, 1.0, 1.2, 1.0]))


@pytest.fixture
def ensemble(tmp_path, tiny_plan):
    """Two configurations of random weights; the second resamples."""
    members = []
    for seed, spacing in enumerate(SPACINGS):
        configuration = tiny_plan.configurations["3d_fullres"].model_copy(update={"spacing_mm": spacing})
        plan = tiny_plan.model_copy(update={"configurations": {"3d_fullres": configuration}})
        folder = save_fold(tmp_path / f"{seed}/fold0", plan, seed)
        members.append(load_predictor([folder], "3d_fullres", "cpu", mirror=False))
    return Ensemble(members)


def float64_probabilities(logits, shape):
    """Resampled, then softmax, in float64."""
    logits = np.stack([resize(one.astype(np.float64), shape, order=1, mode="edge") for one in logits])
    exponential = np.exp(logits - logits.max(axis=0))
    return exponential / exponential.sum(axis=0)


def oracle(ensemble, image):
    """The mean probabilities on the stored grid, the background certain outside the crop."""
    cases = ensemble.prepare("case", image)
    trace = cases[0].trace
    box = tuple(slice(start, stop) for start, stop in trace.box)
    shape = [stop - start for start, stop in trace.box]
    mean = np.mean([float64_probabilities(one, shape) for one in ensemble.logits(cases)], axis=0)
    stored = np.zeros((len(mean), *(image.shape[axis] for axis in trace.reorientation.axes)))
    stored[0] = 1
    stored[:, *box] = mean
    return trace.reorientation.undo(stored)


def test_labels_and_probabilities_are_those_of_float64(ensemble, image):
    expected = oracle(ensemble, image)
    cases = ensemble.prepare("case", image)
    assert cases[0].trace.resampled_shape != cases[1].trace.resampled_shape
    labels, probabilities = ensemble.segment_with_probabilities(cases)
    assert probabilities.shape == (3, *image.shape)
    np.testing.assert_allclose(probabilities / PROBABILITY_ONE, expected, atol=2e-5)
    first, second = np.sort(expected, axis=0)[:-3:-1]
    clear = first - second > 1e-5
    assert clear.mean() > 0.99
    np.testing.assert_array_equal(labels[clear], expected.argmax(axis=0)[clear])
    assert len(np.unique(labels)) > 1


@pytest.mark.parametrize("waiting_bytes", [0, 2**27])
def test_labels_do_not_depend_on_when_they_are_made(ensemble, image, monkeypatch, waiting_bytes):
    cases = ensemble.prepare("case", image)
    monkeypatch.setattr("autoseg.inference.ensemble.WAITING_LOGITS_BYTES", waiting_bytes)
    np.testing.assert_array_equal(ensemble.segment(cases)(), ensemble.segment_with_probabilities(cases)[0])


def test_one_member_gives_the_labels_of_its_predictor(ensemble, image):
    for member in ensemble.members:
        alone = Ensemble([member])
        np.testing.assert_array_equal(alone.segment(alone.prepare("case", image))(), member.predict("case", image))


def test_groups_share_the_members(ensemble, image):
    cases = ensemble.prepare("case", image)
    logits, traces = ensemble.logits(cases), [case.trace for case in cases]
    labels = ensemble.plan.labels
    both, first, second = average_labels(logits, traces, labels, ((0, 1), (0,), (1,)))
    np.testing.assert_array_equal(both, ensemble.segment(cases)())
    for found, one, trace in zip((first, second), logits, traces, strict=True):
        np.testing.assert_array_equal(found, prepare.undo(one, trace, labels))
    assert (first != second).any()


def test_regions_are_painted_in_their_order_where_their_mean_exceeds_one_half(ensemble, image):
    cases = ensemble.prepare("case", image)
    trace = cases[0].trace
    shape = tuple(stop - start for start, stop in trace.box)
    rng = np.random.default_rng(0)
    logits = [rng.normal(size=(3, *case.trace.resampled_shape)).astype(np.float32) for case in cases]
    order = (1, 300, 2)
    regions = Labels(values={"background": 0, "a": (1, 2, 300), "b": (2, 300), "c": (2,)}, region_order=order)
    kept = np.empty((3, *shape), np.uint16)
    both, second = average_labels(logits, [case.trace for case in cases], regions, ((0, 1), (1,)), kept)
    resampled = [np.stack([resize(one.astype(np.float64), shape, order=1, mode="edge") for one in of]) for of in logits]
    single = [1 / (1 + np.exp(-one)) for one in resampled]
    mean = np.mean(single, axis=0)
    np.testing.assert_allclose(kept / PROBABILITY_ONE, mean, atol=2e-5)
    for labels, probability in ((both, mean), (second, single[1])):
        expected = np.zeros(shape, np.uint16)
        for region, value in zip(probability, order, strict=True):
            expected[region > 0.5] = value
        clear = (np.abs(probability - 0.5) > 1e-5).all(axis=0)
        assert clear.mean() > 0.99
        box = tuple(slice(start, stop) for start, stop in trace.box)
        np.testing.assert_array_equal(trace.reorientation.apply(labels)[box][clear], expected[clear])
        assert set(np.unique(labels)) == {0, 1, 2, 300}


def test_values_with_gaps_are_restored_and_regions_are_nowhere_outside_the_crop(ensemble, image):
    cases = ensemble.prepare("case", image)
    plain = ensemble.segment(cases)()
    gaps = Labels(values={"background": 0, "shell": 5, "core": 1000})
    regions = Labels(values={"background": 0, "a": (5, 7, 1000), "b": (7,), "c": (1000,)}, region_order=(5, 7, 1000))
    for labels in (gaps, regions):
        members = [replace(one, plan=one.plan.model_copy(update={"labels": labels})) for one in ensemble.members]
        found, probabilities = Ensemble(members).segment_with_probabilities(cases)
        if labels is gaps:
            np.testing.assert_array_equal(found, np.array([0, 5, 1000])[plain])
        outside = probabilities[:, 0, 0, 0]
        assert outside.tolist() == ([PROBABILITY_ONE, 0, 0] if labels is gaps else [0, 0, 0])


def test_models_of_other_labels_are_not_averaged(tmp_path, tiny_plan):
    other = tiny_plan.model_copy(update={"labels": Labels(values={"background": 0, "core": 1, "shell": 2})})
    folders = [save_fold(tmp_path / "a", tiny_plan), save_fold(tmp_path / "b", other)]
    with pytest.raises(BadInput, match="other channels, labels or axes"):
        Ensemble([load_predictor([folder], "3d_fullres", "cpu") for folder in folders])


def test_the_certainty_of_an_average_is_that_of_its_probabilities(ensemble, image):
    """Of each group on its own; the slabs are summed in one pass over the logits."""
    cases = ensemble.prepare("case", image)
    logits, traces, labels = ensemble.logits(cases), [case.trace for case in cases], ensemble.plan.labels
    sums = np.stack([no_sums(labels)] * 2)
    average_labels(logits, traces, labels, ((0, 1), (1,)), sums=sums)
    shape = tuple(stop - start for start, stop in traces[0].box)
    single = [float64_probabilities(one, shape) for one in logits]
    for probability, found in zip((np.mean(single, axis=0), single[1]), sums, strict=True):
        for number, name in enumerate(("shell", "core"), start=1):
            mask = probability.argmax(axis=0) == number
            expected = 2 * probability[number][mask].sum() / (probability[number].sum() + mask.sum())
            assert soft_dice(found, labels)[name] == pytest.approx(expected, rel=1e-3)
    own = no_sums(labels)
    ensemble.segment(cases, own)()
    np.testing.assert_allclose(own, sums[0])
    own[:] = 0
    ensemble.segment_with_probabilities(cases, own)
    np.testing.assert_allclose(own, sums[0])
