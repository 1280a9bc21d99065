"""Inputs of the resampling rows, and independent answers to hold ours against."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

TIE = 1e-5  # rounding of float32 logits, of the order of ten
LABEL_TIE = 1e-9  # rounding of float64 weights


def regions(shape: tuple[int, ...], count: int, seed: int = 0) -> np.ndarray:
    """Label map ``(*shape)`` 0..count - 1: every voxel belongs to the nearest of so many random points."""
    from scipy.spatial import cKDTree

    points = np.random.default_rng(seed).uniform(0, shape, size=(count, len(shape)))
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return cKDTree(points).query(voxels)[1].astype(np.int16)


def network_like_logits(shape: tuple[int, ...], classes: int, seed: int = 0) -> np.ndarray:
    """Logits ``(classes, *shape)`` float32 that fall off with the distance from each class's point, plus noise."""
    generator = np.random.default_rng(seed)
    points = generator.uniform(0, shape, size=(classes, len(shape))).astype(np.float32)
    axes = [np.arange(extent, dtype=np.float32) for extent in shape]
    logits = np.empty((classes, *shape), np.float32)
    for target, point in zip(logits, points, strict=True):
        squares = [(axis - place) ** 2 for axis, place in zip(axes, point, strict=True)]
        distance = np.sqrt(squares[0][:, None, None] + squares[1][None, :, None] + squares[2][None, None, :])
        target[...] = 10 - 0.5 * distance
        target += generator.standard_normal(shape, np.float32) * np.float32(0.2)
    return logits


def against_skimage(source: Path, result: Path) -> dict[str, Any]:
    """Our cubic resampling against skimage in float64, clipped as ours, and before clipping where it is the same."""
    from skimage.transform import resize

    image, ours = np.load(source)[0].astype(np.float64), np.load(result)[0]
    unclipped = resize(image, ours.shape, order=3, mode="edge", anti_aliasing=False, clip=False, preserve_range=True)
    within = (unclipped > image.min()) & (unclipped < image.max())
    clipped = np.clip(unclipped, image.min(), image.max())
    return {
        "max_difference": float(np.abs(clipped - ours).max()),
        "max_difference_before_clipping": float(np.abs(unclipped - ours)[within].max()),
        "share_of_voxels_that_clipping_changes": float(1 - within.mean()),
        "intensities": [float(image.min()), float(image.max())],
    }


def against_streaming(source: Path, result: Path) -> dict[str, Any]:
    """Our labels against interpolation of class by class in float64 with a running maximum.

    Where the classes differ, ``ours`` loses by the difference of two logits; below ``TIE`` that is rounding.
    """
    import torch
    from torch.nn.functional import interpolate

    logits, ours = np.load(source, mmap_mode="r"), torch.from_numpy(np.load(result).astype(np.int16))
    best = torch.full(ours.shape, -torch.inf, dtype=torch.float64)
    best_class, our_score = torch.zeros_like(ours), torch.empty_like(best)
    for number, one in enumerate(logits):
        single = torch.from_numpy(np.array(one, np.float64))[None, None]
        score = interpolate(single, size=ours.shape, mode="trilinear", align_corners=False)[0, 0]
        our_score = torch.where(ours == number, score, our_score)
        best_class[score > best] = number
        best = torch.maximum(best, score)
    lost = (best - our_score)[best_class != ours]
    return {
        "different_voxels": len(lost),
        "different_voxels_not_tied": int((lost > TIE).sum()),
        "largest_lost_logit": float(lost.max()) if len(lost) else 0.0,
        "voxels": ours.numel(),
    }


def against_peer(source: Path, result: Path, peers: Path) -> dict[str, Any]:
    """Our labels against the peer's; where they differ, whether both labels have the same weight."""
    labels, ours, theirs = np.load(source)[0], np.load(result)[0], np.load(peers)[0]
    different = np.argwhere(ours != theirs)
    not_tied = 0
    for voxel in different[:10_000]:
        weights = corner_weights(labels, ours.shape, voxel)
        not_tied += abs(weights.get(int(ours[*voxel]), 0) - weights.get(int(theirs[*voxel]), 0)) > LABEL_TIE
    return {"different_voxels": len(different), "different_voxels_not_tied": int(not_tied), "voxels": ours.size}


def corner_weights(labels: np.ndarray, shape_out: tuple[int, ...], voxel: np.ndarray) -> dict[int, float]:
    """Label -> its interpolated indicator at one output voxel."""
    places = [(v + 0.5) * n / m - 0.5 for v, n, m in zip(voxel, labels.shape, shape_out, strict=True)]
    weights: dict[int, float] = {}
    for corner in np.ndindex(2, 2, 2):
        index, weight = [], 1.0
        for upper, place, size in zip(corner, places, labels.shape, strict=True):
            lower = int(np.floor(place))
            index.append(min(max(lower + upper, 0), size - 1))
            weight *= place - lower if upper else 1 - (place - lower)
        label = int(labels[*index])
        weights[label] = weights.get(label, 0.0) + weight
    return weights
