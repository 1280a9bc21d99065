"""Probabilities of candidate voxels: what neighbours share is exactly what each patch alone gives."""

import numpy as np
import pytest
import torch
from torch import nn

from autoseg.inference import voxel_classifier
from autoseg.inference.voxel_classifier import can_share, foreground_probability
from autoseg.networks import build
from autoseg.runtime.devices import Execution
from tests.inference.voxel_networks import CentreIntensity, Classifier

FP32 = Execution("cpu", "fp32", channels_last=False)


def patch_by_patch(network, size, image, candidates):
    """Cut every patch out of the image with zeros around it."""
    half = size // 2
    padded = np.pad(image, ((0, 0), *((half, half),) * 3))
    patches = [padded[:, x : x + size, y : y + size, z : z + size] for x, y, z in np.argwhere(candidates)]
    with torch.inference_mode():
        logits = network(torch.from_numpy(np.stack(patches))).flatten(1)
    expected = np.zeros(candidates.shape, np.float32)
    expected[candidates] = logits.softmax(1)[:, 1]
    return expected


@pytest.fixture
def brain():
    """Larger than a block along two axes, smaller than a patch along one; candidates in all corners."""
    random = np.random.default_rng(4)
    image = random.normal(size=(3, 29, 9, 34)).astype(np.float32)
    candidates = random.random(image.shape[1:]) < 0.01
    candidates[::28, ::8, ::33] = True
    candidates[12:14, 4, 20:28] = True
    return image, candidates


@pytest.mark.parametrize("channels_last", [False, True])
def test_shared_maps_give_what_each_patch_alone_gives(brain, channels_last):
    image, candidates = brain
    torch.manual_seed(0)
    network = Classifier(channels=3)
    expected = patch_by_patch(network, 11, image, candidates)
    assert np.ptp(expected[candidates]) > 0.3
    execution = Execution("cpu", "fp32", channels_last)
    network = execution.place_network(network, 3)
    assert can_share(network, (11, 11, 11))
    found = foreground_probability(network, (11, 11, 11), execution, image, candidates)
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert not found[~candidates].any()


def test_each_voxel_of_a_small_case_may_be_a_candidate():
    image = np.random.default_rng(1).normal(size=(1, 5, 7, 6)).astype(np.float32)
    torch.manual_seed(1)
    network = Classifier(channels=1)
    everywhere = np.ones(image.shape[1:], bool)
    expected = patch_by_patch(network, 11, image, everywhere)
    np.testing.assert_allclose(
        foreground_probability(network, (11, 11, 11), FP32, image, everywhere), expected, atol=1e-5
    )


def test_other_networks_and_patches_go_patch_by_patch(brain):
    image, candidates = brain
    torch.manual_seed(2)
    network = Classifier(channels=3, patch=9)
    assert not can_share(network, (9, 9, 9))
    expected = patch_by_patch(network, 9, image, candidates)
    np.testing.assert_allclose(foreground_probability(network, (9, 9, 9), FP32, image, candidates), expected, atol=1e-5)
    network.convolutional[2] = nn.PReLU()
    assert not can_share(network, (11, 11, 11))


@pytest.mark.parametrize(("name", "shares"), [("valverde2017", True), ("nicmslesions", False)])
def test_the_published_classifiers_are_known(name, shares):
    image = np.random.default_rng(2).normal(size=(2, 6, 8, 7)).astype(np.float32)
    candidates = np.zeros(image.shape[1:], bool)
    candidates[::5, ::7, ::6] = candidates[3, 4, :] = True
    torch.manual_seed(3)
    network = build(name, in_channels=2, out_channels=2, dimensions=3).eval()
    assert can_share(network, (11, 11, 11)) == shares
    expected = patch_by_patch(network, 11, image, candidates)
    found = foreground_probability(network, (11, 11, 11), FP32, image, candidates)
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_centre_of_the_patch_is_the_candidate(brain):
    image, candidates = brain
    found = foreground_probability(CentreIntensity(channel=1), (3, 5, 1), FP32, image, candidates)
    np.testing.assert_allclose(found[candidates], 1 / (1 + np.exp(-image[1][candidates])), rtol=1e-5)


def test_no_candidate_costs_nothing(brain):
    def refuse(x):
        raise AssertionError("there is nothing to classify")

    network = CentreIntensity()
    network.forward = refuse
    found = foreground_probability(network, (11, 11, 11), FP32, brain[0], np.zeros(brain[1].shape, bool))
    assert found.dtype == np.float32
    assert not found.any()


def test_a_norm_without_statistics_cannot_be_folded(brain):
    network = Classifier(channels=3)
    network.convolutional[1] = nn.BatchNorm3d(6, track_running_stats=False)
    with pytest.raises(ValueError, match="no running statistics"):
        foreground_probability(network, (11, 11, 11), FP32, *brain)


@pytest.mark.slow
def test_a_real_brain_is_classified_alike_both_ways(real_data, monkeypatch):
    """Every hundredth candidate of a brain, at the widths of valverde2017."""
    from autoseg.io.images import read_channels

    files = [real_data / f"ms-brain/sub-07/anat/sub-07_{name}.nii.gz" for name in ("FLAIR", "T1w", "T2w")]
    image = read_channels(files).voxels.astype(np.float32)
    inside = (image != 0).any(0)
    image = np.stack([np.where(inside, (one - one[inside].mean()) / one[inside].std(), 0) for one in image])
    image = image.astype(np.float32)
    candidates = image[0] > 0.5
    candidates &= np.arange(candidates.size).reshape(candidates.shape) % 100 == 0
    torch.manual_seed(3)
    network = Classifier(channels=3, widths=(32, 64))
    shared = foreground_probability(network, (11, 11, 11), FP32, image, candidates)
    monkeypatch.setattr(voxel_classifier, "can_share", lambda *_: False)
    np.testing.assert_allclose(
        shared, foreground_probability(network, (11, 11, 11), FP32, image, candidates), atol=1e-5
    )
    assert np.ptp(shared[candidates]) > 0.3
