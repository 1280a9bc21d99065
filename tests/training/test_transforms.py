"""Each transform of intensities against the one of batchgeneratorsv2, given the same parameters."""

import numpy as np
import pytest
import torch
from batchgeneratorsv2.transforms.intensity.contrast import ContrastTransform
from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform, _build_kernel
from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform

from autoseg.training import transforms

SHAPES = [(32, 25), (16, 21, 18)]


@pytest.fixture(params=SHAPES, ids=["2d", "3d"])
def image(request):
    """Two channels of different distributions."""
    random = np.random.default_rng(0)
    first = random.normal(0.5, 2, size=request.param)
    return np.stack([first, random.gamma(2.0, 3.0, size=request.param)]).astype(np.float32)


def test_kernels():
    for sigma in np.linspace(0.5, 1.0, 101):
        expected = _build_kernel(float(sigma), truncate=6).numpy()
        assert len(transforms.gaussian_kernel(sigma)) == len(expected)
        np.testing.assert_allclose(transforms.gaussian_kernel(sigma), expected, atol=1e-6)


def test_blur(image):
    sigmas = [[0.5, 0.98, 0.7][: image.ndim - 1], [0.9, 0.61, 0.77][: image.ndim - 1]]
    peer = GaussianBlurTransform((0.5, 1), p_per_channel=0.5)
    expected = peer._apply_to_image(
        torch.from_numpy(image.copy()), apply_to_channel=torch.tensor([True, True]), sigmas=sigmas
    )
    for channel, channel_sigmas in zip(image, sigmas, strict=True):
        transforms.blur(channel, channel_sigmas)
    np.testing.assert_allclose(image, expected.numpy(), atol=1e-5)


@pytest.mark.parametrize("factor", [0.75, 1.2])
def test_contrast(image, factor):
    peer = ContrastTransform((0.75, 1.25), preserve_range=True, synchronize_channels=False)
    expected = peer._apply_to_image(
        torch.from_numpy(image.copy()), apply_to_channel=torch.arange(2), multipliers=torch.tensor([factor] * 2)
    )
    for channel in image:
        transforms.scale_contrast(channel, factor)
    np.testing.assert_allclose(image, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("zooms", [(0.5, 0.5, 0.5), (1.0, 0.73, 0.73), (0.91, 0.91, 0.91)])
def test_low_resolution(image, zooms):
    zooms = zooms[: image.ndim - 1]
    peer = SimulateLowResolutionTransform((0.5, 1), False, True, ())
    expected = peer._apply_to_image(
        torch.from_numpy(image.copy()), apply_to_channel=torch.arange(2), scales=torch.tensor([zooms] * 2)
    )
    for channel in image:
        transforms.simulate_low_resolution(channel, zooms)
    np.testing.assert_allclose(image, expected.numpy(), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("inverted", [False, True])
@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.5])
def test_gamma(image, gamma, inverted):
    peer = GammaTransform((0.7, 1.5), p_invert_image=1, synchronize_channels=False, p_per_channel=1, p_retain_stats=1)
    expected = peer._apply_to_image(
        torch.from_numpy(image.copy()),
        apply_to_channel=torch.arange(2),
        retain_stats=torch.tensor([True] * 2),
        invert_image=torch.tensor([inverted] * 2),
        gamma=torch.tensor([gamma] * 2),
    )
    before = image.copy()
    for channel in image:
        transforms.change_gamma(channel, gamma, inverted)
    np.testing.assert_allclose(image, expected.numpy(), rtol=1e-5, atol=2e-5)
    axes = tuple(range(1, image.ndim))
    np.testing.assert_allclose(image.mean(axes), before.mean(axes), rtol=1e-4)
    np.testing.assert_allclose(image.std(axes), before.std(axes), rtol=1e-4)


def test_a_constant_channel_stays_as_it_is():
    channel = np.full((8, 8), 3.0, np.float32)
    transforms.change_gamma(channel, 0.8, inverted=True)
    transforms.scale_contrast(channel, 1.2)
    transforms.blur(channel, (1.0, 1.0))
    np.testing.assert_allclose(channel, 3.0, rtol=1e-6)


def test_axes_of_one_voxel_are_no_obstacle():
    channel = np.arange(20, dtype=np.float32).reshape(1, 20)
    transforms.blur(channel, (1.0, 1.0))
    transforms.simulate_low_resolution(channel, (0.5, 0.5))
    assert np.isfinite(channel).all()


def test_noise_is_gaussian_and_that_of_its_seed():
    image = np.zeros((2, 60, 60), np.float32)
    again = image.copy()
    transforms.add_noise(image, 0.1, seed=5)
    transforms.add_noise(again, 0.1, seed=5)
    np.testing.assert_array_equal(image, again)
    # Five standard errors of the mean and of the standard deviation; the channels are independent.
    assert abs(image.mean()) < 5 * 0.1 / np.sqrt(image.size)
    assert image.std() == pytest.approx(0.1, abs=5 * 0.1 / np.sqrt(2 * image.size))
    assert abs(np.corrcoef(image[0].ravel(), image[1].ravel())[0, 1]) < 5 / 60
    other = np.zeros_like(image)
    transforms.add_noise(other, 0.1, seed=6)
    assert not np.array_equal(image, other)
