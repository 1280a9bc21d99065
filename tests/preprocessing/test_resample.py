"""Oracles: skimage.transform.resize in float64, batchgenerators' label resizing, torch's trilinear interpolation."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from batchgenerators.augmentations.utils import resize_segmentation
from scipy.ndimage import map_coordinates
from skimage.transform import resize

from autoseg.preprocessing.resample import (
    resample_image,
    resample_labels,
    separate_axis,
)

SHAPES = [
    ((20, 31, 17), (20, 31, 17)),
    ((20, 31, 17), (33, 31, 9)),
    ((13, 9, 150), (26, 18, 75)),
    ((40, 7, 21), (11, 23, 21)),
    ((1, 12, 9), (1, 7, 30)),
    ((3, 2, 1), (10, 1, 4)),
    ((130, 6, 6), (70, 12, 5)),
]


def blobs(shape: tuple[int, ...], labels: int, seed: int = 0) -> np.ndarray:
    """Noise labels in blocks of up to three voxels: many borders, many exact ties, -1 included."""
    random = np.random.default_rng(seed)
    coarse = random.integers(-1, labels, tuple(-(-size // 3) for size in shape))
    return np.kron(coarse, np.ones((3, 3, 3)))[tuple(slice(size) for size in shape)].astype(np.int16)


def slice_by_slice(volume: np.ndarray, shape_out: tuple[int, ...], axis: int, resize_slice) -> np.ndarray:
    """nnU-Net's rule for anisotropic images: each slice on its own, then the nearest slice along the axis."""
    in_plane = [size for other, size in enumerate(shape_out) if other != axis]
    slices = [resize_slice(np.take(volume, number, axis), in_plane) for number in range(volume.shape[axis])]
    stack = np.stack(slices, axis).astype(float)
    places = np.mgrid[tuple(slice(size) for size in shape_out)].astype(float)
    places[axis] = stack.shape[axis] / shape_out[axis] * (places[axis] + 0.5) - 0.5
    return map_coordinates(stack, places, order=0, mode="nearest")


@pytest.mark.parametrize("order", [1, 3])
@pytest.mark.parametrize(("shape_in", "shape_out"), SHAPES)
def test_image_equals_skimage(shape_in, shape_out, order):
    image = np.random.default_rng(0).normal(3, 2, (2, *shape_in)).astype(np.float32)
    result = resample_image(image, shape_out, order)
    assert result.dtype == np.float32
    assert result.flags.c_contiguous
    for channel, resampled in zip(image, result, strict=True):
        expected = resize(channel.astype(float), shape_out, order, mode="edge", anti_aliasing=False)
        np.testing.assert_allclose(resampled, expected, rtol=0, atol=1e-5 * max(np.ptp(channel), 1e-3))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_image_with_a_separate_axis_is_resampled_slice_by_slice(axis):
    volume = np.random.default_rng(1).normal(size=(9, 12, 15)).astype(np.float32)
    for shape_out in [(18, 17, 10), (5, 20, 31), (9, 12, 20), (9, 6, 7)]:
        expected = slice_by_slice(
            volume.astype(float), shape_out, axis, lambda s, to: resize(s, to, 3, mode="edge", anti_aliasing=False)
        )
        result = resample_image(volume[None], shape_out, separate_axis=axis)[0]
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5 * np.ptp(volume))


def test_image_stays_in_its_range():
    image = np.zeros((1, 8, 8, 8), np.float32)
    image[0, 3:5, 3:5, 3:5] = 1
    unclipped = resize(image[0].astype(float), (13, 13, 13), 3, mode="edge", anti_aliasing=False, clip=False)
    assert unclipped.min() < -0.01
    result = resample_image(image, (13, 13, 13))
    assert result.min() == 0
    assert result.max() <= 1


@pytest.mark.parametrize(("shape_in", "shape_out"), SHAPES)
@pytest.mark.parametrize("labels", [1, 2, 7])
def test_labels_equal_one_hot_argmax_with_ties(shape_in, shape_out, labels):
    for seed in range(3):
        volume = blobs(shape_in, labels, seed)
        result = resample_labels(volume, shape_out)
        assert result.dtype == np.int16
        np.testing.assert_array_equal(result, resize_segmentation(volume, shape_out, 1))


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_labels_with_a_separate_axis_are_resampled_slice_by_slice(axis):
    volume = blobs((9, 12, 15), 4)
    for shape_out in [(18, 17, 10), (5, 20, 31), (9, 12, 20)]:
        expected = slice_by_slice(volume, shape_out, axis, lambda s, to: resize_segmentation(s, to, 1))
        np.testing.assert_array_equal(resample_labels(volume, shape_out, separate_axis=axis), expected)


def test_inputs_are_not_written_to():
    image, labels = np.random.default_rng(0).normal(size=(1, 5, 5, 5)).astype(np.float32), blobs((5, 5, 5), 3)
    image_before, labels_before = image.copy(), labels.copy()
    for shape in [(5, 5, 5), (8, 4, 5)]:
        resample_image(image, shape)
        resample_labels(labels, shape)
    np.testing.assert_array_equal(image, image_before)
    np.testing.assert_array_equal(labels, labels_before)


@pytest.mark.parametrize(
    ("spacing", "new", "expected"),
    [
        ((1, 1, 1), (1, 1, 1), None),
        ((5, 1, 1), (1, 1, 1), 0),
        ((1, 0.5, 7.5), (1, 1, 1), 2),
        ((3, 1, 1), (1, 1, 1), None),  # exactly 3 is not more than 3
        ((1, 1, 1), (1, 4, 1), 1),
        ((0.24, 1.25, 1.25), (4, 1, 1), None),  # tied: the new spacing is not asked
        ((5, 1, 1), (1, 1, 5), 0),
    ],
)
def test_separate_axis(spacing, new, expected):
    assert separate_axis(spacing, new) == expected


def test_real_labels_equal_batchgenerators(real_data: Path):
    import nibabel as nib

    path = next((real_data / "hippocampus-a" / "derivatives").rglob("*_dseg.nii.gz"))
    labels = np.asarray(nib.load(path).dataobj).round().astype(np.int16)
    shape_out = tuple(round(size * 1.3) for size in labels.shape)
    np.testing.assert_array_equal(resample_labels(labels, shape_out), resize_segmentation(labels, shape_out, 1))
