"""Logits of a whole image from overlapping tiles, weighted by a Gaussian.

A 3D network sees the volume; a 2D network sees the slices across axis 0 as independent images, which are
tiles of one voxel along axis 0 here, so one loop serves both. Tiles come in the order of axis 0, so the
sums are kept for as many planes as a tile has, and finished planes are handed on.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from itertools import combinations, islice, product
from math import ceil, prod
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import torch

from autoseg.inference.engines import Engine
from autoseg.inference.lanes import Lanes, side_by_side
from autoseg.preprocessing.resample_slabs import Slab
from autoseg.runtime.progress import part_done

Start = tuple[int, ...]


class Copy(NamedTuple):
    """One way in which a network sees a tile: where the tile starts, and the axes of the network to flip."""

    start: Start  # (3); negative where the image is smaller than the tile
    flips: tuple[int, ...]


def tile_starts(size: int, patch: int, step: float) -> list[int]:
    """Starts of the tiles along an axis of ``size`` voxels.

    ``ceil((size - patch) / (step * patch)) + 1`` tiles at equal distances, the last one flush with the
    end: size 110, patch 64, step 0.5 gives 0, 23, 46. A larger tile lies centred (the odd voxel above).
    """
    if size < patch:
        return [-((patch - size) // 2)]
    count = ceil((size - patch) / (step * patch)) + 1
    distance = (size - patch) / (count - 1) if count > 1 else 0.0
    return [round(index * distance) for index in range(count)]


def gaussian_line(size: int) -> npt.NDArray[np.float64]:
    """``(size)``: a Gaussian around voxel ``size // 2`` with a standard deviation of ``size / 8``, maximum 1.

    Its smallest value is exp(-8), so no product of three is zero in float32.
    """
    distance = np.arange(size) - size // 2
    line: npt.NDArray[np.float64] = np.exp(-0.5 * (distance / (size / 8)) ** 2)
    return line


@lru_cache(maxsize=8)
def gaussian_weights(patch_size: tuple[int, ...]) -> torch.Tensor:
    """``(*patch)`` float32: the product of the Gaussians along the axes."""
    weights = np.ones(())
    for size in patch_size:
        weights = weights[..., None] * gaussian_line(size)
    return torch.from_numpy(weights.astype(np.float32))


def mirror_combinations(axes: Sequence[int]) -> list[tuple[int, ...]]:
    """The identity and every set of axes to flip."""
    return [flips for number in range(len(axes) + 1) for flips in combinations(axes, number)]


def sliding_window_logits(
    engines: Sequence[Engine],
    image: npt.NDArray[np.float32],
    patch_size: Sequence[int],
    num_classes: int,
    lanes: Lanes,
    mirror_axes: Sequence[int] = (),
    step: float = 0.5,
) -> npt.NDArray[np.float32]:
    """``(C, *shape)`` -> logits ``(num_classes, *shape)``; see ``sliding_window_slabs``."""
    logits = np.empty((num_classes, *image.shape[1:]), np.float32)
    for planes, slab in sliding_window_slabs(engines, image, patch_size, num_classes, lanes, mirror_axes, step):
        logits[:, planes] = slab
    return logits


def sliding_window_slabs(
    engines: Sequence[Engine],
    image: npt.NDArray[np.float32],
    patch_size: Sequence[int],
    num_classes: int,
    lanes: Lanes,
    mirror_axes: Sequence[int] = (),
    step: float = 0.5,
) -> Iterator[Slab]:
    """``(C, *shape)`` -> planes of axis 0 and their logits ``(num_classes, planes, *shape[1:])``, in order.

    The logits are the mean over networks and mirrored copies of each tile, and over tiles by their Gaussian
    weights. ``patch_size`` has one entry per network dimension; the tiles overlap by ``1 - step``. A slab
    is valid until the next one is asked for. The result does not depend on how the threads happen to run.
    """
    patch, shape = tuple(patch_size), image.shape[1:]
    tile = (1,) * (3 - len(patch)) + patch
    lines = [range(shape[0])] if len(patch) == 2 else []
    starts = [*lines, *(tile_starts(s, p, step) for s, p in zip(shape[3 - len(patch) :], patch, strict=True))]
    flips = mirror_combinations(mirror_axes)
    number = prod(len(line) for line in starts) * len(flips)
    lanes, finished = lanes.shared(number), 0
    copies = (Copy(start, axes) for start in product(*starts) for axes in flips)
    weights = gaussian_weights(patch) / (len(flips) * len(engines))
    forward = partial(weighted_logits, engines, image, weights)
    inverse = [_inverse_coverage(s, line, t) for s, line, t in zip(shape, starts, tile, strict=True)]
    in_plane = np.multiply.outer(inverse[1], inverse[2])

    def finish(base: int, stop: int) -> Slab:
        for plane in range(base, stop):
            total[:, plane - base] *= inverse[0][plane] * in_plane
        return slice(base, stop), total[:, : stop - base]

    base = 0
    total = np.zeros((num_classes, min(tile[0], shape[0]), *shape[1:]), np.float32)
    for results in side_by_side(forward, _batches(copies, lanes.batch), lanes.workers):
        for start, part in results:
            if start[0] > base:
                yield finish(base, start[0])
                kept = max(0, base + total.shape[1] - start[0])
                total[:, :kept] = total[:, total.shape[1] - kept :]
                total[:, kept:] = 0
                base = start[0]
            into, cut = _overlap(start, tile, shape)
            finished += 1
            into = (slice(into[0].start - base, into[0].stop - base), *into[1:])
            total[:, *into] += part[:, *cut]
        part_done(finished / number)
        del results, part  # or they are held while the next tiles go through the networks
    yield finish(base, shape[0])


def weighted_logits(
    engines: Sequence[Engine], image: npt.NDArray[np.float32], weights: torch.Tensor, copies: Sequence[Copy]
) -> list[tuple[Start, npt.NDArray[np.float32]]]:
    """One forward pass per network of ``copies`` of tiles: the sum for each tile, times ``weights`` ``(*patch)``.

    Tiles are ``(K, *tile)`` with three axes. A tile whose copies go through in several passes comes several times.
    """
    patch = tuple(weights.shape)
    tile = (1,) * (3 - len(patch)) + patch
    batch = np.zeros((len(copies), len(image), *tile), np.float32)
    for slot, (start, flips) in zip(batch, copies, strict=True):
        source, inside = _overlap(start, tile, image.shape[1:])
        np.flip(slot, tuple(axis - len(patch) for axis in flips))[:, *inside] = image[:, *source]
    with torch.inference_mode():
        networks_input = torch.from_numpy(batch.reshape(*batch.shape[:2], *patch))
        total = engines[0](networks_input)
        for engine in engines[1:]:
            total = total + engine(networks_input).to(total.device)
        sums: list[tuple[Start, torch.Tensor]] = []
        for (start, flips), logits in zip(copies, total, strict=True):
            part = logits.flip([axis - len(patch) for axis in flips]) if flips else logits
            if sums and sums[-1][0] == start:
                part = sums.pop()[1] + part
            sums.append((start, part))
        weights = weights.to(total.device)
        return [(start, (part * weights).cpu().numpy().reshape(len(part), *tile)) for start, part in sums]


def _batches(copies: Iterator[Copy], size: int) -> Iterator[list[Copy]]:
    while batch := list(islice(copies, size)):
        yield batch


def _overlap(start: Start, tile: Sequence[int], shape: Sequence[int]) -> tuple[tuple[slice, ...], tuple[slice, ...]]:
    """Where a tile and the image overlap: as an index into the image, and into the tile."""
    image, inside = [], []
    for first, size, extent in zip(start, tile, shape, strict=True):
        low, high = max(0, first), min(extent, first + size)
        image.append(slice(low, high))
        inside.append(slice(low - first, high - first))
    return tuple(image), tuple(inside)


def _inverse_coverage(size: int, starts: Sequence[int], tile: int) -> npt.NDArray[np.float32]:
    """``(size)``: one over the sum of the weights along one axis. The sum in space is the product over axes."""
    coverage = np.zeros(size)
    line = gaussian_line(tile)
    for start in starts:
        (into,), (cut,) = _overlap((start,), (tile,), (size,))
        coverage[into] += line[cut]
    inverse: npt.NDArray[np.float32] = (1 / coverage).astype(np.float32)
    return inverse
