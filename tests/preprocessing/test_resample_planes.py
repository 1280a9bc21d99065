"""Planes against the whole, bit for bit; that is tested against skimage (test_resample)."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.fingerprint import IntensityStatistics
from autoseg.io.images import list_images, read_image
from autoseg.preprocessing import resample_planes as module
from autoseg.preprocessing.intensity import normalize, normalized_planes
from autoseg.preprocessing.resample import resample_image
from autoseg.preprocessing.resample_planes import resample_planes
from tests.preprocessing.test_resample import SHAPES

STATISTICS = IntensityStatistics(
    mean=1.0,
    median=1.0,
    std=2.0,
    minimum=-9.0,
    maximum=9.0,
    percentile_00_5=-2.0,
    percentile_99_5=4.0,
    whole_mean=0.5,
    whole_std=3.0,
)
MORE = [((150, 20, 12), (190, 24, 10)), ((90, 14, 12), (90, 20, 9)), ((200, 8, 9), (70, 12, 13))]


def by_planes(channel: np.ndarray, shape_out: tuple[int, ...], flat: bool, order=3) -> np.ndarray:
    result = np.full(shape_out, np.nan, np.float32)
    resample_planes(lambda planes: channel[planes].copy(), channel.shape, result, order, flat)
    return result


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("slab_bytes", [1, 20_000, 2**26])
@pytest.mark.parametrize(("shape_in", "shape_out"), SHAPES + MORE)
def test_planes_are_those_of_the_whole(shape_in, shape_out, slab_bytes, flat, order, monkeypatch):
    """To the rounding of tiny matrix products, which BLAS computes in another way than others."""
    monkeypatch.setattr(module, "SLAB_BYTES", slab_bytes)
    channel = np.random.default_rng(0).normal(3, 2, shape_in).astype(np.float32)
    whole = resample_image(channel[None], shape_out, order, 0 if flat else None)[0]
    np.testing.assert_allclose(by_planes(channel, shape_out, flat, order), whole, rtol=0, atol=1e-5)


@pytest.mark.parametrize("flat", [False, True])
@pytest.mark.parametrize("shape_out", [(190, 77, 90), (130, 84, 70), (165, 60, 99), (150, 90, 80), (210, 70, 80)])
def test_planes_are_those_of_the_whole_bit_for_bit(shape_out, flat, monkeypatch):
    monkeypatch.setattr(module, "SLAB_BYTES", 4 * 20 * 70 * 80)
    channel = np.random.default_rng(3).normal(3, 2, (150, 70, 80)).astype(np.float32)
    whole = resample_image(channel[None], shape_out, separate_axis=0 if flat else None)[0]
    np.testing.assert_array_equal(by_planes(channel, shape_out, flat), whole)


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("scheme", ["zscore", "ct", "dataset_zscore", "rescale_0_1", "rgb_0_1", "none"])
def test_normalised_planes_are_those_of_the_whole(scheme, masked):
    channel = np.random.default_rng(1).normal(3, 2, (9, 12, 23)).astype(np.float32).transpose(2, 0, 1)
    mask = channel > 1 if masked else None
    whole = normalize(channel, scheme, STATISTICS, mask)
    planes = normalized_planes(channel, scheme, STATISTICS, mask, 5)
    found = np.concatenate([planes(slice(start, start + 4)) for start in range(0, 23, 4)])
    np.testing.assert_array_equal(found, whole)


def test_only_some_planes_are_held(monkeypatch):
    monkeypatch.setattr(module, "SLAB_BYTES", 2**18)
    channel = np.random.default_rng(2).normal(size=(600, 40, 40)).astype(np.float32)
    result = np.zeros((660, 44, 44), np.float32)
    resample_planes(lambda planes: channel[planes].copy(), channel.shape, result)  # the matrices are made and kept
    tracemalloc.start()
    resample_planes(lambda planes: channel[planes].copy(), channel.shape, result)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    resample_image(channel[None], result.shape)
    of_the_whole = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 0.5 * result.nbytes < result.nbytes < of_the_whole


@pytest.mark.parametrize("factor", [0.8, 1.3])
def test_real_images_are_the_same(real_data: Path, factor, monkeypatch):
    monkeypatch.setattr(module, "SLAB_BYTES", 2**18)
    compared = 0
    for folder in sorted(real_data.glob("*/sub-*/anat"))[:6]:
        voxels = read_image(list_images(folder)[0]).voxels[0]
        shape_out = tuple(max(1, round(factor * size)) for size in voxels.shape)
        for flat in (False, True):
            normalized = normalize(voxels, "zscore", STATISTICS, None)
            whole = resample_image(normalized[None], shape_out, 3, 0 if flat else None)[0]
            result = np.empty(shape_out, np.float32)
            planes = normalized_planes(voxels, "zscore", STATISTICS, None, 7)
            resample_planes(planes, voxels.shape, result, flat=flat)
            np.testing.assert_array_equal(result, whole)
            compared += 1
    assert compared > 4
