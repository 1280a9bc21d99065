"""Measure cases one by one, then combine them into a fingerprint.

A case leaves a small measurement and a bounded sample of its intensities, so memory does not
depend on the size of images, and hardly on their number. Summaries of parts of a dataset can be merged: the fingerprint
is the same, bit for bit, however the cases were divided.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import islice
from mmap import mmap

import numpy as np
import numpy.typing as npt

from autoseg.core.case import Image
from autoseg.core.fingerprint import CaseMeasurement, Fingerprint, IntensityStatistics
from autoseg.core.geometry import Box, Reorientation, bounding_box, canonical_axes, orientation_code
from autoseg.core.labels import Labels
from autoseg.core.packed import Packed
from autoseg.planning.case_profile import intensity_quantiles

QUANTILES_PER_CASE = 8192  # a power of two, so that samples can be halved down to one value
LARGEST_SAMPLE = 1_000_000  # quantiles per channel that a summary holds over all cases
CASES_AT_A_TIME = 32  # that join a summary together
PAIRED_AT_A_TIME = 2**17  # quantiles of a channel: a megabyte while they are


@dataclass(frozen=True, eq=False)
class Samples:
    """The intensities of some cases; all arrays have cases first, and those of channels channels next.

    ``mean``, ``variance``, ``minimum`` and ``maximum`` ``(cases, C)`` are exact; ``quantiles`` ``(cases, C, n)`` are
    evenly spaced in probability. They are those of the foreground (label > 0) ``of_foreground``, else of the nonzero
    voxels. ``whole_mean`` and ``whole_variance`` ``(cases, C)`` are those of all voxels.
    """

    of_foreground: npt.NDArray[np.bool_]
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    minimum: npt.NDArray[np.float64]
    maximum: npt.NDArray[np.float64]
    quantiles: npt.NDArray[np.float32]
    whole_mean: npt.NDArray[np.float64]
    whole_variance: npt.NDArray[np.float64]


class Joined:
    """The samples of more and more cases, whose quantiles lie in one place and are halved there when they are too many.

    That place is no part of the heap: new arrays for every few cases would leave holes there that are never given
    back, between what stays of each case.
    """

    def __init__(self) -> None:
        self._parts: list[Samples] = []  # without their quantiles
        self._quantiles = np.empty((0, 0), np.float32)  # (C, n of case after case)
        self._cases, self._size = 0, QUANTILES_PER_CASE

    def add(self, more: Samples) -> None:
        """Of each case as many quantiles as a summary of these cases alone has, or more."""
        if not self._parts:
            channels = more.mean.shape[1]
            pages = mmap(-1, channels * LARGEST_SAMPLE * np.dtype(np.float32).itemsize)
            self._quantiles = np.frombuffer(pages, np.float32).reshape(channels, -1)
        self._parts.append(replace(more, quantiles=np.empty((0, 0, 0), np.float32)))
        size = quantiles_of(self._cases + len(more.mean))
        while self._size > size:
            self._halve()
        start, self._cases = self._cases * size, self._cases + len(more.mean)
        end = self._cases * size
        if end > self._quantiles.shape[1]:  # more cases than ``LARGEST_SAMPLE``
            self._quantiles = np.pad(self._quantiles, ((0, 0), (0, end)))
        added = more.quantiles
        while added.shape[2] > size:
            added = halved(added)
        self._quantiles[:, start:end] = added.swapaxes(0, 1).reshape(len(self._quantiles), -1)

    def all(self) -> Samples | None:
        """Those of all cases, their quantiles as a view; None of no case."""
        if not self._parts:
            return None
        held = self._quantiles[:, : self._cases * self._size]
        by_case = held.reshape(len(held), self._cases, self._size).swapaxes(0, 1)
        return replace(concatenated(self._parts), quantiles=by_case)

    def _halve(self) -> None:
        for start in range(0, self._cases * self._size, PAIRED_AT_A_TIME):
            end = min(start + PAIRED_AT_A_TIME, self._cases * self._size)
            self._quantiles[:, start // 2 : end // 2] = halved(self._quantiles[:, start:end])
        self._size //= 2


@dataclass(frozen=True, eq=False)
class Summary:
    """What is kept of some cases: their measurements, packed, and over all ``LARGEST_SAMPLE`` quantiles a channel."""

    cases: Packed[CaseMeasurement]
    samples: Samples | None  # None of no case


def measure_case(
    name: str,
    domain: str,
    subject: str,
    image: Image,
    labels: npt.NDArray[np.integer],
    names: Labels,
) -> tuple[CaseMeasurement, Samples]:
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


def sample_intensities(values: npt.NDArray[np.generic], of_foreground: bool, whole: npt.NDArray[np.generic]) -> Samples:
    """Of one case, ``values`` ``(C, n)`` of the ``whole`` ``(C, all)``; nothing at all counts as one zero per channel.

    The sample is deterministic: the values in the middle of ``QUANTILES_PER_CASE`` equal shares.
    """
    if values.shape[1] == 0:
        values = np.zeros((len(values), 1), np.float32)
    middles = (np.arange(QUANTILES_PER_CASE) + 0.5) / QUANTILES_PER_CASE
    places = (middles * values.shape[1]).astype(np.int64)
    return Samples(
        of_foreground=np.array([of_foreground]),
        mean=values.mean(axis=1, dtype=np.float64)[None],
        variance=values.var(axis=1, dtype=np.float64)[None],
        minimum=values.min(axis=1).astype(np.float64)[None],
        maximum=values.max(axis=1).astype(np.float64)[None],
        quantiles=np.stack([np.sort(channel)[places] for channel in values]).astype(np.float32)[None],
        whole_mean=whole.mean(axis=1, dtype=np.float64)[None],
        whole_variance=whole.var(axis=1, dtype=np.float64)[None],
    )


def summarize(measured: Iterable[tuple[CaseMeasurement, Samples]]) -> Summary:
    """The summary of cases that are measured one after the other; none of them is held as it comes."""
    cases, samples, iterator = Packed(CaseMeasurement), Joined(), iter(measured)
    while some := list(islice(iterator, CASES_AT_A_TIME)):
        cases.extend(case for case, _ in some)
        samples.add(concatenated([sample for _, sample in some]))
        del some
    return Summary(cases, samples.all())


def merge(summaries: Iterable[Summary]) -> Summary:
    """The summary of all their cases."""
    cases, samples = Packed(CaseMeasurement), Joined()
    for one in summaries:
        cases.extend(one.cases)
        if one.samples is not None:
            samples.add(one.samples)
    return Summary(cases, samples.all())


def concatenated(parts: Sequence[Samples]) -> Samples:
    """Samples as one; they have the same number of quantiles."""
    return Samples(*(np.concatenate([getattr(one, field.name) for one in parts]) for field in fields(Samples)))


def halved(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The means of neighbours along the last axis, of an even number."""
    means: npt.NDArray[np.float64] = values.reshape(*values.shape[:-1], -1, 2).mean(axis=-1, dtype=np.float64)
    return means.astype(np.float32)


