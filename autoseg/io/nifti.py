"""NIfTI (``.nii``, ``.nii.gz``) through nibabel.

nibabel keeps the affine as it is, sheared or not; SimpleITK refuses sheared affines and silently
prefers a contradicting pixdim.
"""

from __future__ import annotations

import gzip
import logging
import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.io.bounds import SURPLUS_BYTES, require_memory, require_stated_bytes, surplus
from autoseg.io.files import atomic
from autoseg.io.grids import Grid, Stored, checked_grid, stated_spacing
from autoseg.io.nifti1 import read_plain

ENDINGS: tuple[str, ...] = (".nii.gz", ".nii")


def is_nifti(path: Path) -> bool:
    """Whether the name of ``path`` is that of a NIfTI file."""
    return path.name.lower().endswith(ENDINGS)


def header(path: Path) -> tuple[int, Grid]:
    """The number of channels, which are the volumes of a 4D file, and the grid, from the header alone."""
    loaded = _open_nifti(path)
    return _num_volumes(loaded), _grid(path, loaded)


def read(path: Path, labels: bool) -> Stored:
    """``(C, X, Y, Z)``, intensity scaling applied: float32, or the stored numbers of ``labels`` (to be read only)."""
    plain = read_plain(path)
    if plain is not None:
        _, affine = checked_grid(path, plain.voxels.shape, plain.affine, plain.pixdim_mm)
        voxels = plain.voxels if labels else plain.voxels.astype(np.float32)
        return Stored(voxels[None], affine, stated_spacing(affine, plain.pixdim_mm))
    with _to_the_end(path) as loaded:
        shape, affine = _grid(path, loaded)
        if labels:
            voxels = np.asanyarray(loaded.dataobj)
        else:
            voxels = np.asarray(loaded.get_fdata(dtype=np.float32, caching="unchanged"))
    order: Literal["F", "C"] = "F" if voxels.flags.f_contiguous else "C"
    voxels = np.moveaxis(voxels.reshape((*shape, _num_volumes(loaded)), order=order), -1, 0)
    return Stored(voxels, affine, stated_spacing(affine, _pixdim_mm(loaded)))


def stored_as_integers(path: Path) -> bool:
    """Whether the file holds a 3D array of integers without intensity scaling (header only)."""
    loaded = _open_nifti(path)
    scaled = (loaded.dataobj.slope, loaded.dataobj.inter) != (1, 0)  # the header forgets them when it is loaded
    return loaded.get_data_dtype().kind in "iu" and len(loaded.shape) == 3 and not scaled


def write_volumes(path: Path, targets: Sequence[Path]) -> None:
    """Write each volume of a 4D file as a 3D file: the stored numbers, their scaling and the geometry. Each atomic."""
    import nibabel

    with _to_the_end(path) as loaded:
        stored, scaling = loaded.dataobj.get_unscaled(), (loaded.dataobj.slope, loaded.dataobj.inter)
    for volume, target in zip(np.moveaxis(stored.reshape((*stored.shape[:3], -1)), -1, 0), targets, strict=True):
        header = loaded.header.copy()
        header.set_data_shape(volume.shape)
        image = type(loaded)(volume, None, header)
        image.header.set_slope_inter(*scaling)  # after the image is made, which forgets them
        with atomic(target) as temporary:
            nibabel.save(image, temporary)


def write(path: Path, voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64], like: Path) -> None:
    """Write a label map ``(X, Y, Z)``, 2D if ``like`` is a 2D NIfTI file.

    From NIfTI to NIfTI the sform, qform, their codes, pixdim and units are copied bit for bit. Atomic.
    """
    import nibabel

    nifti: Any = nibabel.Nifti1Image
    if is_nifti(like):
        opened = _open_nifti(like)
        voxels = voxels[:, :, 0] if len(opened.shape) == 2 else voxels
        source, header = opened.header, nifti(voxels, affine).header
        fields = ["sform_code", "srow_x", "srow_y", "srow_z", "qform_code", "xyzt_units"]
        fields += ["quatern_b", "quatern_c", "quatern_d", "qoffset_x", "qoffset_y", "qoffset_z"]
        for field in fields:
            header[field] = source[field]
        header["pixdim"][:4] = source["pixdim"][:4]
    else:
        header = nifti(voxels, affine).header
        header.set_sform(affine, code=1)
        header.set_qform(affine, code=1)
        header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    with atomic(path) as temporary:
        nibabel.save(nifti(voxels, None, header), temporary)


