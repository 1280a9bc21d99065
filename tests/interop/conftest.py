"""Small BIDS datasets made on the fly."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest

Writer = Callable[..., Path]
AFFINE = np.diag([1.0, 1.0, 2.0, 1.0])


@pytest.fixture
def write(tmp_path: Path) -> Writer:
    """``write("site/sub-1/anat/sub-1_T1w.nii.gz", voxels=None, affine=AFFINE)``; noise when no voxels are given."""

    def writer(
        path: str, voxels: npt.ArrayLike | None = None, affine: npt.NDArray[np.float64] = AFFINE, dtype: str = "uint8"
    ) -> Path:
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        if voxels is None:
            voxels = np.random.default_rng(len(path)).integers(0, 200, (6, 5, 4))
        image = nibabel.Nifti1Image(np.asarray(voxels, dtype=dtype), affine)
        image.set_sform(affine, 1)
        image.set_qform(affine, 1)
        nibabel.save(image, file)
        return file

    return writer


def ball(low: int, high: int, value: int = 1) -> npt.NDArray[np.uint8]:
    """A box of ``value`` from ``low`` to ``high`` along each axis of a (6, 5, 4) map."""
    voxels = np.zeros((6, 5, 4), dtype=np.uint8)
    voxels[low:high, low:high, low:high] = value
    return voxels
