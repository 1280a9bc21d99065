"""A DICOM series, the folder that holds its files, through SimpleITK (GDCM).

GDCM passes over truncated files without a word and SimpleITK over missing slices with a warning; here both are
refused. The affine is that of the positions in the headers, so that a tilted gantry is kept as shear.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.io.grids import LPS_TO_RAS, Grid, Stored, checked_grid
from autoseg.io.itk import grid_of, header_reader, simple_itk, voxels_of

UNEVEN = 0.05  # of the distance between slices: rounding of positions stays below, a missing slice does not

_DESCRIPTION = "0008|103e"


def is_series(folder: Path) -> bool:
    """Whether ``folder`` directly holds a DICOM file: ``*.dcm``, or one without ending that begins as DICOM does."""
    return any(_is_dicom(path) for path in folder.iterdir())


def series_folders(folder: Path) -> list[Path]:
    """``folder`` if it holds DICOM files, else the folders directly in it that do, sorted."""
    if is_series(folder):
        return [folder]
    readable = (child for child in folder.iterdir() if child.is_dir() and os.access(child, os.R_OK | os.X_OK))
    return sorted(child for child in readable if is_series(child))


def header(folder: Path) -> tuple[int, Grid]:
    """The number of values a voxel, and the grid, from the headers."""
    files, grid = _sorted_slices(folder)
    return header_reader(files[0]).GetNumberOfComponents(), grid


def read(folder: Path, labels: bool) -> Stored:
    """``(C, X, Y, Z)``, rescaled as the headers say; slices along the normal of their plane (LPS)."""
    itk = simple_itk()
    files, (shape, affine) = _sorted_slices(folder)
    if len(files) == 1:
        return Stored(voxels_of(itk.ReadImage(str(files[0])), shape), affine)
    reader = itk.ImageSeriesReader()
    reader.SetFileNames([str(file) for file in files])
    return Stored(voxels_of(reader.Execute(), shape), affine)


def _is_dicom(path: Path) -> bool:
    if path.name.startswith(".") or path.name.upper() == "DICOMDIR":
        return False
    if path.suffix.lower() == ".dcm":
        return not path.is_dir()
    numbered = path.suffix[1:].isdigit()  # IM.0001, or a UID
    if (path.suffix and not numbered) or not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(132)[128:] == b"DICM"


def _sorted_slices(folder: Path) -> tuple[list[Path], Grid]:
    """The files of the one series in order along the normal of the slices, and its grid."""
    files = files_of_series(folder)
    headers = [header_reader(file) for file in files]
    if len(files) == 1:
        return files, grid_of(folder, headers[0])
    first = headers[0]
    for file, other in zip(files, headers, strict=True):
        if other.GetSize() != first.GetSize() or other.GetSize()[2:] != (1,):
            raise BadInput(f"{file}: its size is not that of {files[0].name}, or not one slice; separate the series.")
        if not np.allclose(other.GetDirection(), first.GetDirection(), atol=1e-3):
            raise BadInput(f"{file}: its slice is not parallel to {files[0].name}; separate the series.")
        if not np.allclose(other.GetSpacing()[:2], first.GetSpacing()[:2], rtol=1e-3):
            raise BadInput(f"{file}: its pixels are not as large as those of {files[0].name}; separate the series.")
    directions = np.asarray(first.GetDirection(), dtype=np.float64).reshape(3, 3)
    positions_mm = np.array([other.GetOrigin() for other in headers])
    order = np.argsort(positions_mm @ directions[:, 2], kind="stable")
    affine = np.eye(4)
    affine[:3, :2] = directions[:, :2] * first.GetSpacing()[:2]
    affine[:3, 2] = _step_mm(folder, positions_mm[order])
    affine[:3, 3] = positions_mm[order[0]]
    shape = (*first.GetSize()[:2], len(files))
    grid = checked_grid(folder, shape, LPS_TO_RAS @ affine, np.linalg.norm(affine[:3, :3], axis=0))
    return [files[i] for i in order], grid


def _step_mm(folder: Path, positions_mm: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From one slice to the next; BadInput where the sorted ``positions_mm`` ``(n, 3)`` are not evenly spaced."""
    steps_mm = np.diff(positions_mm, axis=0)
    distances_mm = np.linalg.norm(steps_mm, axis=1)
    if distances_mm.min() < UNEVEN * distances_mm.max():
        raise BadInput(f"{folder}: several slices lie at one place; separate the volumes of the series.")
    step_mm: npt.NDArray[np.float64] = (positions_mm[-1] - positions_mm[0]) / len(steps_mm)
    if np.abs(steps_mm - step_mm).max() > UNEVEN * np.linalg.norm(step_mm):
        raise BadInput(
            f"{folder}: the slices lie {distances_mm.min():.4g} to {distances_mm.max():.4g} mm apart; "
            "restore the missing files."
        )
    return step_mm


def files_of_series(folder: Path) -> list[Path]:
    """The files of the one series in ``folder``, in any order; BadInput where there are several, or damaged files."""
    reader: Any = simple_itk().ImageSeriesReader
    found = {name: reader.GetGDCMSeriesFileNames(str(folder), name) for name in reader.GetGDCMSeriesIDs(str(folder))}
    readable = {Path(file).name for files in found.values() for file in files}
    for path in sorted(folder.iterdir()):
        if path.name not in readable and _is_dicom(path):
            raise BadInput(f"{path}: the file is damaged, truncated or no DICOM image; restore the file.")
    if not found:
        raise BadInput(f"{folder}: holds no DICOM series; give the folder of one.")
    if len(found) > 1:
        listed = ", ".join(_description(name, files) for name, files in sorted(found.items()))
        raise BadInput(f"{folder}: holds {len(found)} DICOM series ({listed}); give each a folder of its own.")
    (files,) = found.values()
    return [Path(file) for file in files]


def _description(name: str, files: Sequence[str]) -> str:
    try:
        described = header_reader(Path(files[0])).GetMetaData(_DESCRIPTION).strip()
    except RuntimeError:  # no description, or no image
        described = ""
    return f"{described or name}: {len(files)} {'file' if len(files) == 1 else 'files'}"
