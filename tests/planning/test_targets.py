"""Target spacing, axis order and normalisation, on small cases worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.planning.targets import (
    DatasetSummary,
    mask_normalization,
    normalization,
    resampled_shapes,
    summarize,
    target_spacing,
    transpose_forward,
)


def summary(spacings, shapes) -> DatasetSummary:
    return DatasetSummary(np.array(spacings, float), np.array(shapes), len(spacings), 2, ("MR",), 1.0)


def test_summary_is_in_zyx_order(make_fingerprint) -> None:
    result = summarize(make_fingerprint(shape=(10, 20, 30), spacing_mm=(1, 2, 3), num_cases=2, labels={"lesion": 1}))
    assert result.shapes.tolist() == [[30, 20, 10]] * 2
    assert result.spacings_mm.tolist() == [[3, 2, 1]] * 2
    assert (result.num_training, result.num_labels) == (2, 2)


def test_target_is_the_median() -> None:
    target = target_spacing(summary([(1, 1, 2), (2, 1, 1), (3, 1.5, 1)], [(50, 50, 50)] * 3))
    assert target.tolist() == [2, 1, 1]


def test_few_thick_slices_take_the_tenth_percentile() -> None:
    spacings = [(z, 1, 1) for z in (4, 5, 6, 7, 8)]
    assert target_spacing(summary(spacings, [(20, 100, 100)] * 5))[0] == pytest.approx(4.4)
    assert target_spacing(summary(spacings, [(40, 100, 100)] * 5))[0] == 6  # many slices: the median


def test_the_percentile_stays_the_coarsest_axis() -> None:
    spacings = [(z, 1, 1) for z in (0.5, 0.6, 6, 7, 8)]
    assert target_spacing(summary(spacings, [(20, 100, 100)] * 5))[0] == pytest.approx(1 + 1e-5, abs=1e-9)


@pytest.mark.parametrize(
    ("spacing", "order"),
    [((1, 1, 1), (0, 1, 2)), ((1, 3, 2), (1, 0, 2)), ((1, 1, 2), (2, 0, 1)), ((1, 2, 2), (1, 0, 2))],
)
def test_coarsest_axis_comes_first_and_ties_go_to_the_earlier(spacing, order) -> None:
    assert transpose_forward(np.array(spacing, float)) == order


def test_resampled_shapes_round_half_to_even() -> None:
    shapes = resampled_shapes(summary([(0.5, 0.5, 0.5)], [(5, 7, 100)]), np.array([1.0, 1.0, 300.0]))
    assert shapes.tolist() == [[2, 4, 0]]


@pytest.mark.parametrize(
    ("channel", "scheme"),
    [
        ("CT", "ct"),
        ("ct", "ct"),
        ("noNorm", "none"),
        ("T1w", "zscore"),
        ("zscore", "zscore"),
        ("rescale_to_0_1", "rescale_0_1"),
        ("RGB_to_0_1", "rgb_0_1"),
    ],
)
def test_normalization_by_channel_name(channel: str, scheme: str) -> None:
    assert normalization(channel) == scheme


def test_only_zscores_of_mostly_empty_images_are_masked() -> None:
    assert mask_normalization("T1w", 0.74)
    assert not mask_normalization("T1w", 0.75)
    assert not mask_normalization("CT", 0.5)
