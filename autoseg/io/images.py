"""Images and label maps on disk, whatever their format.

Voxels keep the axis order of the file, ``(C, X, Y, Z)`` with the fastest first; affines are RAS millimetres
(``autoseg.core.geometry``). 2D images have one slice (``autoseg.io.grids.FLAT``). Where several libraries
read a format, its module says which was taken and why.

=================================  ===========  =====================================================
``.nii.gz``, ``.nii``              nifti        one channel, or one for each volume of a 4D file
``.nrrd``, ``.mha``, ``.mhd``,     itk          one channel, or one for each value of a voxel
``.gipl``
``.tif``, ``.tiff``                tiff         2D or a stack; grey or RGB
``.png``, ``.bmp``                 pictures     2D; grey or RGB
a folder                           dicom        one series; read only
=================================  ===========  =====================================================
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.io import dicom, itk, nifti, pictures, tiff
from autoseg.io.grids import Grid, Stored, grid_difference

INTEGER_TOLERANCE = 1e-3
_ALMOST_ZERO = 0.1  # the largest value of a label map whose scaling makes nothing but background of it


class _Reader(Protocol):
    """What the module of a format does; the errors of its library come through."""

    def header(self, path: Path, /) -> tuple[int, Grid]:
        """The number of channels and the grid."""

    def read(self, path: Path, labels: bool, /) -> Stored:
        """``(C, X, Y, Z)`` of any type of number."""


class _Writer(Protocol):
    def write(
        self, path: Path, voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64], like: Path, /
    ) -> None:
        """Write a label map ``(X, Y, Z)`` whole or not at all."""


_READERS: dict[str, _Reader] = {
    **dict.fromkeys(nifti.ENDINGS, nifti),
    **dict.fromkeys(itk.ENDINGS, itk),
    **dict.fromkeys(tiff.ENDINGS, tiff),
    **dict.fromkeys(pictures.ENDINGS, pictures),
}
_WRITERS: dict[str, _Writer] = {
    **dict.fromkeys(nifti.ENDINGS, nifti),
    **dict.fromkeys(itk.ENDINGS, itk),
    **dict.fromkeys(tiff.ENDINGS, tiff),
    **dict.fromkeys(pictures.ENDINGS, pictures),
}
IMAGE_ENDINGS: tuple[str, ...] = tuple(_READERS)


def file_ending(path: Path | str) -> str:
    """The image ending of ``path``, such as ``".nii.gz"``; BadInput if it is not in IMAGE_ENDINGS."""
    name = os.path.basename(path).lower()
    for ending in IMAGE_ENDINGS:
        if name.endswith(ending):
            return ending
    raise BadInput(
        f"{path}: this is no image format that can be read; "
        f"use one of {', '.join(IMAGE_ENDINGS)}, or the folder of a DICOM series."
    )


def file_stem(path: Path) -> str:
    """The file name without its image ending; of a DICOM series the name of its folder."""
    path = Path(path)
    return path.resolve().name if path.is_dir() else path.name[: -len(file_ending(path))]


def label_file_name(image: Path) -> str:
    """What a segmentation of ``image`` is called: as the image, where its format can be written as one file."""
    if Path(image).is_dir():
        return f"{file_stem(image)}.nii.gz"
    return f"{file_stem(image)}.mha" if file_ending(image) == ".mhd" else Path(image).name


def list_images(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, sorted; hidden ones (what an interrupted writer left) do not count.

    PNG and BMP beside images of other formats are pictures of them and do not count either.
    """
    return [folder / name for name in image_names(folder)]


def image_names(folder: Path) -> list[str]:
    """The names of ``list_images``: a path takes ten times as much once it was used."""
    names = [name for name in os.listdir(folder) if name.lower().endswith(IMAGE_ENDINGS) and not name.startswith(".")]
    others = [name for name in names if not name.lower().endswith(pictures.ENDINGS)]
    return sorted(others or names)


def files_of(path: Path) -> list[Path]:
    """The file ``path`` and, of a TIFF stack, the sidecar that gives its voxel size."""
    sidecar = tiff.spacing_file(path) if file_ending(path) in tiff.ENDINGS else None
    return [path] if sidecar is None else [path, sidecar]


