"""The random choices: how often, from which ranges; and that all are applied, in nnU-Net's order."""

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.training.augmentation import Drawn, Noise, apply, draw, initial_patch_size, rotation
from autoseg.training.spatial import window

ROTATING = AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=(0, 1, 2))
DRAWS = 4000


@pytest.fixture(scope="module")
def drawn(tiny_configuration):
    """Many draws for two channels."""
    random = np.random.default_rng(1)
    return [draw(tiny_configuration, 2, random) for _ in range(DRAWS)]


def changed(tiny_configuration, **spec):
    return tiny_configuration.model_copy(update={"augmentation": ROTATING.model_copy(update=spec)})


def assert_share(flags, probability):
    """Within four standard deviations of the binomial distribution."""
    flags = np.array(flags, bool)
    assert abs(flags.mean() - probability) < 4 * np.sqrt(probability * (1 - probability) / flags.size)


def assert_uniform(values, low, high):
    """All in the range; each quarter of it as often as the others (four standard deviations)."""
    assert low <= min(values)
    assert max(values) <= high
    shares = np.histogram(values, 4, (low, high))[0] / len(values)
    assert np.abs(shares - 0.25).max() < 4 * np.sqrt(0.25 * 0.75 / len(values))


@pytest.mark.parametrize(
    ("patch", "degrees", "dummy", "expected"),
    [
        ((128, 128, 128), 30, False, (205, 205, 205)),
        ((512, 512), 90, False, (602, 602)),
        ((10, 256, 224), 180, True, (10, 301, 301)),
    ],
)
def test_enlarged_patches_are_those_of_nnunet(patch, degrees, dummy, expected):
    spec = AugmentationSpec(rotation_degrees=degrees, dummy_2d=dummy, mirror_axes=())
    assert initial_patch_size(patch, spec) == expected


def test_rotations_and_scales_are_drawn_as_often_and_as_far_as_stated(drawn):
    matrices = [one.matrix for one in drawn if one.matrix is not None]
    assert_share([one.matrix is not None for one in drawn], 1 - 0.8**2)
    scales = np.array([np.cbrt(np.linalg.det(matrix)) for matrix in matrices])
    rotations = [matrix / scale for matrix, scale in zip(matrices, scales, strict=True)]
    scaled, turned = np.abs(scales - 1) > 1e-9, [not np.allclose(one, np.eye(3), atol=1e-6) for one in rotations]
    assert_share(scaled, 0.2 / 0.36)
    assert_share(turned, 0.2 / 0.36)
    assert_uniform(scales[scaled], 0.7, 1.4)
    # The angles about the axes 0, 1 and 2 that a rotation is made of.
    for numerator, denominator in (((2, 1), (2, 2)), ((1, 0), (0, 0))):
        angles = [np.arctan2(one[numerator], one[denominator]) for one in rotations if not np.allclose(one, np.eye(3))]
        assert_uniform(np.rad2deg(angles), -30, 30)
    assert_uniform(np.rad2deg([-np.arcsin(one[2, 0]) for one in rotations if not np.allclose(one, np.eye(3))]), -30, 30)


def test_intensity_transforms_are_drawn_as_often_and_as_far_as_stated(drawn):
    assert_share([one.noise is not None for one in drawn], 0.1)
    assert_uniform([one.noise.standard_deviation for one in drawn if one.noise], 0, 0.1)
    assert len({one.noise.seed for one in drawn if one.noise}) == sum(one.noise is not None for one in drawn)
    for name, probability, low, high in (("blur", 0.2, 0.5, 1), ("low_resolution", 0.25, 0.5, 1)):
        channels = [getattr(one, name) for one in drawn]
        for number in range(2):
            assert_share([channel[number] is not None for channel in channels], probability * 0.5)
        # Both channels at once: only within the same choice, so more often than by two independent choices.
        assert_share([None not in channel for channel in channels], probability * 0.25)
        assert_uniform([channel[1][2] for channel in channels if channel[1]], low, high)
    for name, probability, low, high in (
        ("brightness", 0.15, 0.75, 1.25),
        ("contrast", 0.15, 0.75, 1.25),
        ("inverted_gamma", 0.1, 0.7, 1.5),
        ("gamma", 0.3, 0.7, 1.5),
    ):
        chosen = [getattr(one, name) for one in drawn if getattr(one, name)]
        assert_share([getattr(one, name) is not None for one in drawn], probability)
        assert_share([first < 1 for first, _ in chosen], 0.5)
        assert_uniform([second for _, second in chosen if second < 1], low, 1)
        assert_uniform([first for first, _ in chosen if first > 1], 1, high)
        assert all(first != second for first, second in chosen)


def test_axes_of_a_blur_differ_and_those_of_a_low_resolution_do_not(drawn):
    assert all(len(set(sigmas)) == 3 for one in drawn for sigmas in one.blur if sigmas)
    assert all(len(set(zooms)) == 1 for one in drawn for zooms in one.low_resolution if zooms)


def test_mirrored_axes_are_drawn_independently(drawn, tiny_configuration):
    for axes in ((0,), (1,), (2,), (0, 1), (0, 1, 2)):
        assert_share([set(axes) <= set(one.mirrored) for one in drawn], 0.5 ** len(axes))
    random = np.random.default_rng(0)
    some = changed(tiny_configuration, mirror_axes=(1,))
    assert {draw(some, 1, random).mirrored for _ in range(50)} == {(), (1,)}


