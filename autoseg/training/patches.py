"""Which patch of which case a training step sees, and reading it.

Every sample is drawn from its own random generator, keyed by (seed, stream, step, index): the
sequence is the same whatever is resumed, and whatever thread or process reads it.
Axes are the plan's working axes; a 2D patch is a slice across axis 0.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count

import numpy as np
import numpy.typing as npt
import torch

from autoseg.core.geometry import Box
from autoseg.core.plan import Configuration
from autoseg.io.store import StoredCase
from autoseg.training.augmentation import Transform

TRAINING_STREAM, VALIDATION_STREAM = 0, 1


@dataclass(frozen=True)
class Batch:
    """``image`` (B, C, *patch) float32; ``target`` (B, *patch) int64, background 0."""

    image: torch.Tensor
    target: torch.Tensor


@dataclass(frozen=True)
class PatchSource:
    """All that decides the patches of one stream (training, or validation during training)."""

    cases: Sequence[StoredCase]
    configuration: Configuration
    read_size: tuple[int, ...]  # the patch size, enlarged where a transform follows
    transform: Transform | None
    stream: int
    seed: int

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        samples = [self._sample(step, index) for index in range(self.configuration.batch_size)]
        return Batch(torch.stack([image for image, _ in samples]), torch.stack([target for _, target in samples]))

    def _sample(self, step: int, index: int) -> tuple[torch.Tensor, torch.Tensor]:
        random = np.random.default_rng((self.seed, self.stream, step, index))
        case = self.cases[int(random.integers(len(self.cases)))]
        foreground = is_foreground_sample(self.configuration, index, random)
        box = draw_box(case, self.configuration, self.read_size, foreground, random)
        image, labels = case.read(box)
        if self.configuration.network.dimensions == 2:
            image, labels = image[:, 0], labels[0]
        sample = {"image": torch.from_numpy(image), "segmentation": torch.from_numpy(labels)[None]}
        if self.transform is not None:
            # batchgeneratorsv2 draws from the global generators.
            transform_seed = int(random.integers(2**32))
            np.random.seed(transform_seed)
            torch.manual_seed(transform_seed)
            sample = self.transform(**sample)
        return sample["image"].contiguous(), sample["segmentation"][0].clamp_min(0).long()


def is_foreground_sample(configuration: Configuration, index: int, random: np.random.Generator) -> bool:
    """The last ``foreground_share`` of a batch is centred on foreground; a batch of one draws lots."""
    share, size = configuration.training.foreground_share, configuration.batch_size
    return bool(random.random() < share) if size == 1 else index >= round(size * (1 - share))


def draw_box(
    case: StoredCase,
    configuration: Configuration,
    read_size: Sequence[int],
    foreground: bool,
    random: np.random.Generator,
) -> Box:
    """A box of ``read_size`` in the case, around a foreground voxel if asked and if there is one.

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
    centre = _foreground_voxel(case, random) if foreground else None
    if centre is not None:
        starts = [
            min(high, max(low, c - s // 2)) for low, high, c, s in zip(lowest, highest, centre, size, strict=True)
        ]
    return tuple((start, start + s) for start, s in zip(starts, size, strict=True))


def _foreground_voxel(case: StoredCase, random: np.random.Generator) -> tuple[int, ...] | None:
    """A stored voxel of a label drawn uniformly from those that the case has."""
    present = sorted(label for label, places in case.foreground.items() if len(places))
    if not present:
        return None
    places: npt.NDArray[np.integer] = case.foreground[present[int(random.integers(len(present)))]]
    flat = int(places[int(random.integers(len(places)))])
    return tuple(int(i) for i in np.unravel_index(flat, case.shape))


def batches(source: PatchSource, first_step: int, workers: int) -> Iterator[Batch]:
    """Batches from ``first_step`` on, for ever, in order.

    0 workers: read when asked for. 1: one thread reads ahead. More: processes, since the transforms
    draw from random generators that threads would share.
    """
    if workers == 0:
        yield from map(source.batch, count(first_step))
    elif workers == 1:
        with ThreadPoolExecutor(1) as pool:
            pending = [pool.submit(source.batch, first_step + ahead) for ahead in range(2)]
            for step in count(first_step + 2):
                pending.append(pool.submit(source.batch, step))
                yield pending.pop(0).result()
    else:
        yield from torch.utils.data.DataLoader(
            _Steps(source),  # type: ignore[arg-type]
            sampler=count(first_step),
            batch_size=None,
            num_workers=workers,
            worker_init_fn=_one_thread,
        )


@dataclass(frozen=True)
class _Steps:
    """A PatchSource as the mapping that torch's loader wants (it asks for no more than this)."""

    source: PatchSource

    def __getitem__(self, step: int) -> Batch:
        return self.source.batch(step)


def _one_thread(_: int) -> None:
    torch.set_num_threads(1)
