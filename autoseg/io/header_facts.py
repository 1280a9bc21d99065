"""What the header of an image of any format says beyond its grid, in words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import orientation_code, shear
from autoseg.io import dicom, itk, nifti, pictures, tiff
from autoseg.io.images import file_ending, reading
from autoseg.io.nifti_header import nifti_facts
from autoseg.io.stored_facts import Handled, StoredFacts

_ITK_FORMATS = {".nrrd": "NRRD", ".mha": "MetaImage", ".mhd": "MetaImage", ".gipl": "GIPL"}
_ITK_TYPE = re.compile(r"(vector of )?(\d+)-bit (un)?(signed integer|float)")
_PICTURE_TYPES = {"1": "1 bit", "I": "int32", "I;16": "uint16", "I;16B": "uint16"}
_NO_ORIENTATION = "the format holds no orientation"
_TO_LEFT_AND_BACK = "the first axis is taken to run to the left, the second to the back, the third up"
# Of a series, never of a person.
_DICOM_TAGS = {
    "modality": "0008|0060",
    "series": "0008|103e",
    "manufacturer": "0008|0070",
    "scanner": "0008|1090",
    "field strength (T)": "0018|0087",
}
_BITS, _SIGNED = "0028|0100", "0028|0103"
OBLIQUE_DEGREES = 0.1
SHEAR_DEGREES = 0.1


def header_facts(path: Path) -> StoredFacts:
    """How the file, or the folder of a DICOM series, is stored. BadInput as ``images.read_header`` has it."""
    with reading(path):
        if path.is_dir():
            return _dicom_facts(path)
        ending = file_ending(path)
        if ending in nifti.ENDINGS:
            return nifti_facts(path)
        if ending in tiff.ENDINGS:
            return _tiff_facts(path)
        return _picture_facts(path) if ending in pictures.ENDINGS else _itk_facts(path, ending)


def handled_geometry(affine: npt.NDArray[np.float64]) -> list[Handled]:
    """What is done about a grid that is stored turned, oblique or sheared: it is kept, and nothing is resampled."""
    found = []
    code = orientation_code(affine)
    if code != "RAS":
        how = "turned to one orientation for the work; results are written as the image is stored"
        found.append(Handled(f"stored as {code}", how))
    if oblique_degrees(affine) > OBLIQUE_DEGREES:
        how = "the grid is kept; axes count as those of the body that they are closest to"
        found.append(Handled(f"oblique by up to {oblique_degrees(affine):.1f} degrees", how))
    if shear_degrees(affine) > SHEAR_DEGREES:
        how = "the grid is kept; its closest rotation gives the sides"
        found.append(Handled(f"sheared: axes are {90 - shear_degrees(affine):.1f} degrees apart, not 90", how))
    return found


def oblique_degrees(affine: npt.NDArray[np.float64]) -> float:
    """The largest angle between a stored axis and the axis of the world that it is closest to."""
    directions = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    return float(np.degrees(np.arccos(np.clip(np.abs(directions).max(axis=0), 0, 1))).max())


def shear_degrees(affine: npt.NDArray[np.float64]) -> float:
    """By how much the angle between two axes differs from 90 degrees, at most."""
    return float(np.degrees(np.arcsin(min(shear(affine), 1.0))))


def numpy_name(itk_name: str) -> str:
    """``"16-bit signed integer"`` -> ``"int16"``; a vector keeps a note of it."""
    match = _ITK_TYPE.fullmatch(itk_name)
    if match is None:
        return itk_name
    vector, bits, unsigned, kind = match.groups()
    name = f"float{bits}" if kind == "float" else f"{'u' if unsigned else ''}int{bits}"
    return f"{name}, several a voxel" if vector else name


def _itk_facts(path: Path, ending: str) -> StoredFacts:
    source = itk.header_reader(path)
    handled = [Handled(_NO_ORIENTATION, _TO_LEFT_AND_BACK)] if ending == ".gipl" else []
    if source.GetDimension() == 2:
        handled.append(Handled("the image is 2D", "it is one slice"))
    return StoredFacts(
        format=_ITK_FORMATS[ending],
        data_type=_itk_type(source),
        details={"space": source.GetMetaData("NRRD_space")} if source.HasMetaDataKey("NRRD_space") else {},
        handled=tuple(handled),
    )


def _itk_type(source: Any) -> str:
    return numpy_name(itk.simple_itk().GetPixelIDValueAsString(source.GetPixelID()))


def _tiff_facts(path: Path) -> StoredFacts:
    stored_type, flat = tiff.stored_type(path)
    sidecar = None if flat else tiff.spacing_file(path)
    handled = [Handled(_NO_ORIENTATION, _TO_LEFT_AND_BACK)]
    if flat:
        handled.append(Handled("a 2D image holds no voxel size", "pixels are 1 mm wide, and it is one slice"))
    elif sidecar is None:
        stem = path.name.rpartition(".")[0]
        handled.append(Handled(f"there is no {stem}.json with the voxel size", "voxels are 1 x 1 x 1 mm"))
    details = {"voxel size from": sidecar.name} if sidecar else {}
    return StoredFacts("TIFF", stored_type, details=details, handled=tuple(handled))


def _picture_facts(path: Path) -> StoredFacts:
    mode, colours = pictures.stored_mode(path)
    kind = f"palette of {colours} colours" if mode == "P" else _PICTURE_TYPES.get(mode, f"uint8 ({mode})")
    handled = [Handled("the format holds no geometry", f"pixels are 1 mm wide; {_TO_LEFT_AND_BACK}")]
    if mode == "P":
        handled.append(Handled("colours are of a palette", "as labels their indices count, as an image their colours"))
    return StoredFacts("PNG" if path.name.lower().endswith(".png") else "BMP", kind, handled=tuple(handled))


def _dicom_facts(folder: Path) -> StoredFacts:
    files = dicom.files_of_series(folder)
    first = itk.header_reader(files[0])

    def tag(key: str) -> str:
        return str(first.GetMetaData(key)).strip() if first.HasMetaDataKey(key) else ""

    bits, signed, read_as = tag(_BITS), tag(_SIGNED) == "1", _itk_type(first)
    stored_as = f"{'' if signed else 'u'}int{bits}" if bits else read_as
    rescaled = Handled("the stored numbers are rescaled", "by the slope and the intercept in the headers of the slices")
    return StoredFacts(
        format=f"DICOM series of {len(files)} {'file' if len(files) == 1 else 'files'}",
        data_type=stored_as,
        length_unit="mm",
        details={name: tag(key) for name, key in _DICOM_TAGS.items() if tag(key)},
        handled=() if read_as.startswith(stored_as) else (rescaled,),  # GDCM takes another type for what it rescales
    )
