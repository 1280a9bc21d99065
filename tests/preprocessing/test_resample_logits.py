"""Labels from logits: torch's interpolation as oracle, and slabs against the whole, bit for bit."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
import torch
from skimage.transform import resize

from autoseg.preprocessing import resample_logits
from autoseg.preprocessing.resample_logits import labels_of_slabs, resample_logits_to_labels
from tests.preprocessing.test_resample import SHAPES, slice_by_slice


@pytest.mark.parametrize(("shape_in", "shape_out"), SHAPES)
@pytest.mark.parametrize("classes", [1, 2, 5])
def test_logits_equal_torch_interpolation_then_argmax(shape_in, shape_out, classes):
    logits = np.random.default_rng(classes).normal(size=(classes, *shape_in)).astype(np.float32)
    interpolated = torch.nn.functional.interpolate(
        torch.from_numpy(logits).double()[None], shape_out, mode="trilinear", align_corners=False
    )[0].numpy()
    result = resample_logits_to_labels(logits, shape_out)
    assert result.dtype == np.uint8
    chosen = np.take_along_axis(interpolated, result[None].astype(np.int64), 0)[0]
    np.testing.assert_allclose(chosen, interpolated.max(0), rtol=0, atol=1e-5)  # a near-tie may go either way
    assert (result == interpolated.argmax(0)).mean() > 0.999


def test_logits_with_a_separate_axis():
    logits = np.random.default_rng(4).normal(size=(3, 6, 9, 8)).astype(np.float32)
    for shape_out in [(13, 15, 11), (3, 15, 11), (6, 20, 8)]:
        expected = np.stack(
            [slice_by_slice(c.astype(float), shape_out, 0, lambda s, to: resize(s, to, 1, mode="edge")) for c in logits]
        )
        result = resample_logits_to_labels(logits, shape_out, separate_axis=0)
        np.testing.assert_array_equal(result, expected.argmax(0))


def test_many_classes_and_ties():
    logits = np.zeros((300, 4, 4, 4), np.float32)
    logits[299, 2:] = 1
    result = resample_logits_to_labels(logits, (8, 4, 4))
    assert result.dtype == np.uint16
    # Between planes 1 and 2 the weight of class 299 is 1/4, then 3/4: positive, so it wins both.
    np.testing.assert_array_equal(result[:, 0, 0], [0, 0, 0, 299, 299, 299, 299, 299])
    assert resample_logits_to_labels(logits, (4, 4, 4))[0, 0, 0] == 0


def test_logits_need_memory_for_labels_only():
    logits = np.random.default_rng(0).normal(size=(40, 12, 12, 12)).astype(np.float32)
    tracemalloc.start()
    result = resample_logits_to_labels(logits, (64, 64, 64))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * result.nbytes + 2e6  # all interpolated logits would be 160 times the labels


def in_slabs(logits, thick):
    """Slabs of up to ``thick`` planes in one array that is used again, as the sliding window gives them."""
    buffer = np.empty((len(logits), thick, *logits.shape[2:]), np.float32)
    for start in range(0, logits.shape[1], thick):
        stop = min(start + thick, logits.shape[1])
        buffer[...] = np.nan
        buffer[:, : stop - start] = logits[:, start:stop]
        yield slice(start, stop), buffer[:, : stop - start]


@pytest.mark.parametrize("written", [(), (2, 1, 3)])
@pytest.mark.parametrize("separate", [None, 0, 1])
@pytest.mark.parametrize(("shape_in", "shape_out"), SHAPES)
def test_slabs_give_the_labels_of_the_whole(shape_in, shape_out, separate, written, monkeypatch):
    random = np.random.default_rng(5)
    logits = random.normal(size=(3, *shape_in)).astype(np.float32).round(1)  # with ties
    expected = resample_logits_to_labels(logits, shape_out, separate, written)
    for thick, part_bytes in ((1, 1), (4, 20_000), (7, 1), (1000, 2**25)):
        monkeypatch.setattr(resample_logits, "PART_BYTES", part_bytes)
        found = list(labels_of_slabs(in_slabs(logits, thick), logits.shape, shape_out, separate, written))
        assert [plane for planes, _ in found for plane in range(planes.start, planes.stop)] == list(range(shape_out[0]))
        together = np.concatenate([labels for _, labels in found])
        assert together.dtype == expected.dtype
        np.testing.assert_array_equal(together, expected)


def test_every_slab_is_asked_for():
    """What is done with each beside (sums of certainty) is done with all."""
    logits, seen = np.zeros((2, 20, 3, 3), np.float32), []

    def watched():
        for planes, slab in in_slabs(logits, 3):
            seen.append(planes.start)
            yield planes, slab

    list(labels_of_slabs(watched(), logits.shape, (2, 3, 3), 0))  # takes planes 5 and 15
    assert seen == list(range(0, 20, 3))
