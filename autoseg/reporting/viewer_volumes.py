"""What a viewer in a page shows of a case: small volumes as text, of a bounded size."""

from __future__ import annotations

import base64
import gzip
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import Box, Reorientation, Shape, bounding_box, box_shape, canonical_axes, spacing_mm

MOST_VOXELS = 1_800_000  # of the channels of a case together: 2.4 MB of base64 where nothing can be compressed
MARGIN_MM = 20.0  # around the labels, where the whole image would be too large
WINDOW_PERCENT = (0.5, 99.5)  # of the intensities, from black to white
MOST_LABELS = 255


@dataclass(frozen=True)
class Volumes:
    """``encoded`` maps a name to a NIfTI file, gzipped, in base64; ``note`` says what was left out of the image."""

    encoded: Mapping[str, str]
    note: str

    @property
    def num_bytes(self) -> int:
        """What they take in a page."""
        return sum(len(text) for text in self.encoded.values())


def viewer_volumes(
    channels: Mapping[str, npt.NDArray[np.floating]],
    maps: Mapping[str, npt.NDArray[np.integer]],
    affine: npt.NDArray[np.float64],
    most_voxels: int = MOST_VOXELS,
) -> Volumes:
    """Channels in 256 grey values and maps as they are, all ``(X, Y, Z)`` on the grid of ``affine`` (RAS mm).

    Where the channels have more than ``most_voxels`` together, the image is cropped around what ``maps`` mark, and if
    that is not enough thinned: every n-th voxel along the finest axes (n small, nothing is interpolated or enlarged).
    The volumes are stored in canonical axes (RAS). The values of ``maps`` must lie in 0..255.
    """
    canonical = canonical_axes(affine)
    grey = {name: canonical.apply(voxels).astype(np.float32, copy=False) for name, voxels in channels.items()}
    marked = {name: canonical.apply(voxels).astype(np.uint8) for name, voxels in maps.items()}
    affine = canonical_affine(affine, canonical, next(iter(grey.values())).shape)
    shape = next(iter(grey.values())).shape
    box: Box = tuple((0, size) for size in shape)
    notes = []
    if prod(shape) * len(channels) > most_voxels:
        box = _around(marked, affine, shape)
        if box_shape(box) != shape:
            notes.append(f"cropped from {_sizes(shape)} to {_sizes(box_shape(box))} voxels, around the labels")
    steps = thinning(box_shape(box), spacing_mm(affine), most_voxels // len(channels))
    if max(steps) > 1:
        notes.append(f"one voxel in {_sizes(steps)} is shown")
    index = tuple(slice(start, stop, step) for (start, stop), step in zip(box, steps, strict=True))
    moved = shown_affine(affine, box, steps)
    encoded = {name: encode(_grey(voxels[index], voxels), moved) for name, voxels in grey.items()}
    encoded |= {name: encode(voxels[index], moved) for name, voxels in marked.items()}
    return Volumes(encoded, "; ".join(notes))


def thinning(shape: Shape, spacing: tuple[float, ...], most_voxels: int) -> tuple[int, ...]:
    """The step along each axis that leaves at most ``most_voxels``: always the axis that is finest still is thinned."""
    steps = [1] * len(shape)
    while prod(-(-size // step) for size, step in zip(shape, steps, strict=True)) > most_voxels:
        finest = min(
            (axis for axis in range(len(shape)) if -(-shape[axis] // steps[axis]) > 1),
            key=lambda axis: spacing[axis] * steps[axis],
        )
        steps[finest] += 1
    return tuple(steps)


def shown_affine(affine: npt.NDArray[np.float64], box: Box, steps: tuple[int, ...]) -> npt.NDArray[np.float64]:
    """The affine of what begins at ``box`` and takes every n-th voxel."""
    change = np.diag([*map(float, steps), 1.0])
    change[:3, 3] = [start for start, _ in box]
    moved: npt.NDArray[np.float64] = affine @ change
    return moved


def canonical_affine(
    affine: npt.NDArray[np.float64], canonical: Reorientation, shape: Shape
) -> npt.NDArray[np.float64]:
    """The affine of voxels of ``shape`` that ``canonical`` has reoriented."""
    change = np.zeros((4, 4))
    change[3, 3] = 1
    for working, (stored, flip) in enumerate(zip(canonical.axes, canonical.flips, strict=True)):
        change[stored, working] = -1 if flip else 1
        change[stored, 3] = shape[working] - 1 if flip else 0
    moved: npt.NDArray[np.float64] = affine @ change
    return moved


def encode(voxels: npt.NDArray[np.uint8], affine: npt.NDArray[np.float64]) -> str:
    """A NIfTI file, gzipped, in base64; the same voxels give the same text."""
    import nibabel

    nifti: Any = nibabel.Nifti1Image
    image = nifti(np.asfortranarray(voxels), affine)
    image.header.set_xyzt_units("mm")
    return base64_text(gzip.compress(image.to_bytes(), mtime=0))


def base64_text(content: bytes) -> str:
    """Bytes as they stand in a page."""
    return base64.b64encode(content).decode("ascii")


def _grey(shown: npt.NDArray[np.floating], whole: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """0..255 between the percentiles of the whole image."""
    low, high = np.percentile(whole, WINDOW_PERCENT)
    if high <= low:
        low, high = float(whole.min()), float(whole.max())
    scaled = (shown - low) / max(high - low, 1e-12) * 255
    grey: npt.NDArray[np.uint8] = np.clip(np.rint(scaled), 0, 255).astype(np.uint8)
    return grey


def _around(maps: Mapping[str, npt.NDArray[np.integer]], affine: npt.NDArray[np.float64], shape: Shape) -> Box:
    """The box of all marked voxels with a margin; the whole image where nothing is marked."""
    marked = np.zeros(shape, bool)
    for voxels in maps.values():
        marked |= voxels > 0
    box = bounding_box(marked)
    if box is None:
        return tuple((0, size) for size in shape)
    margins = [round(MARGIN_MM / step) for step in spacing_mm(affine)]
    return tuple(
        (max(0, start - margin), min(size, stop + margin))
        for (start, stop), margin, size in zip(box, margins, shape, strict=True)
    )


def _sizes(numbers: tuple[int, ...]) -> str:
    return " x ".join(map(str, numbers))
