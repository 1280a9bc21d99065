"""What a NIfTI header says beyond the grid, without nibabel, which takes 0.2 s to be imported.

Field offsets: nifti1.h and nifti2.h of the NIfTI data format working group. The geometry itself is that of
``io.nifti``; here it is told which of the two transforms is used, and what readers pass over.
"""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.io.stored_facts import Handled, StoredFacts

_NIFTI1 = {
    "sizeof_hdr": ("i4", 0),
    "dim": ("8i2", 40),
    "datatype": ("i2", 70),
    "pixdim": ("8f4", 76),
    "slope": ("f4", 112),
    "inter": ("f4", 116),
    "units": ("u1", 123),
    "descrip": ("S80", 148),
    "qform_code": ("i2", 252),
    "sform_code": ("i2", 254),
    "quaternion": ("3f4", 256),
    "offset": ("3f4", 268),
    "srow": ("(3,4)f4", 280),
    "magic": ("S4", 344),
}
_NIFTI2 = {
    "sizeof_hdr": ("i4", 0),
    "magic": ("S4", 4),
    "datatype": ("i2", 12),
    "dim": ("8i8", 16),
    "pixdim": ("8f8", 104),
    "slope": ("f8", 176),
    "inter": ("f8", 184),
    "descrip": ("S80", 240),
    "qform_code": ("i4", 344),
    "sform_code": ("i4", 348),
    "quaternion": ("3f8", 352),
    "offset": ("3f8", 376),
    "srow": ("(3,4)f8", 400),
    "units": ("i4", 500),
}
_SIZES = {348: ("NIfTI-1", _NIFTI1), 540: ("NIfTI-2", _NIFTI2)}
_TYPES = {2: "uint8", 4: "int16", 8: "int32", 16: "float32", 32: "complex64", 64: "float64", 128: "RGB (3 x uint8)"}
_TYPES |= {256: "int8", 512: "uint16", 768: "uint32", 1024: "int64", 1280: "uint64", 1536: "float128"}
_UNITS = {1: "m", 2: "mm", 3: "um"}
_SPACES = ("unknown", "scanner", "aligned with another scan", "Talairach", "MNI152", "a template")
_FORMS_AGREE_MM = 0.01
_PIXDIM_AGREES = 1e-4  # relative: rounding of headers stays below


def nifti_facts(path: Path) -> StoredFacts:
    """The facts of a ``.nii`` or ``.nii.gz`` file; BadInput where it does not begin with a NIfTI header.

    What the library for gzip says of damage comes through.
    """
    packed = path.name.lower().endswith(".gz")
    with gzip.open(path) if packed else path.open("rb") as stream:
        content = stream.read(max(_SIZES))
    name, fields = _fields(path, content)
    kind, scaling = _TYPES.get(int(fields["datatype"]), f"type {int(fields['datatype'])}"), _scaling(fields)
    unit = _UNITS.get(int(fields["units"]) & 7)
    num_axes = min(max(int(fields["dim"][0]), 0), 7)
    shape = tuple(int(size) for size in fields["dim"][1 : num_axes + 1])
    return StoredFacts(
        format=f"{name}, compressed" if packed else name,
        data_type=kind,
        scaling=scaling,
        length_unit=unit,
        details=_details(fields),
        handled=(*_geometry(fields), *_shape(shape)),
        doubts=_doubts(unit, fields),
    )


def _fields(path: Path, content: bytes) -> tuple[str, Any]:
    """``NIfTI-1`` or ``NIfTI-2``, and the fields in their byte order."""
    for order in ("<", ">"):
        size = int.from_bytes(content[:4], "little" if order == "<" else "big")
        if size in _SIZES and len(content) >= size:
            name, layout = _SIZES[size]
            formats, offsets = zip(*layout.values(), strict=True)
            dtype = np.dtype({"names": [*layout], "formats": formats, "offsets": offsets, "itemsize": size})
            return name, np.frombuffer(content, dtype.newbyteorder(order), 1)[0]
    raise BadInput(f"{path}: does not begin with a NIfTI header; restore the file, or convert it to NIfTI.")


