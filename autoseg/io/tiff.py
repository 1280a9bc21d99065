"""TIFF (``.tif``, ``.tiff``): 2D images and stacks of slices, through tifffile as in nnU-Net.

tifffile reads every type of number and tells when pages are missing; SimpleITK refuses 64 bits and silently
leaves out the pages that a truncated file lacks. SimpleITK decodes only what tifffile cannot without
further libraries (LZW, packed bits).

The voxel size of a stack is that of nnU-Net's sidecar, ``{"spacing": [z, y, x]}`` in millimetres, called
``CASE.json`` for ``CASE.tif`` and ``CASE_0000.tif``; without one it is 1 mm. Resolution tags do not count.
"""

from __future__ import annotations

import json
import logging
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.io import itk
from autoseg.io.bounds import require_memory
from autoseg.io.files import atomic, write_json
from autoseg.io.grids import LPS_TO_RAS, Grid, Stored, checked_grid, flat_grid

ENDINGS: tuple[str, ...] = (".tif", ".tiff")

_CHANNEL_NUMBER = re.compile(r"_\d{4}$")


def header(path: Path) -> tuple[int, Grid]:
    """The number of channels (3 of RGB) and the grid, without the voxels."""
    with _opened(path) as series:
        return _channels_of(series), _grid(path, series)


def read(path: Path, labels: bool) -> Stored:
    """``(C, X, Y, Z)`` as stored; of a palette its indices, also where ``labels`` is false."""
    with _opened(path) as series:
        channels, (shape, affine) = _channels_of(series), _grid(path, series)
        require_memory(path, series.shape, series.dtype.itemsize)
        try:
            stored = series.asarray()
        except ValueError as error:
            if "imagecodecs" not in str(error):  # the library that tifffile lacks
                raise
            stored = itk.simple_itk().GetArrayFromImage(itk.simple_itk().ReadImage(str(path)))
            if stored.size != channels * int(np.prod(shape)):
                raise
    if stored.dtype == np.bool_:
        stored = stored.astype(np.uint8)
    return Stored(stored.reshape((*shape[::-1], channels)).T, affine)


def stored_type(path: Path) -> tuple[str, bool]:
    """The type of the stored numbers, and whether the image is 2D, without the voxels."""
    with _opened(path) as series:
        return str(series.dtype), _is_flat(series)


def spacing_file(path: Path) -> Path | None:
    """The sidecar with the voxel size of the stack ``path``; None if there is none."""
    stem = path.name.rpartition(".")[0]
    for name in (stem, _CHANNEL_NUMBER.sub("", stem)):
        sidecar = path.with_name(f"{name}.json")
        if sidecar.is_file():
            return sidecar
    return None


def write(path: Path, voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64], like: Path) -> None:
    """Write a label map ``(X, Y, Z)``: 2D if ``like`` is a 2D TIFF file, else a stack and its sidecar. Atomic."""
    import tifffile

    flat = False
    if like.name.lower().endswith(ENDINGS):
        with _opened(like) as series:
            flat = _is_flat(series)
    slices = np.ascontiguousarray(voxels.T)  # (Z, Y, X)
    if not flat:
        sides_mm = np.linalg.norm(affine[:3, :3], axis=0)
        write_json(path.with_suffix(".json"), {"spacing": [float(side) for side in sides_mm[::-1]]})
    with atomic(path) as temporary:
        tifffile.imwrite(temporary, slices[0] if flat else slices, photometric="minisblack", compression="zlib")


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The image of the file, of which all pages are there."""
    import tifffile

    logging.getLogger("tifffile").setLevel(logging.CRITICAL)  # the sentences about damage are ours
    try:
        with tifffile.TiffFile(path) as file:
            _require_an_end(path, file)
            series = file.series
            if len(series) != 1:
                raise BadInput(f"{path}: holds {len(series)} images of different kinds; store one a file.")
            len(file.pages)  # finds them all
            file.filehandle.seek(file.pages.next_page_offset or 0)
            if file.filehandle.read(file.tiff.offsetsize) != bytes(file.tiff.offsetsize):
                raise BadInput(f"{path}: the file is damaged or truncated (pages are missing); restore the file.")
            yield series[0]
    except (BadInput, OSError, ValueError, MemoryError):
        raise
    except Exception as error:  # tifffile takes what it reads for granted: damage ends in errors of any kind
        raise ValueError(f"{type(error).__name__} {error}") from error


def _require_an_end(path: Path, file: Any) -> None:
    """BadInput where the list of pages, each of which says where the next one is, comes back to one of them.

    tifffile would follow it four million times.
    """
    handle, kind = file.filehandle, file.tiff
    handle.seek(4 if kind.version == 42 else 8)  # of BigTIFF
    seen: set[int] = set()
    while len(found := handle.read(kind.offsetsize)) == kind.offsetsize:
        (offset,) = struct.unpack(kind.offsetformat, found)
        if offset in seen:
            raise BadInput(f"{path}: the file is damaged (its list of pages has no end); restore the file.")
        if not offset:
            return
        seen.add(offset)
        handle.seek(offset)
        number = handle.read(kind.tagnosize)
        if len(number) < kind.tagnosize:
            return
        handle.seek(offset + kind.tagnosize + struct.unpack(kind.tagnoformat, number)[0] * kind.tagsize)


def _channels_of(series: Any) -> int:
    """Colours count where they come last; an axis of colours before the plane is a stack of that many slices.

    tifffile itself writes stacks of three slices so, and nnU-Net reads them as stacks.
    """
    return int(series.shape[-1]) if series.axes.endswith("S") else 1


def _plane_and_slices(series: Any) -> tuple[int, ...]:
    return tuple(series.shape[:-1] if series.axes.endswith("S") else series.shape)


def _is_flat(series: Any) -> bool:
    return len(_plane_and_slices(series)) == 2


def _grid(path: Path, series: Any) -> Grid:
    shape = _plane_and_slices(series)[::-1]
    if len(shape) == 2:
        return flat_grid(*shape)
    sides_mm = np.array(_spacing_mm(path)[::-1])
    return checked_grid(path, shape, LPS_TO_RAS @ np.diag([*sides_mm, 1.0]), sides_mm)


def _spacing_mm(path: Path) -> tuple[float, float, float]:
    """Of the axes (z, y, x)."""
    sidecar = spacing_file(path)
    if sidecar is None:
        return 1.0, 1.0, 1.0
    try:
        z, y, x = (float(side) for side in json.loads(sidecar.read_text(encoding="utf-8"))["spacing"])
    except (ValueError, KeyError, TypeError):
        z = y = x = np.nan
    if not (np.isfinite([z, y, x]).all() and min(z, y, x) > 0):
        raise BadInput(f'{sidecar}: does not give the voxel size of {path.name}; write {{"spacing": [z, y, x]}} in mm.')
    return z, y, x
