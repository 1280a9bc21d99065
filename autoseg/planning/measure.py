"""Measure cases one by one, then combine them into a fingerprint.

A case leaves a small measurement and a bounded sample of its intensities, so memory does not
depend on the size of images, and hardly on their number.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from autoseg.core.case import Image
from autoseg.core.fingerprint import CaseMeasurement, Fingerprint, IntensityStatistics
from autoseg.core.geometry import Box, Reorientation, bounding_box, canonical_axes, orientation_code
from autoseg.core.labels import Labels
from autoseg.planning.case_profile import intensity_quantiles

QUANTILES_PER_CASE = 8192  # a power of two, so that samples can be halved down to one value
LARGEST_SAMPLE = 1_000_000  # quantiles per channel that ``combine`` holds over all cases


@dataclass(frozen=True, eq=False)
class IntensitySample:
    """The intensities of one case, all arrays with channels first.

    ``mean``, ``variance``, ``minimum`` and ``maximum`` ``(C,)`` are exact; ``quantiles`` ``(C, n)`` are
    evenly spaced in probability. They are those of the foreground (label > 0) if ``of_foreground``,
    else of the nonzero voxels. ``count`` is the number of voxels measured. ``whole_mean`` and ``whole_variance``
    ``(C,)`` are those of all voxels.
    """

    count: int
    of_foreground: bool
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    minimum: npt.NDArray[np.float64]
    maximum: npt.NDArray[np.float64]
    quantiles: npt.NDArray[np.float32]
    whole_mean: npt.NDArray[np.float64]
    whole_variance: npt.NDArray[np.float64]

    def halved(self) -> IntensitySample:
        """The same with half of the quantiles: the means of neighbours."""
        channels, size = self.quantiles.shape
        pairs = self.quantiles.reshape(channels, size // 2, 2).mean(axis=2, dtype=np.float64)
        return replace(self, quantiles=pairs.astype(np.float32))


def measure_case(
    name: str,
    domain: str,
    subject: str,
    image: Image,
    labels: npt.NDArray[np.integer],
    names: Labels,
) -> tuple[CaseMeasurement, IntensitySample]:
    """Measure one case; ``labels`` is ``(X, Y, Z)`` in the stored axis order, as the image.

    Lengths and the box are in canonical axes; volumes are in cubic millimetres, for every label or
    region but background and ignore. The box holds the voxels that are nonzero in any channel; an image of zeros is
    kept whole. Raises ValueError when labels and image differ in shape.
    """
    if labels.shape != image.shape:
        raise ValueError(f"{name}: labels have shape {labels.shape}, the image {image.shape}")
    canonical = canonical_axes(image.affine)
    nonzero = (image.voxels != 0).any(axis=0)
    box = _canonical_box(bounding_box(nonzero) or tuple((0, size) for size in image.shape), image, canonical)
    voxel_mm3 = abs(float(np.linalg.det(image.affine[:3, :3])))
    counts = np.bincount(labels.ravel().clip(0), minlength=names.stored_values[-1] + 1)
    first, second, third = canonical.axes
    measurement = CaseMeasurement(
        name=name,
        domain=domain,
        subject=subject,
        orientation=orientation_code(image.affine),
        shape=(image.shape[first], image.shape[second], image.shape[third]),
        spacing_mm=(image.spacing_mm[first], image.spacing_mm[second], image.spacing_mm[third]),
        box=box,
        label_volumes_mm3={
            label: float(counts[list(values)].sum()) * voxel_mm3 for label, values in names.foreground.items()
        },
        intensity_quantiles=intensity_quantiles(image.voxels),
    )
    foreground = labels > 0
    has_foreground = bool(foreground.any())
    values = image.voxels[:, foreground if has_foreground else nonzero]
    return measurement, sample_intensities(values, has_foreground, image.voxels.reshape(len(image.voxels), -1))


def sample_intensities(
    values: npt.NDArray[np.generic], of_foreground: bool, whole: npt.NDArray[np.generic]
) -> IntensitySample:
    """Summarise ``values`` ``(C, n)`` of the ``whole`` ``(C, all)``; nothing at all counts as one zero per channel.

    The sample is deterministic: the values in the middle of ``QUANTILES_PER_CASE`` equal shares.
    """
    if values.shape[1] == 0:
        values = np.zeros((len(values), 1), np.float32)
    middles = (np.arange(QUANTILES_PER_CASE) + 0.5) / QUANTILES_PER_CASE
    places = (middles * values.shape[1]).astype(np.int64)
    return IntensitySample(
        count=values.shape[1],
        of_foreground=of_foreground,
        mean=values.mean(axis=1, dtype=np.float64),
        variance=values.var(axis=1, dtype=np.float64),
        minimum=values.min(axis=1).astype(np.float64),
        maximum=values.max(axis=1).astype(np.float64),
        quantiles=np.stack([np.sort(channel)[places] for channel in values]).astype(np.float32),
        whole_mean=whole.mean(axis=1, dtype=np.float64),
        whole_variance=whole.var(axis=1, dtype=np.float64),
    )


def combine(
    dataset: str,
    channels: Sequence[str],
    labels: Labels,
    measured: Iterable[tuple[CaseMeasurement, IntensitySample]],
) -> Fingerprint:
    """The fingerprint of all measured cases, whatever their order.

    Every case weighs the same, as in nnU-Net, which draws the same number of voxels from each. Cases
    without foreground count only where no case has any. The quantiles of all cases are halved each
    time they exceed ``LARGEST_SAMPLE`` a channel, so memory is bounded.
    """
    size = QUANTILES_PER_CASE
    collected: list[tuple[CaseMeasurement, IntensitySample]] = []
    for measurement, full in measured:
        sample = full
        while sample.quantiles.shape[1] > size:
            sample = sample.halved()
        collected.append((measurement, sample))
        if size > 1 and size * len(collected) > LARGEST_SAMPLE:
            size //= 2
            collected = [(case, kept.halved()) for case, kept in collected]
    collected.sort(key=lambda pair: pair[0].name)
    domains = sorted({case.domain for case, _ in collected})
    return Fingerprint(
        dataset=dataset,
        channels=tuple(channels),
        labels=labels,
        cases=tuple(case for case, _ in collected),
        intensities=pool([sample for _, sample in collected]) if collected else (),
        domain_intensities={
            domain: pool([sample for case, sample in collected if case.domain == domain]) for domain in domains
        },
    )


def pool(samples: Sequence[IntensitySample]) -> tuple[IntensityStatistics, ...]:
    """Statistics per channel over ``samples``, each with the same weight and number of quantiles.

    Mean and standard deviation are exact (law of total variance); the percentiles are of the samples.
    """
    used = [sample for sample in samples if sample.of_foreground] or list(samples)
    means = np.stack([sample.mean for sample in used])
    spread = np.stack([sample.variance for sample in used]).mean(axis=0) + means.var(axis=0)
    whole_means = np.stack([sample.whole_mean for sample in samples])
    whole_spread = np.stack([sample.whole_variance for sample in samples]).mean(axis=0) + whole_means.var(axis=0)
    low = np.stack([sample.minimum for sample in used]).min(axis=0)
    high = np.stack([sample.maximum for sample in used]).max(axis=0)
    statistics = []
    for channel in range(means.shape[1]):
        values = np.concatenate([sample.quantiles[channel] for sample in used])
        tail_low, median, tail_high = np.percentile(values, (0.5, 50, 99.5), method="hazen")  # for mid-shares
        statistics.append(
            IntensityStatistics(
                mean=float(means[:, channel].mean()),
                median=float(median),
                std=float(np.sqrt(spread[channel])),
                minimum=float(low[channel]),
                maximum=float(high[channel]),
                percentile_00_5=float(tail_low),
                percentile_99_5=float(tail_high),
                whole_mean=float(whole_means[:, channel].mean()),
                whole_std=float(np.sqrt(whole_spread[channel])),
            )
        )
    return tuple(statistics)


def _canonical_box(
    stored: Box, image: Image, canonical: Reorientation
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int]]:
    """A box of stored axes in canonical axes: a flipped axis counts from its other end."""
    x, y, z = (
        (image.shape[axis] - stored[axis][1], image.shape[axis] - stored[axis][0]) if flip else stored[axis]
        for axis, flip in zip(canonical.axes, canonical.flips, strict=True)
    )
    return x, y, z