def _scaling(fields: Any) -> tuple[float, float] | None:
    """Slope and intercept where they change anything: a slope of 0 or NaN means none."""
    slope, inter = float(fields["slope"]), float(fields["inter"])
    inter = inter if np.isfinite(inter) else 0.0
    return None if not np.isfinite(slope) or slope == 0 or (slope, inter) == (1.0, 0.0) else (slope, inter)


def _details(fields: Any) -> dict[str, str]:
    codes = {name: int(fields[f"{name}_code"]) for name in ("sform", "qform")}
    used = next((name for name, code in codes.items() if code > 0), "none")
    described = bytes(fields["descrip"]).decode("latin-1").strip("\0 ")
    spaces = {
        f"{name} code": f"{code}, {_SPACES[code]}" if 0 <= code < len(_SPACES) else str(code)
        for name, code in codes.items()
    }
    return {"transform used": used, **spaces, **({"description": described} if described else {})}


def _geometry(fields: Any) -> list[Handled]:
    """What io.nifti makes of transforms that are missing, differ or are rounded."""
    with_sform, with_qform = int(fields["sform_code"]) > 0, int(fields["qform_code"]) > 0
    axes = min(max(int(fields["dim"][0]), 0), 3)
    sides_mm = np.asarray(fields["pixdim"][1 : axes + 1], np.float64)
    found = []
    if with_sform and axes:
        srow = np.asarray(fields["srow"], np.float64)
        columns_mm = np.linalg.norm(srow[:, :axes], axis=0)
        if np.any(sides_mm < 0):
            found.append(Handled("pixdim has negative voxel sides", "their size is used; the sform gives the sides"))
        relative = float(np.max(np.abs(np.abs(sides_mm) - columns_mm) / np.maximum(columns_mm, 1e-30)))
        if relative > _PIXDIM_AGREES:
            found.append(Handled(f"pixdim differs from the sform by {100 * relative:.2g} %", "the sform is used"))
        if with_qform:
            apart_mm = _apart_mm(srow, qform_affine(fields), fields["dim"][1:4])
            if apart_mm > _FORMS_AGREE_MM:
                found.append(Handled(f"sform and qform lie up to {apart_mm:.3g} mm apart", "the sform is used"))
    return found


def _shape(shape: tuple[int, ...]) -> list[Handled]:
    further = [size for size in shape[3:] if size != 1]
    if len(shape) == 2:
        return [Handled("the image is 2D", "it is one slice")]
    if len(shape) > 3 and not further:
        return [Handled(f"the image is {len(shape)}D with one volume", "the further axes are dropped")]
    if len(further) == 1:
        return [Handled(f"the image is 4D with {further[0]} volumes", "each volume is a channel")]
    return []


def _doubts(unit: str | None, fields: Any) -> tuple[str, ...]:
    doubts = []
    if unit in ("m", "um"):
        doubts.append(
            f"the header gives lengths in {unit}, and they are read as mm; correct the header if they are not"
        )
    if int(fields["sform_code"]) <= 0 and int(fields["qform_code"]) <= 0:
        doubts.append(
            "the header gives no orientation (sform and qform code are 0): the axes are taken to run to the left, "
            "front and up, so that left and right may be exchanged; convert the image from its source again"
        )
    return tuple(doubts)


def qform_affine(fields: Any) -> npt.NDArray[np.float64]:
    """``(3, 4)``: the transform of the quaternion, with ``qfac`` in pixdim[0] (nifti1.h, method 2)."""
    b, c, d = (float(value) for value in fields["quaternion"])
    a = np.sqrt(max(1.0 - b * b - c * c - d * d, 0.0))
    rotation = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - c * c - b * b],
        ]
    )
    sides_mm = np.abs(np.asarray(fields["pixdim"][1:4], np.float64))
    sides_mm[2] *= -1.0 if float(fields["pixdim"][0]) < 0 else 1.0
    return np.column_stack((rotation * sides_mm, np.asarray(fields["offset"], np.float64)))


def _apart_mm(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64], shape: Any) -> float:
    """How far the corners of a grid move between two transforms ``(3, 4)``."""
    corners = np.array(np.meshgrid(*[(0, max(int(size) - 1, 0)) for size in shape], [1])).reshape(4, -1)
    return float(np.linalg.norm((one - other) @ corners, axis=0).max())
