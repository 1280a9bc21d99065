"""Images in other formats, written by libraries that autoseg does not read them with, or not alone."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import SimpleITK
import tifffile

ROOT_UID = "1.2.826.0.1.3680043.2.1125"


def as_itk(path: Path, to: Path) -> Path:
    """A NIfTI file in the format that the ending of ``to`` says, by SimpleITK."""
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(to))
    return to


def as_tiff(path: Path, to: Path) -> Path:
    """The slices of a NIfTI file as a TIFF stack with nnU-Net's sidecar."""
    image = nibabel.load(path)
    tifffile.imwrite(to, np.asarray(image.dataobj).transpose(2, 1, 0), photometric="minisblack", compression="zlib")
    sides_mm = [float(side) for side in image.header.get_zooms()[::-1]]
    sidecar = to.name.removesuffix(to.suffix).removesuffix("_0000") + ".json"
    to.with_name(sidecar).write_text(json.dumps({"spacing": sides_mm}))
    return to


def as_dicom(
    image: SimpleITK.Image, folder: Path, series: int = 1, description: str = "", more: dict[str, str] | None = None
) -> list[Path]:
    """An image of whole numbers as a DICOM series of one file a slice; the files in the order of the slices."""
    folder.mkdir(parents=True, exist_ok=True)
    writer = SimpleITK.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    direction = image.GetDirection()
    files = []
    for i in range(image.GetDepth()):
        plane = image[:, :, i]
        tags = {
            "0008|0060": "MR",
            "0008|103e": description,
            "0008|0018": f"{ROOT_UID}.{series}.{i}",
            "0020|000d": f"{ROOT_UID}.100",
            "0020|000e": f"{ROOT_UID}.{series}",
            "0020|0013": str(i),
            "0020|0032": "\\".join(map(str, image.TransformIndexToPhysicalPoint((0, 0, i)))),
            "0020|0037": "\\".join(map(str, (*direction[0::3], *direction[1::3]))),
            "0018|0050": str(image.GetSpacing()[2]),
            **(more or {}),
        }
        for tag, value in tags.items():
            plane.SetMetaData(tag, value)
        files.append(folder / f"series{series}_{(7 * i) % 101:03d}.dcm")  # names out of order
        writer.SetFileName(str(files[-1]))
        writer.Execute(plane)
    return files


def canonical(voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64]) -> nibabel.Nifti1Image:
    """The image with its axes along R, A, S, by nibabel."""
    return nibabel.as_closest_canonical(nibabel.Nifti1Image(voxels, affine))
