"""Class probabilities on disk: one 4D NIfTI file a case, or the largest ones as a 3D file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.io.files import atomic
from autoseg.io.images import read_geometry

ENDING = ".nii.gz"


def write_probabilities(path: Path, probabilities: npt.NDArray[np.uint16], one: int, like: Path) -> None:
    """Write ``probabilities`` ``(K, X, Y, Z)`` on the grid of ``like`` as ``(X, Y, Z, K)``; ``one`` stands for 1.

    The scaling is in the header, so that readers see 0 to 1. Atomic.
    """
    _write(path, np.moveaxis(probabilities, 0, -1), one, like)


def write_confidence(
    path: Path, probabilities: npt.NDArray[np.uint16], one: int, like: Path, independent: bool
) -> None:
    """Write how probable what was decided is, ``(X, Y, Z)``, of ``probabilities`` ``(K, X, Y, Z)``; as they are.

    The largest of them (Li et al. 2021 write it beside their labels); of ``independent`` outputs, each of which is
    decided at one half, that of the least sure one.
    """
    if independent:
        _write(path, np.maximum(probabilities, one - probabilities).min(axis=0), one, like)
    else:
        _write(path, probabilities.max(axis=0), one, like)


def _write(path: Path, shares: npt.NDArray[np.uint16], one: int, like: Path) -> None:
    import nibabel

    _, affine = read_geometry(like)
    nifti: Any = nibabel.Nifti1Image
    image = nifti(shares, affine)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1 / one, 0)
    with atomic(path) as temporary:
        nibabel.save(image, temporary)
