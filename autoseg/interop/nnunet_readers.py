"""nnU-Net's readers by file ending: those that turn images to one orientation, and those that leave them as stored."""

from __future__ import annotations

REORIENTING = {
    **dict.fromkeys((".nii.gz", ".nii"), "NibabelIOWithReorient"),
    **dict.fromkeys((".nrrd", ".mha", ".gipl"), "SimpleITKIOWithReorient"),
}
AS_STORED = {
    **dict.fromkeys((".nii.gz", ".nrrd", ".mha", ".gipl"), "SimpleITKIO"),
    ".nii": "NibabelIO",
    **dict.fromkeys((".png", ".bmp", ".tif"), "NaturalImage2DIO"),
    ".tiff": "Tiff3DIO",
}
