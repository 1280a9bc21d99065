"""PNG and BMP through Pillow: 2D images, one or several channels in one file.

Pillow refuses truncated files and gives the indices of palette images; SimpleITK reads what is left of
a truncated BMP as black and turns every palette into colours. Pillow keeps only 8 of the 16 bits of
colours, so those files are read by SimpleITK.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.io import itk
from autoseg.io.bounds import require_memory, require_stated_bytes
from autoseg.io.files import atomic
from autoseg.io.grids import Grid, Stored, flat_grid

ENDINGS: tuple[str, ...] = (".png", ".bmp")

_MOST_BYTES = 4  # of a pixel and band
_BANDS = {"1": 1, "L": 1, "I": 1, "I;16": 1, "I;16B": 1, "LA": 2, "RGB": 3, "P": 3, "RGBA": 4}


def header(path: Path) -> tuple[int, Grid]:
    """The number of channels (1 grey, 2 with alpha, 3 colours or a palette, 4 with alpha) and the grid."""
    with _open(path) as picture:
        return _BANDS[picture.mode], flat_grid(*picture.size)


def read(path: Path, labels: bool) -> Stored:
    """``(C, columns, rows, 1)`` as stored; of a palette its indices for ``labels``, else its colours.

    The spacing is ``(1, 1, 999)``, as in nnU-Net.
    """
    with _open(path) as picture:
        shape, affine = flat_grid(*picture.size)
        if any(";16" in str(tile[3]) for tile in picture.tile) and _BANDS[picture.mode] > 1:
            return Stored(itk.voxels_of(itk.simple_itk().ReadImage(str(path)), shape), affine)
        if picture.mode == "P" and not labels:
            picture = picture.convert("RGB")
        pixels = np.asarray(picture)
    if pixels.dtype == np.bool_:
        pixels = pixels.astype(np.uint8)
    return Stored(pixels.reshape((*shape[1::-1], -1)).T[..., None], affine)


def stored_mode(path: Path) -> tuple[str, int]:
    """Pillow's mode (``L`` grey, ``P`` palette, ``RGB``, ...) and the colours of a palette, without the pixels."""
    with _open(path) as picture:
        palette = picture.getpalette() if picture.mode == "P" else None
        return picture.mode, len(palette or ()) // 3


def write(path: Path, voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64], like: Path) -> None:
    """Write a label map ``(X, Y, 1)`` as grey values, 8 bits or (PNG only) 16; without geometry. Atomic."""
    from PIL import Image

    kind = "BMP" if path.name.lower().endswith(".bmp") else "PNG"
    if voxels.shape[2] != 1:
        raise BadInput(f"{path}: {voxels.shape[2]} slices do not fit into a {kind} file; write NIfTI.")
    if kind == "BMP" and voxels.dtype != np.uint8:
        raise BadInput(f"{path}: BMP holds labels up to 255; renumber the labels or use PNG.")
    with atomic(path) as temporary:
        Image.fromarray(np.ascontiguousarray(voxels[:, :, 0].T)).save(temporary, format=kind)


def _open(path: Path) -> Any:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # microscopy has more; whether they fit into memory is asked below
    picture = Image.open(path, formats=("PNG", "BMP"))
    if picture.mode not in _BANDS:
        raise BadInput(f"{path}: pixels of type {picture.mode} cannot be read; store grey values or RGB.")
    columns, rows = picture.size
    require_stated_bytes(path, (columns * rows // 8,), 1, 0, packed=True)  # a bit a pixel at the least
    require_memory(path, (columns, rows, _BANDS[picture.mode]), _MOST_BYTES)
    return picture
