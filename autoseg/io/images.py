"""Images and label maps on disk: NIfTI through nibabel, NRRD and MetaImage through SimpleITK.

Voxels keep the axis order of the file; affines are RAS millimetres (``autoseg.core.geometry``).
nibabel reads NIfTI because its affine is kept as it is, sheared or not; SimpleITK refuses sheared
affines and silently prefers a contradicting pixdim.
"""

from __future__ import annotations

import errno
import os
import shutil
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.io.grids import Grid, checked_grid, grid_difference
from autoseg.io.nifti1 import read_plain
from autoseg.io.workspace import atomic

IMAGE_ENDINGS: tuple[str, ...] = (".nii.gz", ".nii", ".nrrd", ".mha")

INTEGER_TOLERANCE = 1e-3
_ALMOST_ZERO = 0.1  # the largest value of a label map whose scaling makes nothing but background of it

_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


def file_ending(path: Path) -> str:
    """The image ending of ``path``, such as ``".nii.gz"``; BadInput if it is not in IMAGE_ENDINGS."""
    name = Path(path).name.lower()
    for ending in IMAGE_ENDINGS:
        if name.endswith(ending):
            return ending
    raise BadInput(f"{path}: this is no image format that can be read; use one of {', '.join(IMAGE_ENDINGS)}.")


def file_stem(path: Path) -> str:
    """The file name without its image ending."""
    return Path(path).name[: -len(file_ending(path))]


def list_images(folder: Path) -> list[Path]:
    """The image files directly in ``folder``, sorted; hidden ones (what an interrupted writer left) do not count."""
    return sorted(f for f in folder.iterdir() if f.name.endswith(IMAGE_ENDINGS) and not f.name.startswith("."))


def read_image(path: Path) -> Image:
    """Read one file as ``(1, X, Y, Z)`` float32 in stored axis order, intensity scaling applied.

    BadInput: missing, damaged, truncated, not 3D, not finite, or with an unusable geometry.
    """
    with _reading(path):
        if _is_nifti(path):
            voxels, affine = _read_nifti(path, np.float32)
        else:
            stored, affine = _read_itk(path)
            voxels = stored.astype(np.float32)
    if not np.isfinite(voxels).all():
        bad = int(voxels.size - np.count_nonzero(np.isfinite(voxels)))
        raise BadInput(f"{path}: {bad} voxels are NaN or infinite; replace them by numbers.")
    return Image(voxels[None], affine)


def read_channels(paths: Sequence[Path]) -> Image:
    """Read files that share one grid as ``(C, X, Y, Z)`` float32; BadInput when the grids differ."""
    images = [read_image(path) for path in paths]
    for path, image in zip(paths[1:], images[1:], strict=True):
        problem = grid_difference(images[0].shape, images[0].affine, image.shape, image.affine)
        if problem:
            raise BadInput(f"{path}: {problem} {paths[0]}; resample both to one grid.")
    if len(images) == 1:
        return images[0]
    return Image(np.concatenate([image.voxels for image in images]), images[0].affine)


def read_labels(path: Path) -> npt.NDArray[np.int32]:
    """The voxels of ``read_label_map``."""
    return read_label_map(path)[0]


def read_label_map(path: Path) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    """Read a label map as ``(X, Y, Z)`` int32 in stored axis order, and its RAS affine.

    BadInput: whatever read_image refuses, negative values, values more than 1e-3 from an integer,
    and values scaled so small that all of them would round to background.
    """
    with _reading(path):
        stored, affine = _read_nifti(path) if _is_nifti(path) else _read_itk(path)
    if stored.dtype.kind not in "iu":
        stored = _near_integers(path, stored)
    if stored.size and (int(stored.min()) < 0 or int(stored.max()) > np.iinfo(np.int32).max):
        raise BadInput(f"{path}: label values lie outside 0..2147483647; number the labels 0, 1, 2, ... .")
    return stored.astype(np.int32), affine