def _open_nifti(path: Path) -> Any:
    import nibabel
    from nibabel.filebasedimages import ImageFileError
    from nibabel.spatialimages import HeaderDataError

    logging.getLogger("nibabel.global").setLevel(logging.CRITICAL)  # the sentences about headers are ours
    _require_sound_header(path)
    try:
        loaded: Any = nibabel.load(path, mmap=False)
    except (ImageFileError, HeaderDataError) as error:
        raise ValueError(str(error)) from None
    if type(loaded).__name__ not in ("Nifti1Image", "Nifti2Image"):
        raise BadInput(f"{path}: the file is a {type(loaded).__name__}, not NIfTI; convert it to NIfTI.")
    kind = loaded.get_data_dtype()
    if kind.kind not in "iuf":
        raise BadInput(f"{path}: voxels of type {kind} are not numbers; convert the image to one grey value a voxel.")
    require_stated_bytes(path, loaded.shape, kind.itemsize, loaded.dataobj.offset, _packed(path))
    require_memory(path, loaded.shape, kind.itemsize)
    return loaded


@contextmanager
def _to_the_end(path: Path) -> Iterator[Any]:
    """The image of ``path``, all of whose voxels the block must read: nothing may follow them.

    No more is unpacked than the header states and a little. At the end of a gzip stream its checksum is compared;
    reading only the voxels would pass over it.
    """
    from nibabel.fileholders import FileHolder

    loaded = _open_nifti(path)
    with gzip.open(path) if _packed(path) else path.open("rb") as stream:
        whole = type(loaded).from_file_map({"image": FileHolder(str(path), stream)}, mmap=False)
        yield whole
        if len(stream.read(SURPLUS_BYTES + 1)) > SURPLUS_BYTES:
            stated = loaded.dataobj.offset + math.prod(loaded.shape) * loaded.get_data_dtype().itemsize
            raise BadInput(surplus(path, stated))


def _require_sound_header(path: Path) -> None:
    """BadInput for what nibabel would mend by a guess, or tell in terms of the field after; not for other formats."""
    import nibabel

    with gzip.open(path) if _packed(path) else path.open("rb") as stream:
        content = stream.read(nibabel.Nifti2Header.sizeof_hdr)
    kinds = ((nibabel.Nifti1Header, content[344:348], b"n+1\0"), (nibabel.Nifti2Header, content[4:8], b"n+2\0"))
    kind = next((one for one, magic, expected in kinds if magic == expected and len(content) >= one.sizeof_hdr), None)
    if kind is None:
        return
    order: Literal["<", ">"] = "<" if content[:4] == kind.sizeof_hdr.to_bytes(4, "little") else ">"
    if order == ">" and content[:4] != kind.sizeof_hdr.to_bytes(4, "big"):
        raise BadInput(f"{path}: the header does not begin with its length, {kind.sizeof_hdr}; restore the file.")
    header = np.frombuffer(content, kind.template_dtype.newbyteorder(order), 1)[0]
    number = int(header["dim"][0])
    if not 1 <= number <= 7:
        raise BadInput(f"{path}: the header says {number} dimensions, and NIfTI has 1 to 7; restore the file.")
    sides_mm = header["pixdim"][1 : min(number, 3) + 1]
    if np.any(sides_mm == 0):
        raise BadInput(f"{path}: a voxel side is 0 mm; repair the header.")
    if np.any(sides_mm < 0) and not header["sform_code"]:
        raise BadInput(f"{path}: a voxel side is negative, which may mean that it is flipped; repair the header.")


def _packed(path: Path) -> bool:
    return path.name.lower().endswith(".gz")


def _num_volumes(loaded: Any) -> int:
    """Of a file of one axis more than three (of more than one volume); else 1, and ``_grid`` judges the others."""
    further = [size for size in loaded.shape[3:] if size != 1]
    return int(further[0]) if len(further) == 1 and further[0] else 1


def _grid(path: Path, loaded: Any) -> Grid:
    shape = loaded.shape[:3] if _num_volumes(loaded) > 1 else loaded.shape
    return checked_grid(path, shape, np.asarray(loaded.affine, dtype=np.float64), _pixdim_mm(loaded))


def _pixdim_mm(loaded: Any) -> npt.NDArray[np.float64]:
    pixdim_mm: npt.NDArray[np.float64] = np.abs(np.asarray(loaded.header.get_zooms()[:3], dtype=np.float64))
    return pixdim_mm
