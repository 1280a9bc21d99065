"""Rotation and scaling against batchgeneratorsv2 and scipy, and how much of a case they need."""

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform
from scipy import ndimage

from autoseg.training import spatial
from autoseg.training.augmentation import rotation
from autoseg.training.spatial import resample, window

SHAPES = {2: (37, 44), 3: (23, 30, 26)}
PATCHES = {2: (32, 25), 3: (16, 21, 18)}


def case(shape, channels=2, seed=0):
    """Noise, and coarse blocks of labels with some noise in them."""
    random = np.random.default_rng(seed)
    image = random.normal(size=(channels, *shape)).astype(np.float32)
    blocks = random.integers(-1, 5, [-(-size // 5) for size in shape])
    labels = np.kron(blocks, np.ones([5] * len(shape), int))[tuple(slice(size) for size in shape)]
    labels = np.where(random.random(shape) < 0.03, random.integers(0, 5, shape), labels)
    return image, labels.astype(np.int16)


def cut(image, labels, box):
    """What reading the box of a stored case gives."""
    margin = 8
    where = tuple(slice(a + margin, b + margin) for a, b in box)
    padded = np.pad(image, ((0, 0), *[(margin, margin)] * labels.ndim))
    return padded[(slice(None), *where)], np.pad(labels, margin, constant_values=-1)[where]


def moved(image, labels, matrix, patch, around):
    needed = window(matrix, patch, around, labels.shape)
    part, part_labels = cut(image, labels, needed.box)
    return part, resample(part, part_labels, matrix, needed.centre, patch)


def undecided(labels, matrix, middle, patch):
    """Points at which the two largest weights differ by less than float16 can tell, in double precision."""
    offset = np.array(middle) - matrix @ ((np.array(patch) - 1) / 2)
    scores = np.stack(
        [
            ndimage.affine_transform(
                (labels == label).astype(float), matrix, offset, patch, order=1, mode="grid-constant", cval=label == -1
            )
            for label in range(-1, 5)
        ]
    )
    largest = np.sort(scores, axis=0)
    return largest[-1] - largest[-2] < 2e-3, scores.argmax(axis=0) - 1


@pytest.mark.parametrize("dimensions", [2, 3])
@pytest.mark.parametrize(("p_rotation", "p_scaling"), [(1, 0), (0, 1), (1, 1)])
def test_moved_patches_are_those_of_batchgeneratorsv2(dimensions, p_rotation, p_scaling):
    shape, patch = SHAPES[dimensions], PATCHES[dimensions]
    peer = SpatialTransform(
        patch,
        0,
        False,
        p_rotation=p_rotation,
        rotation=(-0.6, 0.6),
        p_scaling=p_scaling,
        scaling=(0.7, 1.4),
        p_synchronize_scaling_across_axes=1,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )
    for seed in range(5):
        image, labels = case(shape, seed=seed)
        np.random.seed(seed)
        parameters = peer.get_parameters(image=torch.from_numpy(image))
        expected = peer._apply_to_image(torch.from_numpy(image), **parameters).numpy()
        expected_labels = peer._apply_to_segmentation(torch.from_numpy(labels)[None], **parameters)[0].numpy()
        around = tuple((0, size) for size in shape)
        _, (out, out_labels) = moved(image, labels, parameters["affine"], patch, around)
        np.testing.assert_allclose(out, expected, atol=3e-5)
        close, _ = undecided(labels, parameters["affine"], [(size - 1) / 2 for size in shape], patch)
        assert close.mean() < 0.04
        np.testing.assert_array_equal(out_labels[~close], expected_labels[~close])


def test_rotations_are_those_of_batchgeneratorsv2():
    from batchgeneratorsv2.transforms.spatial.spatial import create_affine_matrix_2d, create_affine_matrix_3d

    angles = (0.3, -0.7, 1.1)
    np.testing.assert_allclose(rotation(angles), create_affine_matrix_3d(angles, (1, 1, 1)), atol=1e-12)
    np.testing.assert_allclose(rotation(angles[2:]), create_affine_matrix_2d(angles[2], (1, 1)), atol=1e-12)


@pytest.mark.parametrize("start", [(-9, -11, -8), (20, 3, 14), (-60, 0, 0), (5, 60, 2)])
def test_patches_at_and_beyond_the_edges_are_those_of_a_padded_case(start):
    """In double precision by scipy, however little of the padding was read."""
    image, labels = case(SHAPES[3])
    patch, matrix = PATCHES[3], 1.3 * rotation((0.4, -0.2, 0.5))
    around = tuple((a, a + size) for a, size in zip(start, (20, 25, 24), strict=True))
    part, (out, out_labels) = moved(image, labels, matrix, patch, around)
    assert part[0].size <= np.prod([size + 4 for size in labels.shape])
    middle = [(a + b - 1) / 2 for a, b in around]
    offset = np.array(middle) - matrix @ ((np.array(patch) - 1) / 2)
    for channel, result in zip(image, out, strict=True):
        expected = ndimage.affine_transform(
            channel.astype(float), matrix, offset, patch, order=1, mode="grid-constant", cval=0
        )
        np.testing.assert_allclose(result, expected, atol=3e-5)
    close, expected_labels = undecided(labels, matrix, middle, patch)
    np.testing.assert_array_equal(out_labels[~close], expected_labels[~close])


def test_points_between_two_labels_take_the_nearest_of_the_largest():
    """Half a voxel off, every border point is a tie; a quarter off along another axis decides between equals."""
    labels = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 2, 2], [3, 3, 2, 2]], np.int16)
    image = np.zeros((1, 4, 4), np.float32)
    _, out = resample(image, labels, np.eye(2), (1.5, 1.5), (1, 1))
    assert out.tolist() == [[2]]  # 1, 2, 3, 2: two corners
    _, out = resample(image, labels, np.eye(2), (0.25, 1.5), (1, 1))
    assert out.tolist() == [[2]]  # a half each; the nearest voxel is that above (half-way counts upward)
    _, out = resample(image, labels, np.eye(2), (0.25, 1.25), (1, 1))
    assert out.tolist() == [[1]]


