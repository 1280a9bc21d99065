"""Random transforms of a training patch: nnU-Net's list, drawn first and applied afterwards.

All choices come from the generator of the sample. What was drawn decides what has to be read: two in
three samples are neither rotated nor scaled, and for those it is the patch and nothing around it.
Order, probabilities and ranges are those of nnU-Net v2 (nnUNetTrainer.get_training_transforms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.plan import Configuration
from autoseg.training import previous_stage, transforms
from autoseg.training.spatial import Floats, Labels, Matrix, resample

SMALLEST_SCALE = 0.7
LARGEST_SCALE = 1.4
ENLARGEMENT = 0.85  # nnU-Net's allowance: the largest zoom-out is not fully covered

P_ROTATION = 0.2
P_SCALING = 0.2
P_NOISE, NOISE_DEVIATIONS = 0.1, (0.0, 0.1)
P_BLUR, P_BLUR_CHANNEL, BLUR_SIGMAS = 0.2, 0.5, (0.5, 1.0)
P_BRIGHTNESS, BRIGHTNESS_FACTORS = 0.15, (0.75, 1.25)
P_CONTRAST, CONTRAST_FACTORS = 0.15, (0.75, 1.25)
P_LOW_RESOLUTION, P_LOW_RESOLUTION_CHANNEL, ZOOMS = 0.25, 0.5, (0.5, 1.0)
P_INVERTED_GAMMA, P_GAMMA, GAMMAS = 0.1, 0.3, (0.7, 1.5)
P_MIRROR = 0.5

PerAxis = tuple[float, ...]
PerChannel = tuple[float, ...]


@dataclass(frozen=True)
class Noise:
    """One standard deviation for all channels; the voxels are drawn from a generator of this seed."""

    standard_deviation: float
    seed: int


@dataclass(frozen=True)
class Drawn:
    """The choices for one sample, in the order in which they are applied; None leaves a channel, or all, alone."""

    matrix: Matrix | None  # rotation and scaling of the last axes, see autoseg.training.spatial
    noise: Noise | None
    blur: tuple[PerAxis | None, ...]  # per channel: standard deviations in voxels
    brightness: PerChannel | None
    contrast: PerChannel | None
    low_resolution: tuple[PerAxis | None, ...]  # per channel: the share of the voxels that is kept
    inverted_gamma: PerChannel | None
    gamma: PerChannel | None
    mirrored: tuple[int, ...]  # axes of the patch
    previous: previous_stage.PreviousDrawn | None = None  # of a cascade


def initial_patch_size(patch_size: Sequence[int], augmentation: AugmentationSpec) -> tuple[int, ...]:
    """The box that would hold a rotated patch, in voxels; where it may lie decides where patches are centred.

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


def draw(configuration: Configuration, num_channels: int, random: np.random.Generator, num_previous: int = 0) -> Drawn:
    """All choices for one sample; ``num_previous`` labels come from a previous stage."""
    spec, dimensions = configuration.augmentation, len(configuration.patch_size)

    def happens(probability: float) -> bool:
        return bool(random.random() < probability)

    def factors(probability: float, limits: tuple[float, float]) -> PerChannel | None:
        return tuple(_factor(limits, random) for _ in range(num_channels)) if happens(probability) else None

    def sigmas() -> PerAxis:
        return tuple(random.uniform(*BLUR_SIGMAS) for _ in range(dimensions))

    def zooms() -> PerAxis:
        zoom = random.uniform(*ZOOMS)
        return (1.0 if spec.dummy_2d else zoom, *(zoom for _ in range(dimensions - 1)))

    untouched = (None,) * num_channels
    return Drawn(
        matrix=_draw_matrix(spec, dimensions - spec.dummy_2d, random),
        noise=Noise(random.uniform(*NOISE_DEVIATIONS), int(random.integers(2**63))) if happens(P_NOISE) else None,
        blur=tuple(sigmas() if happens(P_BLUR_CHANNEL) else None for _ in untouched) if happens(P_BLUR) else untouched,
        brightness=factors(P_BRIGHTNESS, BRIGHTNESS_FACTORS),
        contrast=factors(P_CONTRAST, CONTRAST_FACTORS),
        low_resolution=tuple(zooms() if happens(P_LOW_RESOLUTION_CHANNEL) else None for _ in untouched)
        if happens(P_LOW_RESOLUTION)
        else untouched,
        inverted_gamma=factors(P_INVERTED_GAMMA, GAMMAS),
        gamma=factors(P_GAMMA, GAMMAS),
        mirrored=tuple(axis for axis in spec.mirror_axes if happens(P_MIRROR)),
        previous=previous_stage.draw(num_previous, random) if num_previous else None,
    )


