"""The operations of recipes: what is drawn, and what it does."""

import numpy as np
import pytest
import torch
from skimage.transform import resize

from autoseg.core import augmentation_spec as spec
from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.labels import Labels
from autoseg.io.store import DecodedCases
from autoseg.training import operations
from autoseg.training.augmentation import Noise
from autoseg.training.elastic import Deformation
from autoseg.training.operations import Enlargement, Flip, Rotation, Shift, apply, draw
from autoseg.training.patches import TRAINING_STREAM, VALIDATION_STREAM, PatchSource

TINY = Labels(values={"shell": 1, "core": 2})
PAUGAM = (
    spec.Mirror(op="mirror", axis=1),
    spec.Rotate(op="rotate", degrees=20),
    spec.ResizedCrop(op="resized_crop", area=(0.5, 1), aspect=(0.75, 1.25)),
    spec.Elastic(op="elastic", alpha=(8, 17), sigma=(3, 4.5), p=0.3),
    spec.ChannelShift(op="channel_shift", share=0.2),
)
VOXHRNET = (
    spec.Elastic(
        op="elastic",
        alpha=(2, 2),
        sigma=(0.04, 0.06),
        relative=True,
        interpolation="nearest",
        border="nearest",
        p=0.8,
    ),
    spec.GaussianNoise(op="gaussian_noise", deviation=(0, 0.1), p=0.8),
)


def patch(*shape, channels=2, seed=0):
    random = np.random.default_rng(seed)
    image = random.normal(size=(channels, *shape)).astype(np.float32)
    return image, random.integers(0, 4, (1, *shape)).astype(np.int16)


def many(operation, patch_size, number=2000, channels=2):
    return [
        one for seed in range(number) for one in draw((operation,), patch_size, channels, np.random.default_rng(seed))
    ]


def test_each_operation_happens_with_its_probability_and_in_its_order():
    drawn = [draw(PAUGAM, (160, 160), 1, np.random.default_rng(seed)) for seed in range(1000)]
    kinds = [[type(one) for one in each] for each in drawn]
    shares = {kind: np.mean([kind in each for each in kinds]) for kind in (Flip, Rotation, Deformation)}
    assert shares == {Flip: pytest.approx(0.5, abs=0.05), Rotation: 1, Deformation: pytest.approx(0.3, abs=0.05)}
    order = [Flip, Rotation, Enlargement, Deformation, Shift]
    assert all(each == [kind for kind in order if kind in each] for each in kinds)


def test_what_is_drawn_lies_within_its_limits():
    angles = np.rad2deg([one.radians for one in many(PAUGAM[1], (160, 160))])
    assert -20 <= angles.min() < -19 < 19 < angles.max() <= 20
    deformations = many(spec.Elastic(op="elastic", alpha=(8, 17), sigma=(3, 4.5)), (160, 160))
    assert all(one.sigmas[0] == one.sigmas[1] and one.alphas[0] == one.alphas[1] for one in deformations)
    assert 3 <= min(one.sigmas[0] for one in deformations) < max(one.sigmas[0] for one in deformations) <= 4.5
    assert all(one.label_seed is None and not one.nearest and not one.continued for one in deformations)
    (relative,) = draw(VOXHRNET[:1], (181, 217, 181), 1, np.random.default_rng(0))
    assert relative.alphas == (362, 434, 362)
    assert all(0.04 <= sigma / size <= 0.06 for sigma, size in zip(relative.sigmas, (181, 217, 181), strict=True))
    assert len(set(relative.sigmas)) == 3
    assert relative.nearest
    assert relative.continued
    (noise,) = draw(VOXHRNET[1:], (8, 8, 8), 1, np.random.default_rng(0))
    assert isinstance(noise, Noise)
    assert 0 <= noise.standard_deviation <= 0.1


