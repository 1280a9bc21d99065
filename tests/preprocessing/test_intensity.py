"""Oracles: the formulas in float64."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.core.fingerprint import IntensityStatistics
from autoseg.preprocessing.intensity import normalize, value_of_zero

STATISTICS = IntensityStatistics(
    mean=40.0, median=38.0, std=20.0, minimum=-900.0, maximum=900.0, percentile_00_5=-50.0, percentile_99_5=150.0
)


@pytest.fixture
def channel() -> np.ndarray:
    values = np.random.default_rng(0).normal(1e5, 300, (7, 8, 9)).astype(np.float32)
    values.flags.writeable = False
    return values


@pytest.fixture
def mask() -> np.ndarray:
    return np.random.default_rng(1).random((7, 8, 9)) > 0.4


def test_zscore(channel):
    exact = channel.astype(float)
    result = normalize(channel, "zscore", STATISTICS, None)
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, (exact - exact.mean()) / exact.std(), atol=1e-4)


def test_zscore_in_a_mask(channel, mask):
    inside = channel[mask].astype(float)
    result = normalize(channel, "zscore", STATISTICS, mask)
    np.testing.assert_allclose(result[mask], (inside - inside.mean()) / inside.std(), atol=1e-4)
    assert not result[~mask].any()


def test_zscore_of_a_constant_is_zero():
    assert not normalize(np.full((3, 3, 3), 7, np.float32), "zscore", STATISTICS, None).any()


def test_empty_mask_gives_zeros(channel):
    for scheme in ("zscore", "rescale_0_1", "ct"):
        assert not normalize(channel, scheme, STATISTICS, np.zeros(channel.shape, bool)).any()


def test_ct():
    values = np.array([[[-1000, -50, 0, 40, 150, 3000]]], np.float32)
    expected = (np.array([-50, -50, 0, 40, 150, 150]) - 40) / 20
    np.testing.assert_allclose(normalize(values, "ct", STATISTICS, None)[0, 0], expected, rtol=1e-6)


def test_rescale(channel, mask):
    result = normalize(channel, "rescale_0_1", STATISTICS, None)
    assert (result.min(), result.max()) == (0, 1)
    inside = normalize(channel, "rescale_0_1", STATISTICS, mask)
    assert (inside[mask].min(), inside[mask].max()) == (0, 1)
    assert not normalize(np.full((2, 2, 2), 5, np.float32), "rescale_0_1", STATISTICS, None).any()


def test_rgb_and_none():
    values = np.arange(256, dtype=np.float32).reshape(4, 8, 8)
    np.testing.assert_allclose(normalize(values, "rgb_0_1", STATISTICS, None), values / 255, rtol=1e-6)
    copy = normalize(values, "none", STATISTICS, None)
    np.testing.assert_array_equal(copy, values)
    assert not np.shares_memory(copy, values)


def test_result_of_a_view_is_contiguous(channel):
    assert normalize(channel.transpose(2, 0, 1)[::-1], "zscore", STATISTICS, None).flags.c_contiguous


def test_dataset_zscore(channel, mask):
    told = STATISTICS.model_copy(update={"whole_mean": 9e4, "whole_std": 250.0})
    expected = (channel.astype(float) - 9e4) / 250
    np.testing.assert_allclose(normalize(channel, "dataset_zscore", told, None), expected, rtol=1e-6)
    masked = normalize(channel, "dataset_zscore", told, mask)
    np.testing.assert_allclose(masked, np.where(mask, expected, 0), rtol=1e-6)
    zero = normalize(np.zeros((1, 1, 1), np.float32), "dataset_zscore", told, None)
    assert value_of_zero("dataset_zscore", told) == pytest.approx(float(zero[0, 0, 0]))
    assert value_of_zero("zscore", told) == 0
    with pytest.raises(ValueError, match="no statistics of whole images"):
        normalize(channel, "dataset_zscore", STATISTICS, None)
