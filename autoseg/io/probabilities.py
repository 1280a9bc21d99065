"""Class probabilities on disk: one 4D NIfTI file a case."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.io.images import read_geometry
from autoseg.io.workspace import atomic

ENDING = ".nii.gz"


def write_probabilities(path: Path, probabilities: npt.NDArray[np.uint16], one: int, like: Path) -> None:
    """Write ``probabilities`` ``(K, X, Y, Z)`` on the grid of ``like`` as ``(X, Y, Z, K)``; ``one`` stands for 1.

    The scaling is in the header, so that readers see 0 to 1. Atomic.
    """
    import nibabel

    _, affine = read_geometry(like)
    nifti: Any = nibabel.Nifti1Image
    image = nifti(np.moveaxis(probabilities, 0, -1), affine)
    image.header.set_xyzt_units("mm")
    image.header.set_slope_inter(1 / one, 0)
    with atomic(path) as temporary:
        nibabel.save(image, temporary)