def count_channels(path: Path) -> int:
    """How many channels one file holds (header only)."""
    return read_header(path)[0]


def read_image(path: Path) -> Image:
    """Read one file, or the folder of a DICOM series, as ``(C, X, Y, Z)`` float32, intensity scaling applied.

    BadInput: missing, damaged, truncated, of another dimension, not finite, or with an unusable geometry.
    """
    voxels, affine, stated_spacing_mm = read_stored(path, labels=False)
    # The values of a voxel lie side by side in files; channels are used one by one.
    voxels = np.ascontiguousarray(voxels, np.float32) if len(voxels) > 1 else voxels.astype(np.float32, copy=False)
    if not np.isfinite(voxels).all():
        bad = int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
        raise BadInput(f"{path}: {bad} voxels are NaN or infinite; replace them by numbers.")
    return Image(voxels, affine, stated_spacing_mm)


def read_channels(paths: Sequence[Path]) -> Image:
    """Read files that share one grid as ``(C, X, Y, Z)`` float32, all channels of the first file first.

    BadInput when the grids differ.
    """
    images = [read_image(path) for path in paths]
    for path, image in zip(paths[1:], images[1:], strict=True):
        problem = grid_difference(images[0].shape, images[0].affine, image.shape, image.affine)
        if problem:
            raise BadInput(f"{path}: {problem} {paths[0]}; resample both to one grid.")
    if len(images) == 1:
        return images[0]
    return replace(images[0], voxels=np.concatenate([image.voxels for image in images]))


def read_labels(path: Path) -> npt.NDArray[np.int32]:
    """The voxels of ``read_label_map``."""
    return read_label_map(path)[0]


