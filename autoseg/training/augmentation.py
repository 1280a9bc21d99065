"""Random transforms of a training patch: nnU-Net's list, built from batchgeneratorsv2.

A patch enters enlarged (``initial_patch_size``), so that rotated and scaled corners hold image and
not padding, and leaves at the plan's patch size. Intensity ranges and probabilities are those of
nnU-Net v2.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from autoseg.core.plan import AugmentationSpec, Configuration

if TYPE_CHECKING:
    import torch

SMALLEST_SCALE = 0.7
LARGEST_SCALE = 1.4
ENLARGEMENT = 0.85  # nnU-Net's allowance: the largest zoom-out is not fully covered

Sample = dict[str, "torch.Tensor"]
Transform = Callable[..., Sample]


def initial_patch_size(patch_size: Sequence[int], augmentation: AugmentationSpec) -> tuple[int, ...]:
    """The box to read so that a rotated patch stays inside it, in voxels.

    Per axis the largest extent over the rotations about single axes at the extreme angle (at most
    90 degrees), divided by 0.85; with ``dummy_2d`` axis 0 is neither rotated nor scaled.
    """
    size = np.array(patch_size[1:] if augmentation.dummy_2d else patch_size, dtype=float)
    angle = np.deg2rad(min(90.0, augmentation.rotation_degrees))
    cosine, sine = np.cos(angle), np.sin(angle)
    largest = size.copy()
    for a in range(len(size)):
        for b in range(a + 1, len(size)):
            largest[a] = max(largest[a], cosine * size[a] + sine * size[b])
            largest[b] = max(largest[b], sine * size[a] + cosine * size[b])
    enlarged = tuple(int(extent) for extent in largest / ENLARGEMENT)
    return (patch_size[0], *enlarged) if augmentation.dummy_2d else enlarged


def build_augmentation(configuration: Configuration) -> Transform:
    """Training transform: ``{"image": (C, *initial), "segmentation": (1, *initial)}`` -> the same at patch size."""
    from batchgeneratorsv2.transforms.utils.compose import ComposeTransforms

    spec = configuration.augmentation
    patch_size = configuration.patch_size[1:] if spec.dummy_2d else configuration.patch_size
    # Most images need an interpolation only where a rotation or a scale was drawn (36 % of them).
    transforms = [*_in_plane(_spatial(tuple(patch_size), spec), spec.dummy_2d), *_intensity(spec), *_mirror(spec)]
    if any(configuration.mask_normalization):
        transforms.append(_mask_outside(configuration.mask_normalization))
    compose: Transform = ComposeTransforms(transforms)
    return compose


def _spatial(patch_size: tuple[int, ...], spec: AugmentationSpec) -> Transform:
    from batchgeneratorsv2.transforms.spatial.spatial import SpatialTransform

    angle = float(np.deg2rad(spec.rotation_degrees))
    transform: Transform = SpatialTransform(
        patch_size,
        patch_center_dist_from_border=0,
        random_crop=False,
        p_elastic_deform=0,
        p_rotation=0.2,
        rotation=(-angle, angle),
        p_scaling=0.2,
        scaling=(SMALLEST_SCALE, LARGEST_SCALE),
        p_synchronize_scaling_across_axes=1,
        border_mode_seg="constant",
        padding_value_seg=-1,
    )
    return transform


def _in_plane(transform: Transform, dummy_2d: bool) -> list[Transform]:
    """Wrap a 2D transform so that it moves all slices of axis 0 alike."""
    if not dummy_2d:
        return [transform]
    from batchgeneratorsv2.transforms.utils.pseudo2d import Convert2DTo3DTransform, Convert3DTo2DTransform

    return [Convert3DTo2DTransform(), transform, Convert2DTo3DTransform()]


def _intensity(spec: AugmentationSpec) -> list[Transform]:
    from batchgeneratorsv2.transforms.intensity.brightness import MultiplicativeBrightnessTransform
    from batchgeneratorsv2.transforms.intensity.contrast import BGContrast, ContrastTransform
    from batchgeneratorsv2.transforms.intensity.gamma import GammaTransform
    from batchgeneratorsv2.transforms.intensity.gaussian_noise import GaussianNoiseTransform
    from batchgeneratorsv2.transforms.noise.gaussian_blur import GaussianBlurTransform
    from batchgeneratorsv2.transforms.spatial.low_resolution import SimulateLowResolutionTransform
    from batchgeneratorsv2.transforms.utils.random import RandomTransform

    def gamma(p_invert: float) -> Transform:
        transform: Transform = GammaTransform(
            gamma=BGContrast((0.7, 1.5)),
            p_invert_image=p_invert,
            synchronize_channels=False,
            p_per_channel=1,
            p_retain_stats=1,
        )
        return transform

    listed = [
        (0.1, GaussianNoiseTransform(noise_variance=(0, 0.1), p_per_channel=1, synchronize_channels=True)),
        (0.2, GaussianBlurTransform(blur_sigma=(0.5, 1.0), p_per_channel=0.5)),
        (0.15, MultiplicativeBrightnessTransform(BGContrast((0.75, 1.25)), synchronize_channels=False)),
        (0.15, ContrastTransform(BGContrast((0.75, 1.25)), preserve_range=True, synchronize_channels=False)),
        (
            0.25,
            SimulateLowResolutionTransform(
                scale=(0.5, 1),
                synchronize_channels=False,
                synchronize_axes=True,
                ignore_axes=(0,) if spec.dummy_2d else (),
                p_per_channel=0.5,
            ),
        ),
        (0.1, gamma(p_invert=1)),
        (0.3, gamma(p_invert=0)),
    ]
    return [RandomTransform(transform, apply_probability=probability) for probability, transform in listed]


def _mirror(spec: AugmentationSpec) -> list[Transform]:
    from batchgeneratorsv2.transforms.spatial.mirroring import MirrorTransform

    return [MirrorTransform(spec.mirror_axes)] if spec.mirror_axes else []


def _mask_outside(channels: Sequence[bool]) -> Transform:
    """Zero the channels that were normalised within a mask wherever the label is -1 (outside it)."""

    def mask(**sample: torch.Tensor) -> Sample:
        outside = sample["segmentation"][0] < 0
        for channel, masked in enumerate(channels):
            if masked:
                sample["image"][channel][outside] = 0
        return sample

    return mask
