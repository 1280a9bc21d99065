"""Three blobs around a point, no two alike in place or size, on any grid: what tells left from right and 1 mm from 2.

Each is bright in one channel only. Places are functions of world coordinates, so that the truth of any grid is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.io.files import atomic, write_json, write_text

CENTRE_MM = (12.0, -20.0, 35.0)  # not 0: what forgets the offset of an affine is seen
EXTENT_MM = (26.0, 36.0, 33.0)  # to the right, to the front, up


@dataclass(frozen=True)
class Blob:
    """An ellipsoid; its centre is relative to ``CENTRE_MM``, in RAS."""

    name: str
    channel: str
    centre_mm: tuple[float, float, float]
    radii_mm: tuple[float, float, float]


BLOBS = (
    Blob("right", "T1w", (7.3, 1.1, -3.2), (3.6, 4.4, 4.1)),
    Blob("front", "T2w", (-2.2, 10.2, 4.4), (4.2, 3.7, 3.9)),
    Blob("top", "FLAIR", (-5.6, -2.2, 9.8), (3.4, 4.3, 4.5)),
)


@dataclass(frozen=True, eq=False)
class PhantomGrid:
    """A grid around ``CENTRE_MM``: ``shape`` ``(X, Y, Z)`` as stored, and the RAS affine."""

    name: str
    shape: tuple[int, int, int]
    affine: npt.NDArray[np.float64]

    def labels(self) -> npt.NDArray[np.uint8]:
        """``(X, Y, Z)``: the number of the blob, from 1 on, that holds the middle of a voxel; else 0."""
        indices = np.indices(self.shape).reshape(3, -1)
        world_mm = self.affine[:3, :3] @ indices + self.affine[:3, 3:]
        found = np.zeros(world_mm.shape[1], np.uint8)
        for number, blob in enumerate(BLOBS, start=1):
            middle_mm = np.add(blob.centre_mm, CENTRE_MM)[:, None]
            distance = (world_mm - middle_mm) / np.array(blob.radii_mm)[:, None]
            found[(distance**2).sum(axis=0) <= 1] = number
        return found.reshape(self.shape)


def orientations() -> list[str]:
    """All 48 codes of axes, such as ``RAS`` and ``PIL``."""
    pairs = (("R", "L"), ("A", "P"), ("S", "I"))
    return ["".join(code) for order in permutations(pairs) for code in product(*order)]


def make_grid(
    code: str, spacing_mm: Sequence[float], turned_degrees: Sequence[float] = (0.0, 0.0, 0.0), name: str = ""
) -> PhantomGrid:
    """The grid whose stored axes point where ``code`` says, with voxels of ``spacing_mm`` to the right, front and up.

    ``turned_degrees``: then turned about the x, y and z axes of the world, one after the other.
    """
    turn = np.eye(3)
    for axis, degrees in enumerate(turned_degrees):
        cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        one, other = [index for index in range(3) if index != axis]
        about = np.eye(3)
        about[one, one] = about[other, other] = cosine
        about[one, other], about[other, one] = -sine, sine
        turn = about @ turn
    matrix, shape = np.zeros((3, 3)), [0, 0, 0]
    for stored, letter in enumerate(code):
        world = next(index for index, pair in enumerate(("RL", "AP", "SI")) if letter in pair)
        matrix[:, stored] = turn[:, world] * spacing_mm[world] * (1 if letter in "RAS" else -1)
        shape[stored] = round(EXTENT_MM[world] / spacing_mm[world])
    affine = np.eye(4)
    affine[:3, :3] = matrix
    affine[:3, 3] = CENTRE_MM - matrix @ ((np.array(shape) - 1) / 2)
    return PhantomGrid(name or code, (shape[0], shape[1], shape[2]), affine)


def write_phantoms(root: Path, grids: Sequence[PhantomGrid]) -> dict[str, PhantomGrid]:
    """A BIDS dataset with a subject for each grid, written by nibabel alone; subject -> grid."""
    subjects = {f"sub-{number:02d}": grid for number, grid in enumerate(grids)}
    write_json(root / "dataset_description.json", {"Name": "Blobs of autoseg doctor", "BIDSVersion": "1.9.0"})
    table = "".join(f"{number}\t{blob.name}\n" for number, blob in enumerate(BLOBS, start=1))
    folder = root / "derivatives" / "labels"
    write_text(folder / "desc-manual_dseg.tsv", f"index\tname\n{table}")
    for subject, grid in subjects.items():
        labels = grid.labels()
        for number, blob in enumerate(BLOBS, start=1):
            image = (labels == number).astype(np.float32)
            _write(root / subject / "anat" / f"{subject}_{blob.channel}.nii.gz", image, grid.affine)
        _write(folder / subject / "anat" / f"{subject}_desc-manual_dseg.nii.gz", labels, grid.affine)
    return subjects


def _write(path: Path, voxels: npt.NDArray[Any], affine: npt.NDArray[np.float64]) -> None:
    import nibabel

    nifti: Any = nibabel.Nifti1Image
    image = nifti(voxels, affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    image.header.set_xyzt_units("mm")
    with atomic(path) as temporary:
        nibabel.save(image, temporary)