def test_boxes_have_the_areas_and_sides_that_are_asked_for():
    boxes = many(PAUGAM[2], (160, 160))
    heights = np.array([one.rows[1] - one.rows[0] for one in boxes])
    widths = np.array([one.columns[1] - one.columns[0] for one in boxes])
    areas, aspects = heights * widths / 160**2, widths / heights
    assert 0.49 < areas.min() < 0.52
    assert 0.98 < areas.max() <= 1
    assert aspects.min() > 0.73
    assert aspects.max() < 1 / 0.73
    assert (aspects > 1).mean() == pytest.approx(0.5, abs=0.05)
    assert min(one.rows[0] for one in boxes) == min(one.columns[0] for one in boxes) == 0
    assert max(one.rows[1] for one in boxes) == max(one.columns[1] for one in boxes) == 160
    (square,) = draw(
        (spec.ResizedCrop(op="resized_crop", area=(1, 1), aspect=(2, 2)),), (20, 30), 1, np.random.default_rng(0)
    )
    assert square == Enlargement((0, 20), (5, 25))


@pytest.mark.parametrize("shape", [(9, 12), (5, 9, 12)])
def test_a_rotation_takes_the_nearest_voxel(shape):
    image, labels = patch(*shape)
    angle = 0.3
    moved, turned = apply((Rotation(angle),), image.copy(), labels, (0.0, 7.0))
    for row in range(9):
        for column in range(12):
            down, right = row - 4.0, column - 5.5
            y = np.cos(angle) * down - np.sin(angle) * right + 4.0
            x = np.sin(angle) * down + np.cos(angle) * right + 5.5
            y, x = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
            if 0 <= y < 9 and 0 <= x < 12:
                np.testing.assert_array_equal(moved[..., row, column], image[..., y, x])
                np.testing.assert_array_equal(turned[..., row, column], labels[..., y, x])
            else:
                assert (moved[0, ..., row, column] == 0).all()
                assert (moved[1, ..., row, column] == 7).all()
                assert (turned[..., row, column] == -1).all()


@pytest.mark.parametrize("shape", [(16, 20), (3, 16, 20)])
def test_an_enlarged_box_is_that_of_skimage(shape):
    image, labels = patch(*shape)
    large, moved = apply((Enlargement((2, 12), (5, 18)),), image.copy(), labels, (0.0, 0.0))
    planes, maps = image.reshape(-1, 16, 20), labels.reshape(-1, 16, 20)
    for plane, found in zip(planes, large.reshape(-1, 16, 20), strict=True):
        expected = resize(plane[2:12, 5:18].astype(float), (16, 20), 1, mode="edge", anti_aliasing=False)
        np.testing.assert_allclose(found, expected, atol=1e-5)
    for plane, found in zip(maps, moved.reshape(-1, 16, 20), strict=True):
        votes = np.stack(
            [
                resize((plane == k)[2:12, 5:18].astype(float), (16, 20), 1, mode="edge", anti_aliasing=False)
                for k in range(4)
            ]
        )
        first, second = np.sort(votes, axis=0)[[-1, -2]]
        clear = first - second > 1e-6
        np.testing.assert_array_equal(found[clear], votes.argmax(0)[clear])


def test_flips_and_half_turns():
    image, labels = patch(4, 5, 6)
    for axis in range(3):
        (flip,) = draw((spec.Mirror(op="mirror", axis=axis, p=1),), (4, 5, 6), 2, np.random.default_rng(0))
        flipped, moved = apply((flip,), image.copy(), labels, (0.0, 0.0))
        np.testing.assert_array_equal(flipped, np.flip(image, axis + 1))
        np.testing.assert_array_equal(moved, np.flip(labels, axis + 1))
    turns = many(spec.HalfTurns(op="half_turns", p=1), (4, 5, 6), 600)
    found = [apply((turn,), image.copy(), labels, (0.0, 0.0))[0] for turn in turns[:20]]
    half = np.rot90(image, 2, axes=(-2, -1))
    expected = [half, image[..., ::-1], half[..., ::-1]]
    assert all(any(np.array_equal(one, other) for other in expected) for one in found)
    counts = [sum(turn.axes == axes for turn in turns) for axes in ((-2, -1), (-1,), (-2,))]
    assert counts == pytest.approx([200] * 3, abs=40)


