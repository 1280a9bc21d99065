"""The random transforms: sizes, frequencies, and that labels follow the image."""

import numpy as np
import pytest
import torch

from autoseg.core.plan import AugmentationSpec
from autoseg.training.augmentation import build_augmentation, initial_patch_size

ROTATING = AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=(0, 1, 2))


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


def sample(size, mark=0.0):
    image = torch.zeros(1, *size)
    segmentation = torch.zeros(1, *size, dtype=torch.int16)
    centre = tuple(slice(s // 2 - 3, s // 2 + 3) for s in size)
    image[(0, *centre)] = 10.0
    segmentation[(0, *centre)] = 1
    return {"image": image + mark, "segmentation": segmentation}


@pytest.mark.parametrize("dummy", [False, True])
def test_the_patch_size_comes_out_and_labels_lie_on_their_structure(tiny_configuration, dummy):
    spec = AugmentationSpec(rotation_degrees=30, dummy_2d=dummy, mirror_axes=(0, 1, 2))
    configuration = tiny_configuration.model_copy(update={"augmentation": spec})
    transform = build_augmentation(configuration)
    size = initial_patch_size(configuration.patch_size, spec)
    for seed in range(30):
        np.random.seed(seed)
        torch.manual_seed(seed)
        out = transform(**sample(size))
        assert out["image"].shape == out["segmentation"].shape == (1, 16, 16, 16)
        inside = out["image"][out["segmentation"] == 1]
        outside = out["image"][out["segmentation"] == 0]
        assert abs(inside.mean() - outside.mean()) > 5  # one gamma draw in ten is of the inverted image


def test_transforms_are_drawn_as_often_as_stated(tiny_configuration):
    transform = build_augmentation(tiny_configuration)
    size = initial_patch_size(tiny_configuration.patch_size, ROTATING)
    untouched = 0
    for seed in range(400):
        np.random.seed(seed)
        torch.manual_seed(seed)
        out = transform(**sample(size))
        values = np.unique(out["image"].numpy().round(4))
        untouched += len(values) == 2 and bool((out["segmentation"] == 1).sum() == 6**3)
    # No rotation or scaling, noise, blur, brightness, contrast, low resolution, gamma: independent draws. A
    # two-valued image may also pass brightness, contrast (range kept), gamma; so at least this share survives.
    least = 0.8**2 * 0.9 * (1 - 0.2 * 0.5) * (1 - 0.25 * 0.5) * 0.85**2 * 0.9 * 0.7
    assert least - 0.07 < untouched / 400 < 0.64 * 0.9 * 0.9 * 0.875 + 0.07


def test_outside_the_mask_masked_channels_are_zero(tiny_configuration):
    configuration = tiny_configuration.model_copy(update={"mask_normalization": (True,)})
    transform = build_augmentation(configuration)
    size = initial_patch_size(configuration.patch_size, ROTATING)
    for seed in range(10):
        np.random.seed(seed)
        torch.manual_seed(seed)
        given = sample(size, mark=5.0)
        given["segmentation"][:, :, : size[1] // 2] -= 1
        out = transform(**given)
        outside = out["segmentation"] < 0
        assert outside.any()
        assert (out["image"][outside] == 0).all()
