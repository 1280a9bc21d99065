"""What the tests of conversion write: small images, label maps and whole sites."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt

Writer = Callable[..., Path]
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])
LABELS = "derivatives/labels"


def writer(folder: Path) -> Writer:
    """``write("site/sub-1/anat/sub-1_T1w.nii.gz", voxels=None, affine=AFFINE)``; noise when no voxels are given."""

    def write(
        path: str, voxels: npt.ArrayLike | None = None, affine: npt.NDArray[np.float64] = AFFINE, dtype: str = "uint8"
    ) -> Path:
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if voxels is None:
            voxels = np.random.default_rng(len(path)).integers(0, 200, (6, 5, 4))
        image = nibabel.Nifti1Image(np.asarray(voxels, dtype=dtype), affine)
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        nibabel.save(image, file)
        return file

    return write


def ball(low: int, high: int, value: int = 1) -> npt.NDArray[np.uint8]:
    """A box of ``value`` from ``low`` to ``high`` along each axis of a (6, 5, 4) map."""
    voxels = np.zeros((6, 5, 4), dtype=np.uint8)
    voxels[low:high, low:high, low:high] = value
    return voxels


def spine_site(write: Writer, site: str, subjects: int = 2, contrast: str = "T2w") -> None:
    """A site whose images each have a ``seg-manual`` mask."""
    for number in range(1, subjects + 1):
        write(f"{site}/sub-{number}/anat/sub-{number}_{contrast}.nii.gz")
        write(f"{site}/{LABELS}/sub-{number}/anat/sub-{number}_{contrast}_seg-manual.nii.gz", ball(1, 4))