def test_leading_axes_are_moved_slice_by_slice():
    image, labels = case((5, *SHAPES[2]))
    matrix = 0.8 * rotation((0.9,))
    around = tuple((0, size) for size in labels.shape)
    needed = window(matrix, (4, *PATCHES[2]), around, labels.shape)
    assert needed.box[0] == (0, 4)
    part, part_labels = cut(image, labels, needed.box)
    out, out_labels = resample(part, part_labels, matrix, needed.centre, (4, *PATCHES[2]))
    for number in range(4):
        one, one_labels = resample(part[:, number], part_labels[number], matrix, needed.centre[1:], PATCHES[2])
        np.testing.assert_array_equal(out[:, number], one)
        np.testing.assert_array_equal(out_labels[number], one_labels)


def test_the_result_does_not_depend_on_how_many_points_are_moved_at_once(monkeypatch):
    image, labels = case(SHAPES[3])
    around = tuple((0, size) for size in labels.shape)
    matrix = rotation((0.4, -0.2, 0.5))
    _, (whole, whole_labels) = moved(image, labels, matrix, PATCHES[3], around)
    monkeypatch.setattr(spatial, "POINTS_AT_ONCE", 1000)
    _, (parts, parts_labels) = moved(image, labels, matrix, PATCHES[3], around)
    np.testing.assert_array_equal(whole, parts)
    np.testing.assert_array_equal(whole_labels, parts_labels)


@pytest.mark.parametrize("size", [(37, 44), (36, 45), (32, 25)])
def test_a_patch_that_is_not_moved_is_the_crop_of_batchgeneratorsv2(size):
    image, labels = case(size)
    peer = SpatialTransform(PATCHES[2], 0, False)
    expected = peer(image=torch.from_numpy(image))["image"].numpy()
    needed = window(None, PATCHES[2], tuple((0, extent) for extent in size), size)
    assert [stop - start for start, stop in needed.box] == list(PATCHES[2])
    np.testing.assert_array_equal(cut(image, labels, needed.box)[0], expected)


def test_the_window_holds_the_moved_points_and_their_neighbours_and_no_more():
    random = np.random.default_rng(0)
    patch, shape = PATCHES[3], (300, 300, 300)
    corners = np.stack(np.meshgrid(*[(-(n - 1) / 2, (n - 1) / 2) for n in patch], indexing="ij"), -1).reshape(-1, 3)
    for _ in range(50):
        matrix = random.uniform(0.7, 1.4) * rotation(random.uniform(-0.5, 0.5, 3))
        start = random.integers(100, 150, 3)
        needed = window(matrix, patch, tuple((int(a), int(a) + 31) for a in start), shape)
        points = start + 15 + corners @ matrix.T
        first, last = points.min(axis=0), points.max(axis=0)
        starts, stops = np.array(needed.box).T
        np.testing.assert_array_equal(starts, np.floor(first + 1e-9))
        np.testing.assert_array_equal(stops, np.floor(last - 1e-9) + 2)
        np.testing.assert_allclose(starts + needed.centre, start + 15)
