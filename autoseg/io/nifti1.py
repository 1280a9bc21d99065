"""Small NIfTI-1 files with nothing unusual in their header, without nibabel.

nibabel takes 0.1 to 0.2 s to be imported and 1 to 2 ms a file beyond unpacking it, which is most of the
time for small images. Whatever is not plain is left to it, and so is every error message.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg.io.bounds import SURPLUS_BYTES

SMALL_FILE_BYTES = 2**25
# Types, in little endian, and offsets of what is read (nifti1.h).
_FIELDS = {
    "sizeof_hdr": ("<i4", 0),
    "dim": ("8<i2", 40),
    "datatype": ("<i2", 70),
    "bitpix": ("<i2", 72),
    "pixdim": ("8<f4", 76),
    "vox_offset": ("<f4", 108),
    "slope": ("<f4", 112),
    "inter": ("<f4", 116),
    "qform_code": ("<i2", 252),
    "sform_code": ("<i2", 254),
    "srow": ("(3,4)<f4", 280),
    "magic": ("S4", 344),
}
_FORMATS, _OFFSETS = zip(*_FIELDS.values(), strict=True)
_HEADER = np.dtype({"names": list(_FIELDS), "formats": _FORMATS, "offsets": _OFFSETS, "itemsize": 348})
_TYPES = {2: "<u1", 4: "<i2", 8: "<i4", 16: "<f4", 64: "<f8", 256: "<i1", 512: "<u2", 768: "<u4"}
_FORM_CODES = range(6)
_MOST_OFFSET = 2**20
_FIRST_BYTES = 2**16  # unpacked to see the header, and with it all of many a label map


@dataclass(frozen=True, eq=False)
class PlainNifti:
    """``voxels`` ``(X, Y, Z)`` as stored (not to be written to), the RAS affine, and pixdim in millimetres."""

    voxels: npt.NDArray[np.generic]
    affine: npt.NDArray[np.float64]
    pixdim_mm: npt.NDArray[np.float64]


def read_plain(path: Path) -> PlainNifti | None:
    """The image of ``path`` as nibabel gives it; None if it is large, damaged or in any way unusual.

    Plain is: little endian, 3D, numbers, no intensity scaling, the affine in the sform, a consistent header.
    """
    content = _unpacked(path)
    if content is None or len(content) < _HEADER.itemsize:
        return None
    header = np.frombuffer(content, _HEADER, 1)[0]
    if header["sizeof_hdr"] != _HEADER.itemsize or header["magic"] != b"n+1" or header["dim"][0] != 3:
        return None
    shape = tuple(int(size) for size in header["dim"][1:4])
    pixdim, offset, kind = header["pixdim"], float(header["vox_offset"]), _TYPES.get(int(header["datatype"]))
    unscaled = header["slope"] == 0 or (header["slope"] == 1 and header["inter"] == 0)
    forms = (int(header["sform_code"]), int(header["qform_code"]))
    if (
        kind is None
        or min(shape) < 1
        or not unscaled
        or forms[0] == 0
        or not all(form in _FORM_CODES for form in forms)
    ):
        return None
    dtype = np.dtype(kind)
    if header["bitpix"] != 8 * dtype.itemsize or abs(pixdim[0]) != 1 or not np.all(pixdim[1:4] > 0):
        return None
    if not 352 <= offset <= _MOST_OFFSET or offset % 16:
        return None
    if not 0 <= len(content) - _stated_bytes(content) <= SURPLUS_BYTES:
        return None
    voxels = np.frombuffer(content, dtype, prod(shape), int(offset)).reshape(shape, order="F")
    affine = np.vstack((header["srow"], (0, 0, 0, 1))).astype(np.float64)
    return PlainNifti(voxels, affine, pixdim[1:4].astype(np.float64))


def _unpacked(path: Path) -> bytes | None:
    """All bytes of a small file; None if it is large, or not one whole gzip stream where the name says gzip.

    No more is unpacked than the header states and a little.
    """
    if path.stat().st_size > SMALL_FILE_BYTES:
        return None
    content = path.read_bytes()
    if not path.name.lower().endswith(".gz"):
        return content
    unpacker = zlib.decompressobj(wbits=31)
    try:
        first = unpacker.decompress(content, _FIRST_BYTES)
        more = _stated_bytes(first) + SURPLUS_BYTES - len(first)
        if more > 0:
            first += unpacker.decompress(unpacker.unconsumed_tail, more)
    except zlib.error:
        return None
    return first if unpacker.eof and not unpacker.unused_data else None


def _stated_bytes(content: bytes) -> int:
    """Where the voxels end by the header that ``content`` begins with; 0 where it is none of a small plain file."""
    if len(content) < _HEADER.itemsize:
        return 0
    header = np.frombuffer(content, _HEADER, 1)[0]
    kind, offset = _TYPES.get(int(header["datatype"])), float(header["vox_offset"])
    if kind is None or not 0 <= offset <= _MOST_OFFSET:
        return 0
    stated = int(offset) + prod(int(size) for size in header["dim"][1:4]) * np.dtype(kind).itemsize
    return stated if 0 < stated <= SMALL_FILE_BYTES else 0
