"""Which patch of which case a training step sees, and making it.

Every sample is drawn from its own random generator, keyed by (seed, stream, step, index): the
sequence is the same whatever is resumed, and whatever thread makes a sample.
Axes are the plan's working axes; a 2D patch is a slice across axis 0.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import Protocol

import numpy as np
import torch

from autoseg.core.geometry import Box
from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.io.store import KNOWN, DecodedCases, StoredCase
from autoseg.preprocessing.previous_stage import num_previous_channels, one_hot_channels
from autoseg.runtime import ranks
from autoseg.runtime.devices import core_pool
from autoseg.training import augmentation, operations
from autoseg.training.sampling import Passes, draw_case, members_of_domains, passes, slice_box
from autoseg.training.spatial import window

TRAINING_STREAM, VALIDATION_STREAM = 0, 1
TASKS_PER_WORKER = 4  # in a batch: enough to share out evenly, few enough that handing over costs nothing
Sample = tuple[torch.Tensor, torch.Tensor]
Origin = tuple[str, tuple[int, ...]]  # a case, and the voxel of the prepared case in the middle of the sample


@dataclass(frozen=True)
class Batch:
    """``image`` (B, C, *patch) float32; ``target`` (B, *patch) int64, background 0."""

    image: torch.Tensor
    target: torch.Tensor


@dataclass(frozen=True)
class PatchSource:
    """All that decides the patches of one stream (training, or validation during training).

    ``zeros`` is what the normalisation makes of an intensity of 0 in each channel; empty: 0. ``domains`` are those of
    the cases, which a configuration that balances them needs; without them each case is drawn as often.
    """

    cases: Sequence[StoredCase]
    configuration: Configuration
    labels: Labels
    augmented: bool
    stream: int
    seed: int
    zeros: Sequence[float] = ()
    decoded: DecodedCases = field(default_factory=DecodedCases)
    domains: Sequence[str] = ()

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        return stack([self.sample(step, index) for index in range(self.size(step))])

    def size(self, step: int) -> int:
        """How many samples the batch of a step holds."""
        return self._passes.size(step) if self._passes else self.configuration.batch_size

    def sample(self, step: int, index: int) -> Sample:
        """Image ``(C, *patch)`` and target ``(*patch)`` of one sample; threads may ask at once."""
        random = np.random.default_rng((self.seed, self.stream, step, index))
        patch_size, flat = self.configuration.patch_size, self.configuration.network.dimensions == 2
        case, around = self._place(step, index, random)
        num_previous = num_previous_channels(self.labels) if self.configuration.previous_stage else 0
        own = self.configuration.augmentation.operations if self.augmented else None
        drawn = None
        if self._with_nnunets_list:
            drawn = augmentation.draw(self.configuration, case.num_channels, random, num_previous)
        matrix = drawn.matrix if drawn else None
        needed = window(matrix, patch_size, around[flat:], case.shape[flat:])
        image, labels = self.decoded.read(case, (*around[:flat], *needed.box))
        if flat:
            image, labels = image[:, 0], labels[0]
        if drawn:
            image, labels = augmentation.apply(drawn, self.configuration, image, labels, needed.centre)
        if own:
            zeros = self.zeros or (0.0,) * case.num_channels
            chosen = operations.draw(own, patch_size, case.num_channels, random)
            image, maps = operations.apply(chosen, image, labels.reshape(-1, *patch_size), zeros)
            augmentation.hide_outside(image, maps[0], self.configuration)
            labels = maps.reshape(labels.shape)
        if num_previous:
            labels, previous = labels
            image = np.concatenate((image, one_hot_channels(previous, self.labels)))
        return torch.from_numpy(image), torch.from_numpy(np.maximum(labels, 0).astype(np.int64))

    def origin(self, step: int, index: int) -> Origin:
        """Where a sample comes from."""
        case, box = self._place(step, index, np.random.default_rng((self.seed, self.stream, step, index)))
        return case.name, tuple((start + stop) // 2 for start, stop in box)

    def _place(self, step: int, index: int, random: np.random.Generator) -> tuple[StoredCase, Box]:
        """The case of a sample, and the box in it whose middle is the middle of the patch."""
        item = self._passes.item(step, index) if self._passes else None
        place = draw_case(len(self.cases), self._members, random) if item is None else item.case
        case = self.cases[place]
        if item is not None and item.slice is not None:
            return case, slice_box(case.shape, item.slice, self._placed_size)
        foreground = is_foreground_sample(self.configuration, index, random)
        centre = draw_centre(case, self.labels, foreground, random)
        return case, draw_box(case, self.configuration, self._placed_size, centre, random)

    @property
    def _with_nnunets_list(self) -> bool:
        return self.augmented and self.configuration.augmentation.operations is None

    @cached_property
    def _passes(self) -> Passes | None:
        return passes(self.cases, self.configuration, self.stream == TRAINING_STREAM, self.seed, self.stream)

    @cached_property
    def _members(self) -> tuple[tuple[int, ...], ...]:
        return members_of_domains(self.domains, self.configuration)

    @cached_property
    def _placed_size(self) -> tuple[int, ...]:
        """The size of the boxes whose middles are the middles of the patches."""
        patch_size = self.configuration.patch_size
        if not self._with_nnunets_list:
            return patch_size
        return augmentation.initial_patch_size(patch_size, self.configuration.augmentation)


def stack(samples: Sequence[Sample]) -> Batch:
    """By numpy: after an operation shared over cores, torch's threads keep those busy for milliseconds, waiting."""
    image, target = (np.stack([part.numpy() for part in parts]) for parts in zip(*samples, strict=True))
    return Batch(torch.from_numpy(image), torch.from_numpy(target))


