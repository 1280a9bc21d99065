"""Images whose NIfTI header lies."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from tests.faults.kinds import Kind, Meeting, image_kind
from tests.faults.spoiling import GOOD_AFFINE, patch, sparse_giant

NAN, INF = float("nan"), float("inf")


def header_kind(name: str, sentence: str, converted: str | None = None, **fields: object) -> Kind:
    """Fields of the header overwritten, the voxels as they were: 20 x 24 x 16 of float32."""
    return image_kind(name, partial(patch, **fields), sentence, converted)


def with_sform(path: Path, affine: object) -> None:
    """The affine in the sform alone."""
    rows = np.asarray(affine, dtype=np.float64)
    patch(path, sform_code=1, qform_code=0, srow_x=rows[0], srow_y=rows[1], srow_z=rows[2])


def sform_kind(name: str, affine: object, sentence: str) -> Kind:
    """Another affine."""
    return image_kind(name, partial(with_sform, affine=affine), sentence)


KINDS = (
    header_kind(
        "more voxels than bytes",
        (
            "$image: the file is damaged, truncated or no image (Expected 1920000 bytes, got 30720 bytes "
            "from sub-01_T1w.nii.gz - could the file be damaged?); restore the file."
        ),
        (
            "$labels: its size 20x24x16 is not the 20x24x1000 of sub-01_T1w.nii.gz; resample it to the "
            "grid of the image."
        ),
        dim={3: 1000},
    ),
    header_kind(
        "a few more voxels than bytes",
        (
            "$image: the file is damaged, truncated or no image (Expected 32640 bytes, got 30720 bytes "
            "from sub-01_T1w.nii.gz - could the file be damaged?); restore the file."
        ),
        ("$labels: its size 20x24x16 is not the 20x24x17 of sub-01_T1w.nii.gz; resample it to the grid of the image."),
        dim={3: 17},
    ),
    header_kind(
        "fewer voxels than bytes",
        ("$image: its header is wrong: that states 15712 bytes and the file holds more; restore the file."),
        ("$labels: its size 20x24x16 is not the 20x24x8 of sub-01_T1w.nii.gz; resample it to the grid of the image."),
        dim={3: 8},
    ),
    header_kind(
        "voxels from beyond the end",
        (
            "$image: is truncated or its header is wrong: that states 1000030720 bytes and the file has "
            "25858 packed; restore the file."
        ),
        vox_offset=1e9,
    ),
    header_kind(
        "voxels from within the header",
        (
            "$image: the file is damaged, truncated or no image (vox offset 100 too low for single file "
            "nifti1); restore the file."
        ),
        vox_offset=100,
    ),
    header_kind(
        "voxels from nowhere",
        ("$image: the file is damaged, truncated or no image (cannot convert float NaN to integer); restore the file."),
        vox_offset=NAN,
    ),
    header_kind(
        "type of half the bytes",
        ("$image: its header is wrong: that states 15712 bytes and the file holds more; restore the file."),
        datatype=4,
        bitpix=16,
    ),
    header_kind(
        "type of twice the bytes",
        (
            "$image: the file is damaged, truncated or no image (Expected 61440 bytes, got 30720 bytes "
            "from sub-01_T1w.nii.gz - could the file be damaged?); restore the file."
        ),
        datatype=64,
        bitpix=64,
    ),
    header_kind(
        "unknown type",
        ("$image: the file is damaged, truncated or no image (data code 77 not recognized); restore the file."),
        datatype=77,
    ),
    header_kind(
        "colours",
        (
            "$image: voxels of type [('R', 'u1'), ('G', 'u1'), ('B', 'u1')] are not numbers; convert the "
            "image to one grey value a voxel."
        ),
        datatype=128,
        bitpix=24,
    ),
    header_kind(
        "complex numbers",
        "$image: voxels of type complex64 are not numbers; convert the image to one grey value a voxel.",
        datatype=32,
        bitpix=64,
    ),
    header_kind(
        "nine dimensions", "$image: the header says 9 dimensions, and NIfTI has 1 to 7; restore the file.", dim={0: 9}
    ),
    header_kind(
        "no dimensions", "$image: the header says 0 dimensions, and NIfTI has 1 to 7; restore the file.", dim={0: 0}
    ),
    header_kind(
        "one dimension", "$image: the image is 1D; store it as a 2D or 3D image.", dim=[1, 7680, 1, 1, 1, 1, 1, 1]
    ),
    header_kind(
        "negative size", "$image: the image has no voxels (size (20, -24, 16)); restore the file.", dim={2: -24}
    ),
    header_kind("size of zero", "$image: the image has no voxels (size (20, 0, 16)); restore the file.", dim={2: 0}),
    header_kind(
        "terabytes of voxels",
        (
            "$image: is truncated or its header is wrong: that states 140724603847004 bytes and the file "
            "has 25854 packed; restore the file."
        ),
        dim={1: 32767, 2: 32767, 3: 32767},
    ),
    Kind(
        "more than the memory of any machine",
        lambda place: sparse_giant(place.folder / "giant.nii"),
        (
            Meeting(
                ("predict", "$folder/giant.nii", "-o", "$out", "--model", "$model", "--json"),
                (
                    "$folder/giant.nii: its 8192 x 8192 x 8192 voxels take 6597 GB of memory, more than this "
                    "machine has; crop or resample the image, or take a larger machine."
                ),
                "left out",
            ),
        ),
    ),
    header_kind(
        "wrong size of the header",
        "$image: the header does not begin with its length, 348; restore the file.",
        sizeof_hdr=349,
    ),
    header_kind(
        "wrong magic",
        (
            '$image: the file is damaged, truncated or no image (Cannot work out file type of "sub-01_T1w.nii.gz"); '
            "restore the file."
        ),
        magic=b"n+7",
    ),
    header_kind(
        "four dimensions",
        "sub-01_T1w: has 2 channel(s), the model was trained with 1 (T1w); give one file for each.",
        ("$labels: its size 20x24x16 is not the 20x24x8 of sub-01_T1w.nii.gz; resample it to the grid of the image."),
        dim=[4, 20, 24, 8, 2, 1, 1, 1],
    ),
    header_kind(
        "five dimensions",
        "$image: the image is 5D with 2x2 volumes; store each as a 3D file.",
        "$image: the image is 5D with 2x2 volumes; store each as a 3D file.",
        dim=[5, 20, 24, 4, 2, 2, 1, 1],
    ),
    header_kind("voxel side of zero", "$image: a voxel side is 0 mm; repair the header.", pixdim={2: 0}),
    header_kind(
        "voxel side of no number",
        "$image: the affine or pixdim holds NaN or infinity; repair the header.",
        pixdim={2: NAN},
    ),
    header_kind(
        "infinite voxel side", "$image: the affine or pixdim holds NaN or infinity; repair the header.", pixdim={2: INF}
    ),
    header_kind(
        "negative voxel side",
        "$image: a voxel side is negative, which may mean that it is flipped; repair the header.",
        pixdim={2: -1},
        sform_code=0,
    ),
    header_kind(
        "voxel sides against the affine",
        ("$image: pixdim says voxels of 2 x 2 x 2 mm and the affine says 1 x 1 x 1.2 mm; repair the header."),
        pixdim={1: 2, 2: 2, 3: 2},
    ),
    sform_kind(
        "affine with NaN",
        [[NAN, 0, 0, 0], [0, 1, 0, 0], [0, 0, 1.2, 0]],
        "$image: the affine or pixdim holds NaN or infinity; repair the header.",
    ),
    sform_kind(
        "affine with infinity",
        [[-1, 0, 0, INF], [0, 1, 0, 0], [0, 0, 1.2, 0]],
        "$image: the affine or pixdim holds NaN or infinity; repair the header.",
    ),
    sform_kind("affine of zeros", np.zeros((3, 4)), "$image: a voxel side is 0 mm; repair the header."),
    sform_kind(
        "two equal axes", GOOD_AFFINE[[0, 0, 2]] * [[1, 1, 1, 1]], "$image: a voxel side is 0 mm; repair the header."
    ),
    sform_kind(
        "parallel axes",
        [[-1, -1, 0, 0], [0, 1e-6, 0, 0], [0, 0, 1.2, 0]],
        "$image: two axes of the affine point the same way; repair the header.",
    ),
    header_kind(
        "slope beyond float32", "$image: 7680 voxels are NaN or infinite; replace them by numbers.", scl_slope=3e38
    ),
    header_kind(
        "intercept of no number",
        (
            "$image: the file is damaged, truncated or no image (Valid slope but invalid intercept nan); "
            "restore the file."
        ),
        scl_slope=2,
        scl_inter=NAN,
    ),
)