def test_with_dummy_2d_axis_0_is_neither_moved_nor_reduced(tiny_configuration):
    random = np.random.default_rng(0)
    draws = [draw(changed(tiny_configuration, dummy_2d=True, rotation_degrees=180), 1, random) for _ in range(300)]
    assert {one.matrix.shape for one in draws if one.matrix is not None} == {(2, 2)}
    reduced = [one.low_resolution[0] for one in draws if one.low_resolution[0]]
    assert all(first == 1 and second == third < 1 for first, second, third in reduced)


def test_everything_drawn_is_applied_in_the_order_of_nnunet(tiny_configuration):
    """Against the transforms of batchgeneratorsv2 one after the other; two channels, not all of each."""
    random = np.random.default_rng(0)
    image = random.normal(2, 3, size=(2, 16, 16, 16)).astype(np.float32)
    labels = random.integers(-1, 3, size=(16, 16, 16)).astype(np.int16)
    drawn = Drawn(
        matrix=None,
        noise=Noise(0.07, 11),
        blur=(None, (0.6, 0.9, 0.7)),
        brightness=(0.8, 1.1),
        contrast=(1.2, 0.9),
        low_resolution=((0.75, 0.75, 0.75), None),
        inverted_gamma=(0.9, 1.3),
        gamma=(1.4, 0.75),
        mirrored=(0, 2),
    )
    both, on = torch.arange(2), torch.tensor([True, True])
    expected = torch.from_numpy(image + np.float32(0.07) * np.random.default_rng(11).standard_normal(image.shape, "f4"))
    expected = GaussianBlurTransform()._apply_to_image(
        expected, apply_to_channel=torch.tensor([False, True]), sigmas=[drawn.blur[1]]
    )
    expected = MultiplicativeBrightnessTransform((0.75, 1.25), False)._apply_to_image(
        expected, apply_to_channel=both, multipliers=torch.tensor(drawn.brightness)
    )
    expected = ContrastTransform((0.75, 1.25), True, False)._apply_to_image(
        expected, apply_to_channel=both, multipliers=torch.tensor(drawn.contrast)
    )
    expected = SimulateLowResolutionTransform((0.5, 1), False, True, ())._apply_to_image(
        expected, apply_to_channel=both[:1], scales=torch.tensor([drawn.low_resolution[0]])
    )
    for gamma, invert in ((drawn.inverted_gamma, on), (drawn.gamma, ~on)):
        expected = GammaTransform((0.7, 1.5), 1, False, 1, 1)._apply_to_image(
            expected, apply_to_channel=both, retain_stats=on, invert_image=invert, gamma=torch.tensor(gamma)
        )
    expected = MirrorTransform((0, 1, 2))._apply_to_image(expected, axes=drawn.mirrored)
    out, out_labels = apply(drawn, tiny_configuration, image.copy(), labels, ())
    np.testing.assert_allclose(out, expected.numpy(), rtol=1e-5, atol=5e-5)
    np.testing.assert_array_equal(out_labels, labels[::-1, :, ::-1])


@pytest.mark.parametrize("dummy", [False, True])
def test_the_patch_size_comes_out_and_labels_lie_on_their_structure(tiny_configuration, dummy):
    configuration = changed(tiny_configuration, dummy_2d=dummy)
    random = np.random.default_rng(0)
    size = (28, 28, 28)
    centre = tuple(slice(s // 2 - 3, s // 2 + 3) for s in size)
    for _ in range(30):
        labels = np.zeros(size, np.int16)
        labels[centre] = 1
        drawn = draw(configuration, 1, random)
        needed = window(drawn.matrix, (16, 16, 16), tuple((0, s) for s in size), size)
        where = tuple(slice(start, stop) for start, stop in needed.box)
        image = 10.0 * labels[where][None].astype(np.float32)
        out, out_labels = apply(drawn, configuration, image, labels[where], needed.centre)
        assert out[0].shape == out_labels.shape == (16, 16, 16)
        assert out.flags.c_contiguous
        assert out_labels.flags.c_contiguous
        # One gamma draw in ten is of the inverted image; the ball stays the brighter part.
        assert out[0][out_labels == 1].mean() - out[0][out_labels == 0].mean() > 5


def test_outside_the_mask_masked_channels_are_zero(tiny_configuration):
    configuration = tiny_configuration.model_copy(update={"mask_normalization": (True, False)})
    random = np.random.default_rng(0)
    for _ in range(10):
        labels = np.zeros((16, 16, 16), np.int16)
        labels[:, :8] = -1
        drawn = draw(configuration, 2, random)
        turned = window(drawn.matrix, (16, 16, 16), ((0, 16),) * 3, (16, 16, 16))
        where = tuple(np.clip(np.arange(*edges), 0, 15) for edges in turned.box)
        image = np.full((2, *(len(line) for line in where)), 5.0, np.float32)
        out, out_labels = apply(drawn, configuration, image, labels[np.ix_(*where)], turned.centre)
        outside = out_labels < 0
        assert outside.any()
        assert (out[0][outside] == 0).all()
        assert (out[1][outside] != 0).any()


def test_a_rotation_in_the_plane_turns_all_slices_alike(tiny_configuration):
    configuration = changed(tiny_configuration, dummy_2d=True)
    random = np.random.default_rng(0)
    plane = random.normal(size=(40, 40)).astype(np.float32)
    image = np.broadcast_to(plane, (1, 16, 40, 40)).copy()
    nothing = (None,)
    drawn = Drawn(rotation((0.5,)), None, nothing, None, None, nothing, None, None, ())
    out, labels = apply(drawn, configuration, image, np.zeros((16, 40, 40), np.int16), (7.5, 19.5, 19.5))
    assert out.shape == (1, 16, 16, 16)
    assert (out == out[:, :1]).all()
    assert (labels == 0).all()