def test_a_channel_is_shifted_by_a_share_of_its_largest_intensity():
    """The image was normalised: an intensity of 0 is -2 now, so the largest, 3, was 5 times the deviation."""
    image, labels = patch(8, 8)
    image[1].flat[0] = 3 + np.abs(image).max()
    shifted, _ = apply((Shift((0.0, -0.2)),), image.copy(), labels, (0.0, -2.0))
    np.testing.assert_array_equal(shifted[0], image[0])
    np.testing.assert_allclose(shifted[1], image[1] - 0.2 * (image[1].max() + 2), atol=1e-6)
    shares = np.array([one.shares for one in many(PAUGAM[4], (8, 8))])
    assert shares.shape == (2000, 2)
    assert -0.2 <= shares.min() < -0.19 < 0.19 < shares.max() <= 0.2


def test_labels_stay_with_the_image_through_all_operations():
    """A patch whose first channel is its label map."""
    random = np.random.default_rng(0)
    blocks = np.kron(random.integers(0, 3, (8, 8)), np.ones((20, 20), int))
    for seed in range(6):
        chosen = draw(PAUGAM[:4], (160, 160), 1, np.random.default_rng(seed))
        labels = blocks[None].astype(np.int16)
        image, moved = apply(chosen, labels.astype(np.float32), labels, (0.0,))
        inside = moved[0] >= 0
        assert (np.abs(image[0] - moved[0])[inside] < 0.5).mean() > 0.97  # only between blocks of 0 and 2
        assert image.dtype == np.float32
        assert moved.dtype == np.int16


def test_patches_are_changed_by_the_operations_of_the_plan_and_by_nothing_else(tiny_cases, tiny_configuration):
    def source(chosen, stream=TRAINING_STREAM):
        augmentation = AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=(0,), operations=chosen)
        changed = tiny_configuration.model_copy(update={"augmentation": augmentation})
        return PatchSource(tiny_cases, changed, TINY, stream == TRAINING_STREAM, stream, 3, decoded=DecodedCases())

    plain = [source(()).sample(step, 0) for step in range(4)]
    flipped = [source((spec.Mirror(op="mirror", axis=2, p=1),)).sample(step, 0) for step in range(4)]
    for (image, target), (other, moved) in zip(plain, flipped, strict=True):
        assert torch.equal(image.flip(3), other)
        assert torch.equal(target.flip(2), moved)
    moved, again = (source(VOXHRNET).sample(1, 0) for _ in range(2))
    assert torch.equal(moved[0], again[0])
    assert not torch.equal(moved[0], plain[1][0])
    held_out = source(VOXHRNET, VALIDATION_STREAM).sample(1, 0)
    assert torch.equal(held_out[0], source((), VALIDATION_STREAM).sample(1, 0)[0])


def test_what_was_masked_stays_zero_and_beyond_the_image_is_its_zero(tiny_cases, tiny_configuration):
    shifted = AugmentationSpec(
        rotation_degrees=0,
        dummy_2d=False,
        mirror_axes=(),
        operations=(spec.Rotate(op="rotate", degrees=45), spec.ChannelShift(op="channel_shift", share=0.9)),
    )
    changes = {"augmentation": shifted, "patch_size": (16, 24, 20)}
    changed = tiny_configuration.model_copy(update=changes)
    masked = changed.model_copy(update={"mask_normalization": (True,)})
    rotated = 0
    for step in range(6):
        image, _ = PatchSource(tiny_cases, changed, TINY, True, TRAINING_STREAM, 3, zeros=(-4.0,)).sample(step, 0)
        other, _ = PatchSource(tiny_cases, masked, TINY, True, TRAINING_STREAM, 3, zeros=(-4.0,)).sample(step, 0)
        outside = (image[0] == image[0, :1]).all(0)  # nothing but what lies beyond is the same in all planes
        rotated += bool(outside.any())
        assert len(image[0, 0][outside].unique()) == int(outside.any())
        assert not (image == -4).any()  # it is shifted as well
        assert not other[0, :, outside].any()
        assert torch.equal(image[other != 0], other[other != 0])
    assert rotated > 2


def test_drawing_needs_no_image_and_applying_no_generator():
    image, labels = patch(40, 40)
    chosen = draw(PAUGAM, (40, 40), 2, np.random.default_rng(3))
    one, other = (operations.apply(chosen, image.copy(), labels.copy(), (0.0, 0.0)) for _ in range(2))
    np.testing.assert_array_equal(one[0], other[0])
    np.testing.assert_array_equal(one[1], other[1])