def read_geometry(path: Path) -> tuple[tuple[int, int, int], npt.NDArray[np.float64]]:
    """Shape ``(X, Y, Z)`` and RAS affine from the header alone; the geometry checks of read_image."""
    with _reading(path):
        if _is_nifti(path):
            return _nifti_grid(path, _open_nifti(path))
        reader = _simple_itk().ImageFileReader()
        reader.SetFileName(str(path))
        reader.ReadImageInformation()
        return _itk_grid(path, reader)


def stored_as_integers(path: Path) -> bool:
    """Whether a NIfTI file holds a 3D array of integers without intensity scaling (header only)."""
    if not _is_nifti(path):
        return False
    with _reading(path):
        loaded = _open_nifti(path)
        scaled = (loaded.dataobj.slope, loaded.dataobj.inter) != (1, 0)  # the header forgets them when it is loaded
        return loaded.get_data_dtype().kind in "iu" and len(loaded.shape) == 3 and not scaled


def write_labels(path: Path, labels: npt.NDArray[np.integer], like: Path) -> None:
    """Write ``labels`` ``(X, Y, Z)``, stored axis order of ``like``, on the grid of ``like``.

    uint8, or uint16 where a value exceeds 255; the format follows the ending of ``path``. From NIfTI
    to NIfTI the sform, qform, their codes, pixdim and units are copied bit for bit. Atomic.
    """
    ending = file_ending(path)
    shape, affine = read_geometry(like)
    if labels.shape != shape:
        raise BadInput(
            f"{path}: labels of shape {labels.shape} cannot lie on the grid {shape} of {like}; resample them."
        )
    smallest, highest = (int(labels.min()), int(labels.max())) if labels.size else (0, 0)
    if smallest < 0 or highest > np.iinfo(np.uint16).max:
        raise BadInput(f"{path}: label values {smallest}..{highest} do not fit 0..65535; renumber the labels.")
    voxels = labels.astype(np.uint8 if highest <= np.iinfo(np.uint8).max else np.uint16)
    with atomic(Path(path)) as temporary:
        if ending in (".nii", ".nii.gz"):
            _write_nifti(temporary, voxels, affine, like)
        else:
            _write_itk(temporary, voxels, affine)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    if Path(path).is_symlink() and not Path(path).exists():
        raise BadInput(f"{path}: links to {os.path.realpath(path)}, which is not there; fetch or restore it.")
    if not Path(path).is_file():
        raise BadInput(f"{path}: there is no such file; check the path.")
    try:
        yield
    except (OSError, EOFError, zlib.error, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise BadInput(f"{path}: the file is damaged, truncated or no image ({reason}); restore the file.") from None


def _simple_itk() -> Any:
    """The module without its partial annotations; imported here because it takes 0.2 s."""
    import SimpleITK

    return SimpleITK


def _is_nifti(path: Path) -> bool:
    return file_ending(path) in (".nii", ".nii.gz")


def _read_nifti(path: Path, dtype: type[np.float32] | None = None) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    """Voxels ``(X, Y, Z)`` with the intensity scaling applied, in a copy of type ``dtype`` if one is given."""
    plain = read_plain(Path(path))
    if plain is not None:
        shape, affine = checked_grid(path, plain.voxels.shape, plain.affine, plain.pixdim_mm)
        return plain.voxels if dtype is None else plain.voxels.astype(dtype), affine
    loaded = _open_nifti(path)
    shape, affine = _nifti_grid(path, loaded)
    voxels = loaded.dataobj if dtype is None else loaded.get_fdata(dtype=dtype, caching="unchanged")
    return np.asanyarray(voxels).reshape(shape, order="F"), affine


def _open_nifti(path: Path) -> Any:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    try:
        loaded: Any = nibabel.load(path, mmap=False)
    except (ImageFileError, HeaderDataError) as error:
        raise ValueError(str(error)) from None
    if type(loaded).__name__ not in ("Nifti1Image", "Nifti2Image"):
        raise BadInput(f"{path}: the file is a {type(loaded).__name__}, not NIfTI; convert it to NIfTI.")
    kind = loaded.get_data_dtype()
    if kind.kind not in "iuf":
        raise BadInput(f"{path}: voxels of type {kind} are not numbers; convert the image to one grey value a voxel.")
    return loaded


def _nifti_grid(path: Path, loaded: Any) -> Grid:
    pixdim_mm = np.abs(np.asarray(loaded.header.get_zooms()[:3], dtype=np.float64))
    return checked_grid(path, loaded.shape, np.asarray(loaded.affine, dtype=np.float64), pixdim_mm)


def _itk_grid(path: Path, source: Any) -> Grid:
    """``source`` is a SimpleITK image or a reader that has read the header."""
    dimension, size = source.GetDimension(), source.GetSize()
    is_image = hasattr(source, "GetNumberOfComponentsPerPixel")
    components = source.GetNumberOfComponentsPerPixel() if is_image else source.GetNumberOfComponents()
    if components > 1:
        raise BadInput(f"{path}: a voxel has {components} values; store one channel a file.")
    if dimension < 3:
        raise BadInput(f"{path}: the image is {dimension}D; store it as a 3D image with one slice.")
    direction = np.asarray(source.GetDirection(), dtype=np.float64).reshape(dimension, dimension)[:3, :3]
    affine = np.eye(4)
    affine[:3, :3] = direction * np.asarray(source.GetSpacing()[:3])
    affine[:3, 3] = source.GetOrigin()[:3]
    return checked_grid(path, size, _LPS_TO_RAS @ affine, np.asarray(source.GetSpacing()[:3]))


def _near_integers(path: Path, stored: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
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


def _read_itk(path: Path) -> tuple[npt.NDArray[Any], npt.NDArray[np.float64]]:
    itk = _simple_itk()
    loaded = itk.ReadImage(str(path))
    shape, affine = _itk_grid(path, loaded)
    voxels = itk.GetArrayFromImage(loaded)  # (..., Z, Y, X)
    return voxels.reshape(shape[::-1]).transpose(2, 1, 0), affine


def _write_nifti(path: Path, voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64], like: Path) -> None:
    import nibabel

    nifti: Any = nibabel.Nifti1Image
    header = nifti(voxels, affine).header
    if _is_nifti(like):
        source = _open_nifti(like).header
        fields = ["sform_code", "srow_x", "srow_y", "srow_z", "qform_code", "xyzt_units"]
        fields += ["quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]
        for field in fields:
            header[field] = source[field]
        header["pixdim"][:4] = source["pixdim"][:4]
    else:
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)
        header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    nibabel.save(nifti(voxels, None, header), path)


def _write_itk(path: Path, voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64]) -> None:
    itk = _simple_itk()
    lps = _LPS_TO_RAS @ affine
    sides_mm = np.linalg.norm(lps[:3, :3], axis=0)
    image = itk.GetImageFromArray(np.ascontiguousarray(voxels.transpose(2, 1, 0)))
    image.SetSpacing([float(side) for side in sides_mm])
    image.SetOrigin([float(value) for value in lps[:3, 3]])
    image.SetDirection([float(value) for value in (lps[:3, :3] / sides_mm).ravel()])
    try:
        itk.WriteImage(image, str(path), useCompression=True)
        # The writers do not notice when the end of a file, or all of a small one, could not be stored.
        whole = np.array_equal(itk.GetArrayFromImage(itk.ReadImage(str(path))), itk.GetArrayViewFromImage(image))
    except RuntimeError:
        whole = False
    if not whole:
        full = shutil.disk_usage(path.parent).free < voxels.nbytes
        number = errno.ENOSPC if full else errno.EIO
        raise OSError(number, os.strerror(number), str(path))
