"""Forward passes side by side: how many, of how many tiles each, and their results in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import prod
from typing import TypeVar

from autoseg.runtime.devices import core_pool
from autoseg.runtime.jobs import in_order, num_cores

Job = TypeVar("Job")
Result = TypeVar("Result")

# Voxels of one forward pass on a GPU: enough to fill it, small enough for any memory.
GPU_FORWARD_VOXELS = 2**20
# Larger tiles go through the network one at a time, on all cores: their activations take gigabytes.
LARGE_TILE_VOXELS = 2**19
# On one core a larger batch is no faster (measured: 4 to 36 slices of 56 x 40, 1 to 4 tiles of 40 x 56 x 40).
CORE_FORWARD_VOXELS = 2**14
# A batch is not raised beyond this, nor are all passes at a time together larger: about 1 kB a voxel of activations.
RAISED_FORWARD_VOXELS = 2**18
VOXELS_AT_A_TIME = 2**22


@dataclass(frozen=True)
class Lanes:
    """``workers`` forward passes at a time, each of up to ``batch`` tiles."""

    workers: int
    batch: int

    def shared(self, tiles: int) -> Lanes:
        """The same for ``tiles`` tiles in all: smaller batches, then fewer workers, so that none has nothing to do."""
        batch = max(1, min(self.batch, tiles // self.workers))
        return Lanes(max(1, min(self.workers, -(-tiles // batch))), batch)


def choose_lanes(device: str, patch_size: Iterable[int], smallest_batch: int = 1) -> Lanes:
    """On a CPU one core for each small tile; large tiles, and any on a GPU, one forward pass at a time.

    ``smallest_batch`` is what the engine would rather have at least, unless that takes much memory.
    """
    voxels = prod(patch_size)
    if device != "cpu":
        return Lanes(1, max(1, GPU_FORWARD_VOXELS // voxels))
    if voxels > LARGE_TILE_VOXELS:
        return Lanes(1, 1)
    batch = max(1, min(smallest_batch, RAISED_FORWARD_VOXELS // voxels), CORE_FORWARD_VOXELS // voxels)
    return Lanes(min(num_cores(), max(1, VOXELS_AT_A_TIME // (batch * voxels))), batch)


def side_by_side(function: Callable[[Job], Result], jobs: Iterable[Job], workers: int) -> Iterator[Result]:
    """``map`` over ``workers`` threads that share the cores, results in order; one worker is the calling thread.

    One job more than workers is in flight. What has not begun is cancelled when the iterator is closed.
    """
    if workers == 1:
        return map(function, jobs)
    return in_order(core_pool(workers, max(1, num_cores() // workers)), function, jobs, workers + 1)