def apply(
    drawn: Drawn, configuration: Configuration, image: Floats, labels: Labels, centre: Sequence[float]
) -> tuple[Floats, Labels]:
    """Image ``(C, *box)``, which is overwritten, and labels ``(*box)`` of a window -> the same at patch size.

    In a cascade labels are ``(2, *box)``, with the previous stage's behind.

    ``centre`` is that of the window (``autoseg.training.spatial.window``), used where a rotation or scaling was drawn.
    """
    if drawn.matrix is not None:
        image, labels = resample(image, labels, drawn.matrix, centre, configuration.patch_size)
    if drawn.noise is not None:
        transforms.add_noise(image, drawn.noise.standard_deviation, drawn.noise.seed)
    for number, channel in enumerate(image):
        _change_intensities(drawn, number, channel)
    if drawn.mirrored:
        axes = tuple(axis - len(configuration.patch_size) for axis in drawn.mirrored)
        image, labels = np.flip(image, axes), np.flip(labels, axes)
    hide_outside(image, labels if drawn.previous is None else labels[0], configuration)
    if drawn.previous is not None:
        labels = np.stack((labels[0], previous_stage.apply(drawn.previous, labels[1])))
    return np.ascontiguousarray(image), np.ascontiguousarray(labels)


def hide_outside(image: Floats, labels: Labels, configuration: Configuration) -> None:
    """In place: a channel that was normalised within a mask is 0 outside it, where the labels are -1."""
    if any(configuration.mask_normalization):
        outside = labels < 0
        for channel, masked in zip(image, configuration.mask_normalization, strict=True):
            if masked:
                np.copyto(channel, 0, where=outside)


def _change_intensities(drawn: Drawn, number: int, channel: Floats) -> None:
    """The transforms of one channel, in place."""
    sigmas, zooms = drawn.blur[number], drawn.low_resolution[number]
    if sigmas is not None:
        transforms.blur(channel, sigmas)
    if drawn.brightness is not None:
        channel *= np.float32(drawn.brightness[number])
    if drawn.contrast is not None:
        transforms.scale_contrast(channel, drawn.contrast[number])
    if zooms is not None:
        transforms.simulate_low_resolution(channel, zooms)
    if drawn.inverted_gamma is not None:
        transforms.change_gamma(channel, drawn.inverted_gamma[number], inverted=True)
    if drawn.gamma is not None:
        transforms.change_gamma(channel, drawn.gamma[number], inverted=False)


def _factor(limits: tuple[float, float], random: np.random.Generator) -> float:
    """Below 1 as often as above it, uniform on either side."""
    low, high = limits
    return random.uniform(low, 1) if random.random() < 0.5 else random.uniform(1, high)


def _draw_matrix(spec: AugmentationSpec, dimensions: int, random: np.random.Generator) -> Matrix | None:
    """Rotation times scaling, or None: both are rare. The scale is the same for all axes; above 1 structures shrink."""
    rotates, scales = random.random() < P_ROTATION, random.random() < P_SCALING
    if not (rotates or scales):
        return None
    matrix = np.eye(dimensions)
    if rotates:
        limit = float(np.deg2rad(spec.rotation_degrees))
        matrix = rotation([random.uniform(-limit, limit) for _ in range(1 if dimensions == 2 else dimensions)])
    return matrix * random.uniform(SMALLEST_SCALE, LARGEST_SCALE) if scales else matrix


def rotation(angles: Sequence[float]) -> Matrix:
    """In the plane by one angle, or in space about axis 0, then 1, then 2 by three; in radians."""
    if len(angles) == 1:
        return _turn(angles[0], 2, (0, 1))
    # About axis 1 the turn goes from axis 2 to axis 0: the right-hand rule.
    return _turn(angles[2], 3, (0, 1)) @ _turn(angles[1], 3, (2, 0)) @ _turn(angles[0], 3, (1, 2))


def _turn(angle: float, dimensions: int, plane: tuple[int, int]) -> Matrix:
    """The rotation from the first axis of the plane to the second."""
    first, second = plane
    matrix = np.eye(dimensions)
    matrix[first, first] = matrix[second, second] = np.cos(angle)
    matrix[second, first] = np.sin(angle)
    matrix[first, second] = -np.sin(angle)
    return matrix