def is_foreground_sample(configuration: Configuration, index: int, random: np.random.Generator) -> bool:
    """The last ``foreground_share`` of a batch is centred on foreground; a batch of one draws lots."""
    share, size = configuration.training.foreground_share, configuration.batch_size
    return bool(random.random() < share) if size == 1 else index >= round(size * (1 - share))


def draw_box(
    case: StoredCase,
    configuration: Configuration,
    read_size: Sequence[int],
    centre: Sequence[int] | None,
    random: np.random.Generator,
) -> Box:
    """A box of ``read_size`` in the case, around the voxel ``centre`` if there is one.

    It may reach over the edges of the case by half of what the read size exceeds the patch, and by
    as much as a case smaller than the patch needs; whole cases are centred.
    """
    size = list(read_size)
    patch = list(configuration.patch_size)
    if configuration.network.dimensions == 2:
        size, patch = [1, *size], [1, *patch]
    if configuration.whole_case:
        starts = [(extent - s) // 2 for extent, s in zip(case.shape, size, strict=True)]
        return tuple((start, start + s) for start, s in zip(starts, size, strict=True))
    overhang = [max(s - p, s - extent) for s, p, extent in zip(size, patch, case.shape, strict=True)]
    lowest = [-(o // 2) for o in overhang]
    highest = [extent + o // 2 + o % 2 - s for extent, o, s in zip(case.shape, overhang, size, strict=True)]
    starts = [int(random.integers(low, high + 1)) for low, high in zip(lowest, highest, strict=True)]
    if centre is not None:
        starts = [
            min(high, max(low, c - s // 2)) for low, high, c, s in zip(lowest, highest, centre, size, strict=True)
        ]
    return tuple((start, start + s) for start, s in zip(starts, size, strict=True))


def draw_centre(
    case: StoredCase, labels: Labels, foreground: bool, random: np.random.Generator
) -> tuple[int, ...] | None:
    """A stored voxel of a label or region drawn uniformly from those that the case has; None if any place will do.

    Where voxels are ignored, a sample that need not show foreground is centred on one that has a reference.
    """
    groups: Sequence[Sequence[int]] = [(KNOWN,)] if labels.ignore_index is not None else []
    if foreground:
        groups = labels.region_indices
    found = case.foreground if groups else {}
    present = [[found[index] for index in group if index in found] for group in groups]
    present = [places for places in present if places]
    if not present:
        return None
    voxels = np.concatenate(present[int(random.integers(len(present)))])
    chosen = int(voxels[int(random.integers(len(voxels)))])
    return tuple(int(i) for i in np.unravel_index(chosen, case.shape))


class SampleSource(Protocol):
    """A ``PatchSource`` or another that makes the samples of a step."""

    def batch(self, step: int) -> Batch:
        """The batch of a step."""

    def size(self, step: int) -> int:
        """How many samples the batch of a step holds."""

    def sample(self, step: int, index: int) -> Sample:
        """One sample; threads may ask at once."""

    def origin(self, step: int, index: int) -> Origin:
        """Where a sample comes from."""


def batches(source: SampleSource, first_step: int, workers: int, ahead: int) -> Iterator[Batch]:
    """Batches from ``first_step`` on, for ever, in order; the same for all ``workers`` and ``ahead``.

    The samples of a batch are made side by side by ``workers`` threads, a batch when it is asked for and
    ``ahead`` of them in advance; one worker and nothing in advance needs no thread. Closing the generator
    leaves no work behind. Where several processes share a batch, each makes its share, which may be empty.
    """
    if workers == 1 and ahead == 0 and ranks.count() == 1:
        yield from map(source.batch, count(first_step))
    steps, pool = count(first_step), core_pool(workers)

    def make(step: int, part: range) -> list[Sample]:
        return [source.sample(step, index) for index in part]

    def parts(step: int) -> list[range]:
        own = ranks.share(source.size(step)) or range(1)  # of no samples only the shape is needed
        size, tasks = len(own), min(len(own), workers * TASKS_PER_WORKER)
        return [own[size * task // tasks : size * (task + 1) // tasks] for task in range(tasks)]

    pending: deque[tuple[int, list[Future[list[Sample]]]]] = deque()
    try:
        while True:
            while len(pending) <= ahead:
                step = next(steps)
                pending.append((step, [pool.submit(make, step, part) for part in parts(step)]))
            samples = [sample for task in pending[0][1] for sample in task.result()]
            step, _ = pending.popleft()
            batch = stack(samples)
            yield batch if ranks.share(source.size(step)) else Batch(batch.image[:0], batch.target[:0])
    finally:
        wait([task for _, tasks_of_step in pending for task in tasks_of_step if not task.cancel()])
