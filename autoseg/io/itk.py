"""NRRD, MetaImage (``.mha``, ``.mhd``) and GIPL through SimpleITK, which reads and writes them with their geometry."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.io.bounds import require_memory
from autoseg.io.files import atomic
from autoseg.io.grids import LPS_TO_RAS, Grid, Stored, checked_grid

ENDINGS: tuple[str, ...] = (".nrrd", ".mha", ".mhd", ".gipl")

_MOST_BYTES = 8  # of a number
_GIPL_HEADER_BYTES = 256


def simple_itk() -> Any:
    """The module without its partial annotations; imported here because it takes 0.2 s."""
    import SimpleITK

    itk: Any = SimpleITK
    itk.ProcessObject.SetGlobalWarningDisplay(False)  # the sentences about damage are ours
    return itk


def header(path: Path) -> tuple[int, Grid]:
    """The number of values a voxel, and the grid, from the header alone."""
    source = header_reader(path)
    channels, grid = source.GetNumberOfComponents(), grid_of(path, source)
    require_memory(path, (*source.GetSize(), channels), _MOST_BYTES)
    return channels, grid


def read(path: Path, labels: bool) -> Stored:
    """``(C, X, Y, Z)`` as stored, a channel for each value of a voxel; ``labels`` changes nothing here."""
    header(path)
    loaded = simple_itk().ReadImage(str(path))
    shape, affine = grid_of(path, loaded)
    voxels = voxels_of(loaded, shape)
    if path.name.lower().endswith(".gipl") and path.stat().st_size < _GIPL_HEADER_BYTES + voxels.nbytes:
        raise BadInput(f"{path}: the file is truncated; restore the file.")  # SimpleITK does not notice
    return Stored(voxels, affine)


def write(path: Path, voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64], like: Path) -> None:
    """Write a label map ``(X, Y, Z)``; 2D and with exactly its geometry where ``like`` is one of ENDINGS. Atomic."""
    if path.name.lower().endswith(".mhd"):
        raise BadInput(f"{path}: the voxels of .mhd lie in a second file; write .mha, which holds both.")
    itk = simple_itk()
    source = header_reader(like) if like.name.lower().endswith(ENDINGS) else None
    if source is not None and source.GetDimension() < 4:
        flat = voxels[:, :, 0] if source.GetDimension() == 2 else voxels
        image = itk.GetImageFromArray(np.ascontiguousarray(flat.T))
        spacing, origin, direction = source.GetSpacing(), source.GetOrigin(), source.GetDirection()
    else:
        lps = LPS_TO_RAS @ affine
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        origin, direction = lps[:3, 3], (lps[:3, :3] / spacing).ravel()
        image = itk.GetImageFromArray(np.ascontiguousarray(voxels.T))
    image.SetSpacing([float(side) for side in spacing])
    image.SetOrigin([float(value) for value in origin])
    image.SetDirection([float(value) for value in direction])
    with atomic(path) as temporary:
        _write_whole(temporary, image)


def header_reader(path: Path) -> Any:
    """A SimpleITK reader that has read the header of ``path``."""
    reader = simple_itk().ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def grid_of(path: Path, source: Any) -> Grid:
    """The grid of a SimpleITK image, or of a reader that has read the header; ``path`` is for error sentences."""
    dimension, size = source.GetDimension(), source.GetSize()
    spatial = min(dimension, 3)
    spacing = np.asarray(source.GetSpacing()[:spatial])
    direction = np.asarray(source.GetDirection(), dtype=np.float64).reshape(dimension, dimension)[:spatial, :spatial]
    affine = np.eye(4)
    affine[:spatial, :spatial] = direction * spacing
    affine[:spatial, 3] = source.GetOrigin()[:spatial]
    return checked_grid(path, size, LPS_TO_RAS @ affine, spacing)


def voxels_of(image: Any, shape: tuple[int, int, int]) -> npt.NDArray[Any]:
    """The voxels of a SimpleITK image as ``(C, X, Y, Z)``; ``shape`` is ``(X, Y, Z)``."""
    stored = simple_itk().GetArrayFromImage(image)  # ([1,] [Z,] Y, X [, C])
    voxels: npt.NDArray[Any] = stored.reshape((*shape[::-1], image.GetNumberOfComponentsPerPixel())).T
    return voxels


def _write_whole(path: Path, image: Any) -> None:
    itk = simple_itk()
    try:
        itk.WriteImage(image, str(path), useCompression=True)
        # The writers do not notice when the end of a file, or all of a small one, could not be stored.
        whole = np.array_equal(itk.GetArrayFromImage(itk.ReadImage(str(path))), itk.GetArrayViewFromImage(image))
    except RuntimeError:
        whole = False
    if not whole:
        full = shutil.disk_usage(path.parent).free < itk.GetArrayViewFromImage(image).nbytes
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, os.strerror(number), str(path))