def quantiles_of(num_cases: int) -> int:
    """How many a case has among so many: halved until all are no more than ``LARGEST_SAMPLE`` a channel.

    As nothing else decides it, it does not matter which cases were joined first.
    """
    size = QUANTILES_PER_CASE
    while size > 1 and size * num_cases > LARGEST_SAMPLE:
        size //= 2
    return size


def combine(
    dataset: str,
    channels: Sequence[str],
    labels: Labels,
    measured: Iterable[tuple[CaseMeasurement, Samples]],
) -> Fingerprint:
    """The fingerprint of all measured cases, whatever their order."""
    return fingerprint_of(dataset, channels, labels, summarize(measured))


def fingerprint_of(dataset: str, channels: Sequence[str], labels: Labels, summary: Summary) -> Fingerprint:
    """The fingerprint of all cases of a summary.

    Every case weighs the same, as in nnU-Net, which draws the same number of voxels from each. Cases
    without foreground count only where no case has any.
    """
    names, samples = [case.name for case in summary.cases], summary.samples
    order = sorted(range(len(names)), key=names.__getitem__)
    del names
    cases = Packed(CaseMeasurement)
    domains: dict[str, array[int]] = defaultdict(lambda: array("q"))
    for place in order:
        case = summary.cases[place]
        cases.append(case)
        domains[case.domain].append(place)
    return Fingerprint(
        dataset=dataset,
        channels=tuple(channels),
        labels=labels,
        cases=cases,
        intensities=() if samples is None else pool(samples, np.array(order)),
        domain_intensities={}
        if samples is None
        else {domain: pool(samples, np.asarray(domains[domain])) for domain in sorted(domains)},
    )


def pool(samples: Samples, cases: npt.NDArray[np.int64]) -> tuple[IntensityStatistics, ...]:
    """Statistics per channel over ``cases`` of the samples, each with the same weight.

    Mean and standard deviation are exact (law of total variance); the percentiles are of the samples.
    """
    with_foreground = cases[samples.of_foreground[cases]]
    used = with_foreground if len(with_foreground) else cases
    mean, whole_mean = samples.mean[used], samples.whole_mean[cases]
    spread = samples.variance[used].mean(axis=0) + mean.var(axis=0)
    whole_spread = samples.whole_variance[cases].mean(axis=0) + whole_mean.var(axis=0)
    low, high = samples.minimum[used].min(axis=0), samples.maximum[used].max(axis=0)
    statistics = []
    for channel in range(mean.shape[1]):
        values = samples.quantiles[used, channel]  # a copy
        percentiles = np.percentile(values, (0.5, 50, 99.5), method="hazen", overwrite_input=True)  # for mid-shares
        statistics.append(
            IntensityStatistics(
                mean=float(mean[:, channel].mean()),
                median=float(percentiles[1]),
                std=float(np.sqrt(spread[channel])),
                minimum=float(low[channel]),
                maximum=float(high[channel]),
                percentile_00_5=float(percentiles[0]),
                percentile_99_5=float(percentiles[2]),
                whole_mean=float(whole_mean[:, channel].mean()),
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