def read_label_map(path: Path) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Read a label map as ``(X, Y, Z)`` int32 in stored axis order, and its RAS affine.

    The labels of a palette image are its indices (as in Pascal VOC), whatever the colours.
    BadInput: whatever read_image refuses, several values a voxel (colours), negative values, values more than
    1e-3 from an integer, and values scaled so small that all of them would round to background.
    """
    voxels, affine, _ = read_stored(path, labels=True)
    if len(voxels) != 1:
        raise BadInput(
            f"{path}: each voxel has {len(voxels)} values, as a colour has; "
            "store the number of its label as grey value or palette index."
        )
    stored = voxels[0]
    if stored.dtype.kind not in "iu":
        stored = _near_integers(path, stored)
    if stored.size and (int(stored.min()) < 0 or int(stored.max()) > np.iinfo(np.int32).max):
        raise BadInput(f"{path}: label values lie outside 0..2147483647; number the labels 0, 1, 2, ... .")
    return stored.astype(np.int32), affine


def read_header(path: Path) -> tuple[int, Grid]:
    """The number of channels, the shape ``(X, Y, Z)`` and the RAS affine; the geometry checks of read_image."""
    with reading(path) as reader:
        return reader.header(path)


def read_geometry(path: Path) -> Grid:
    """Shape ``(X, Y, Z)`` and RAS affine of ``read_header``."""
    return read_header(path)[1]


def stored_as_integers(path: Path) -> bool:
    """Whether a NIfTI file holds a 3D array of integers without intensity scaling (header only)."""
    if not nifti.is_nifti(Path(path)):
        return False
    with reading(path):
        return nifti.stored_as_integers(path)


def write_labels(path: Path, labels: npt.NDArray[np.integer], like: Path | Image) -> None:
    """Write ``labels`` ``(X, Y, Z)``, stored axis order of ``like``, on the grid of ``like``.

    uint8, or uint16 where a value exceeds 255; the format follows the ending of ``path``. Between files of one
    format the geometry is copied (NIfTI: bit for bit); of an Image it is the affine. PNG and BMP hold no geometry, and
    TIFF and GIPL no orientation. Atomic.
    """
    writer = _WRITERS[file_ending(path)]
    file = Path() if isinstance(like, Image) else like
    shape, affine = (like.shape, like.affine) if isinstance(like, Image) else read_geometry(like)
    if labels.shape != shape:
        source = "its image" if isinstance(like, Image) else like
        raise BadInput(
            f"{path}: labels of shape {labels.shape} cannot lie on the grid {shape} of {source}; resample them."
        )
    smallest, highest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if smallest < 0 or highest > np.iinfo(np.uint16).max:
        raise BadInput(f"{path}: label values {smallest}..{highest} do not fit 0..65535; renumber the labels.")
    voxels = labels.astype(np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16)
    writer.write(Path(path), voxels, affine, file)


@contextmanager
def reading(path: Path) -> Iterator[_Reader]:
    """The reader of ``path``; inside the block its errors become sentences."""
    if Path(path).is_symlink() and not Path(path).exists():
        target = os.path.realpath(path)
        if os.path.islink(target):
            raise BadInput(f"{path}: is a link that leads to itself; restore the file.")
        if missing := _missing_content(os.fsencode(target)):
            raise BadInput(f"{path}: {missing}")
        raise BadInput(f"{path}: links to {target}, which is not there; fetch or restore it.")
    reader: _Reader = dicom if Path(path).is_dir() else _READERS[file_ending(path)]
    if not Path(path).exists():
        raise BadInput(f"{path}: there is no such file; check the path.")
    if not (Path(path).is_file() or Path(path).is_dir()):
        raise BadInput(f"{path}: is a pipe or a device; give a file.")
    # SyntaxError is Pillow's; OverflowError that of a size or slope that no number is large enough for.
    damage = (OSError, EOFError, zlib.error, struct.error, SyntaxError, ValueError, RuntimeError, OverflowError)
    try:
        yield reader
    except damage as error:
        if missing := _missing_content(_first_bytes(Path(path))):
            raise BadInput(f"{path}: {missing}") from None
        reason = " ".join(str(error).replace(str(path), Path(path).name).split())[:160] or type(error).__name__
        raise BadInput(f"{path}: the file is damaged, truncated or no image ({reason}); restore the file.") from None


def _missing_content(pointer: bytes) -> str:
    """A sentence when a file or link (its bytes or target) only points to content that is not on this machine."""
    if b"/annex/objects/" in pointer.replace(b"\\", b"/"):
        return "its content is not here (git-annex); get it with `datalad get` or `git annex get`."
    if pointer.startswith(b"version https://git-lfs"):
        return "its content is not here (Git LFS); get it with `git lfs pull`."
    return ""


def _first_bytes(path: Path) -> bytes:
    """What may be a pointer: 512 bytes of a small file, nothing of others."""
    try:
        with path.open("rb") as stream:
            content = stream.read(2**15)
    except OSError:
        return b""
    return content[:512] if len(content) < 2**15 else b""


def read_stored(path: Path, labels: bool) -> Stored:
    """The voxels ``(C, X, Y, Z)`` and the grid as a reader gives them, finite or not; BadInput as of read_image."""
    with reading(path) as reader:
        stored = reader.read(path, labels)
    if stored.voxels.dtype.kind not in "iuf":
        raise BadInput(f"{path}: voxels of type {stored.voxels.dtype} are not numbers; store one grey value a voxel.")
    return stored


def _near_integers(path: Path, stored: npt.NDArray[np.generic]) -> npt.NDArray[np.int64]:
    if not np.isfinite(stored).all():
        raise BadInput(f"{path}: some labels are NaN or infinite; store whole numbers.")
    rounded = np.rint(stored)
    if stored.any() and float(np.abs(stored).max()) < _ALMOST_ZERO:
        raise BadInput(
            f"{path}: all labels are scaled to almost zero (largest {float(np.abs(stored).max()):.3g}); "
            "set scl_slope to 1 and scl_inter to 0, or store whole numbers."
        )
    distance = np.abs(stored - rounded)
    if float(distance.max(initial=0)) > INTEGER_TOLERANCE:
        worst = float(stored.flat[int(np.argmax(distance))])
        raise BadInput(f"{path}: labels are not whole numbers (such as {worst:.4g}); store a map of integers.")
    if float(np.abs(rounded).max(initial=0)) > np.iinfo(np.int32).max:
        raise BadInput(f"{path}: label values lie outside 0..2147483647; number the labels 0, 1, 2, ... .")
    whole: npt.NDArray[np.int64] = rounded.astype(np.int64)
    return whole
