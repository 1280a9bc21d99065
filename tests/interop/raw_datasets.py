"""Raw datasets as nnU-Net has them: small, three cases, two labels."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])
SHAPE = (8, 7, 6)
CASES = ("one", "three", "two")
DOCUMENT = {
    "channel_names": {"0": "T1w"},
    "labels": {"background": 0, "shell": 1, "core": 2},
    "numTraining": 3,
    "file_ending": ".nii.gz",
}


def label_map(values: tuple[int, ...] = (1, 2)) -> npt.NDArray[np.uint8]:
    """A box with another one inside, and so on."""
    voxels = np.zeros(SHAPE, np.uint8)
    for depth, value in enumerate(values, start=1):
        voxels[depth:-depth, depth:-depth, depth:-depth] = value
    return voxels


def save(path: Path, voxels: npt.NDArray[Any], affine: npt.NDArray[np.float64] = AFFINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def write(folder: Path, values: tuple[int, ...] = (1, 2), channels: int = 1, **document: Any) -> Path:
    """``folder`` with dataset.json (``document`` overrides), imagesTr and labelsTr."""
    random = np.random.default_rng(0)
    for case in CASES:
        for channel in range(channels):
            image = random.normal(100, 10, SHAPE).astype(np.float32)
            save(folder / f"imagesTr/{case}_{channel:04d}.nii.gz", image)
        save(folder / f"labelsTr/{case}.nii.gz", label_map(values))
    change(folder, {**DOCUMENT, **document})
    return folder


def change(folder: Path, document: Mapping[str, Any]) -> None:
    """Override entries of dataset.json; None removes one."""
    path = folder / "dataset.json"
    old = json.loads(path.read_text()) if path.is_file() else {}
    path.write_text(json.dumps({key: value for key, value in {**old, **document}.items() if value is not None}))
