"""Label maps and masks that several tests of the evaluation use, and slow distances between them."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

UNIT = (1.0, 1.0, 1.0)
Mask = npt.NDArray[np.bool_]


def blobs(seed: int, shape: tuple[int, ...] = (14, 12, 10)) -> npt.NDArray[np.int32]:
    """A label map with values 0, 1, 2 and 7, in overlapping boxes at random places."""
    rng = np.random.default_rng(seed)
    result = np.zeros(shape, np.int32)
    for value in (1, 2, 7, 1, 2):
        corner = [int(rng.integers(0, size - 4)) for size in shape]
        result[tuple(slice(start, start + int(rng.integers(3, 7))) for start in corner)] = value
    return result


def surface_points(mask: Mask, spacing: tuple[float, ...]) -> npt.NDArray[np.float64]:
    """The centres of surface voxels in mm, voxel by voxel: a face neighbour is outside the mask or the array."""
    inside = set(map(tuple, np.argwhere(mask).tolist()))
    steps = [tuple(sign * int(axis == other) for other in range(3)) for axis, sign in product(range(3), (-1, 1))]
    surface = [
        voxel for voxel in sorted(inside) if any(tuple(np.add(voxel, step).tolist()) not in inside for step in steps)
    ]
    return np.array(surface, np.float64) * np.array(spacing)


def brute_force_distances(
    one: Mask, other: Mask, spacing: tuple[float, ...]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Directed distances between two surfaces: the minimum over all pairs, in float64."""
    a, b = surface_points(one, spacing), surface_points(other, spacing)
    pairs = np.sqrt(((a[:, None] - b[None]) ** 2).sum(-1))
    return pairs.min(axis=1), pairs.min(axis=0)


def cube(start: tuple[int, int, int], size: int = 6, shape: tuple[int, int, int] = (20, 20, 20)) -> Mask:
    mask = np.zeros(shape, bool)
    mask[tuple(slice(first, first + size) for first in start)] = True
    return mask
