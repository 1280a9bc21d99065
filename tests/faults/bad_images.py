"""Images and label maps that are damaged, no images, or hold what cannot be used; and what lies in their place."""

from __future__ import annotations

import gzip
import os
from functools import partial
from pathlib import Path

import numpy as np

from tests.faults.kinds import CONVERT, Kind, Meeting, image_kind, label_kind
from tests.faults.spoiling import (
    ANNEX,
    LFS,
    change,
    flip_voxel_of_stored,
    make_bomb,
    patch,
    shifted,
    truncate,
    with_voxel,
)


def replaced(by: bytes) -> partial[None]:
    """Other content."""
    return partial(_replace, by=by)


def _replace(path: Path, by: bytes) -> None:
    path.write_bytes(by)


def link_to(path: Path, target: str | Path) -> None:
    """A link in its place."""
    path.unlink()
    path.symlink_to(target)


def folder_in_place(path: Path) -> None:
    """A folder of that name with something in it."""
    path.unlink()
    path.mkdir()
    (path / "notes.txt").write_text("nothing")


def pipe_in_place(path: Path) -> None:
    """A pipe that nobody writes to."""
    path.unlink()
    os.mkfifo(path)


def unpack_in_place(path: Path) -> None:
    """Not packed although its name says so."""
    path.write_bytes(gzip.decompress(path.read_bytes()))


def garble(path: Path) -> None:
    """Bytes in the middle changed."""
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) // 2 + 64):
        content[place] ^= 0x5A
    path.write_bytes(content)


IMAGES = (
    image_kind(
        "NaN", lambda p: change(p, with_voxel(np.nan)), "$image: 1 voxels are NaN or infinite; replace them by numbers."
    ),
    image_kind(
        "infinity",
        lambda p: change(p, with_voxel(np.inf)),
        "$image: 1 voxels are NaN or infinite; replace them by numbers.",
    ),
    image_kind(
        "truncated",
        truncate,
        (
            "$image: the file is damaged, truncated or no image (Compressed file ended before the "
            "end-of-stream marker was reached); restore the file."
        ),
    ),
    image_kind(
        "empty file",
        replaced(b""),
        "$image: the file is damaged, truncated or no image (Empty file: 'sub-01_T1w.nii.gz'); restore the file.",
    ),
    image_kind(
        "a few bytes",
        replaced(b"\x1f\x8b\x08"),
        (
            "$image: the file is damaged, truncated or no image (Compressed file ended before the "
            "end-of-stream marker was reached); restore the file."
        ),
    ),
    image_kind(
        "text",
        replaced(b"This is no image at all.\n" * 40),
        ("$image: the file is damaged, truncated or no image (Not a gzipped file (b'Th')); restore the file."),
    ),
    image_kind(
        "packed text",
        replaced(gzip.compress(b"This is no image at all.\n" * 40, mtime=0)),
        (
            '$image: the file is damaged, truncated or no image (Cannot work out file type of "sub-01_T1w.nii.gz"); '
            "restore the file."
        ),
    ),
    image_kind(
        "zeros",
        replaced(bytes(4096)),
        ("$image: the file is damaged, truncated or no image (Not a gzipped file (b'\\x00\\x00')); restore the file."),
    ),
    image_kind(
        "garbage after the end",
        lambda p: p.write_bytes(p.read_bytes() + b"garbage" * 9),
        ("$image: the file is damaged, truncated or no image (Not a gzipped file (b'ga')); restore the file."),
    ),
    image_kind(
        "one byte changed",
        flip_voxel_of_stored,
        (
            "$image: the file is damaged, truncated or no image (CRC check failed 0xbb5146d4 != "
            "0x9a6e6b68); restore the file."
        ),
    ),
    image_kind(
        "many bytes changed",
        garble,
        (
            "$image: the file is damaged, truncated or no image (CRC check failed 0xbb5146d4 != "
            "0xdbd47dc9); restore the file."
        ),
    ),
    image_kind(
        "not packed",
        unpack_in_place,
        ("$image: the file is damaged, truncated or no image (Not a gzipped file (b'\\\\\\x01')); restore the file."),
    ),
    image_kind(
        "gigabytes in megabytes",
        make_bomb,
        ("$image: its header is wrong: that states 31072 bytes and the file holds more; restore the file."),
    ),
    image_kind(
        "dangling link",
        lambda p: link_to(p, "gone"),
        "$image: links to $site/sub-01/anat/gone, which is not there; fetch or restore it.",
    ),
    image_kind(
        "link to itself", lambda p: link_to(p, p.name), "$image: is a link that leads to itself; restore the file."
    ),
    image_kind(
        "link to git-annex",
        lambda p: link_to(p, Path("../..") / ANNEX),
        "$image: its content is not here (git-annex); get it with `datalad get` or `git annex get`.",
    ),
    image_kind(
        "pointer of git-annex",
        replaced(b"/annex/objects/SHA256E-s1--aa.nii.gz\n"),
        "$image: its content is not here (git-annex); get it with `datalad get` or `git annex get`.",
    ),
    image_kind(
        "pointer of Git LFS",
        replaced(LFS.encode()),
        "$image: its content is not here (Git LFS); get it with `git lfs pull`.",
    ),
    image_kind("pipe", pipe_in_place, "$image: is a pipe or a device; give a file."),
    image_kind("device", lambda p: link_to(p, "/dev/zero"), "$image: is a pipe or a device; give a file."),
    Kind(
        "folder called as an image",
        lambda place: folder_in_place(place.image()),
        (
            Meeting(
                ("predict", "$image", "-o", "$out", "--dataset", "Tiny", "--device", "cpu"),
                (
                    "$image: holds no images (.nii.gz, .nii, .nrrd, .mha, .mhd, .gipl, .tif, .tiff, .png, .bmp), "
                    "no DICOM and is no BIDS dataset."
                ),
            ),
            Meeting(CONVERT, "$image: holds no DICOM series; give the folder of one.", "left out", 0),
        ),
    ),
)

LABELS = (
    label_kind(
        "label without image",
        Path.exists,
        ("$labels: no image has its subject, session, entities and contrast; rename the label or restore the image."),
    ),
    label_kind(
        "image without label", Path.unlink, "$image: no label file belongs to it; add its labels or exclude it."
    ),
    label_kind(
        "labels of another size",
        lambda p: change(p, lambda v: v[:-2]),
        ("$labels: its size 18x24x16 is not the 20x24x16 of sub-01_T1w.nii.gz; resample it to the grid of the image."),
    ),
    label_kind(
        "labels in another place",
        lambda p: change(p, affine=shifted()),
        (
            "$labels: its grid lies up to 3 mm away from that of sub-01_T1w.nii.gz; resample it to the "
            "grid of the image."
        ),
    ),
    label_kind(
        "labels in 4D",
        lambda p: change(p, lambda v: np.stack([v, v], -1)),
        "$labels: the file is 4D with 2 volumes; store each as a 3D file.",
    ),
    label_kind(
        "labels in 2D",
        lambda p: change(p, lambda v: v[:, :, 3]),
        ("$labels: its size 20x24x1 is not the 20x24x16 of sub-01_T1w.nii.gz; resample it to the grid of the image."),
    ),
    label_kind(
        "fractions",
        lambda p: change(p, lambda v: v * 0.5),
        "$labels: labels are not whole numbers (such as 0.5); store a map of integers.",
    ),
    label_kind(
        "negative labels",
        lambda p: change(p, lambda v: -v.astype(np.int16)),
        "$labels: label values lie outside 0..2147483647; number the labels 0, 1, 2, ... .",
    ),
    label_kind(
        "labels without a name",
        lambda p: change(p, lambda v: v * 3),
        "$labels: the values 3, 6 have no name; add them to the table of names or correct the map.",
    ),
    label_kind(
        "labels above 65535",
        lambda p: change(p, lambda v: v.astype(np.int32) * 70000),
        ("$labels: the values 70000, 140000 have no name; add them to the table of names or correct the map."),
    ),
    label_kind(
        "labels beyond all integers",
        lambda p: change(p, lambda v: v.astype(np.float64) * 1e15),
        "$labels: label values lie outside 0..2147483647; number the labels 0, 1, 2, ... .",
    ),
    label_kind(
        "labels scaled to zero",
        lambda p: patch(p, scl_slope=1e-9, scl_inter=0),
        (
            "$labels: all labels are scaled to almost zero (largest 2e-09); set scl_slope to 1 and "
            "scl_inter to 0, or store whole numbers."
        ),
    ),
    label_kind(
        "NaN in labels",
        lambda p: change(p, with_voxel(np.nan)),
        "$labels: some labels are NaN or infinite; store whole numbers.",
    ),
    label_kind(
        "truncated labels",
        truncate,
        (
            "$labels: the file is damaged, truncated or no image (Compressed file ended before the "
            "end-of-stream marker was reached); restore the file."
        ),
    ),
    label_kind(
        "complex labels",
        lambda p: change(p, lambda v: v.astype(np.complex64)),
        ("$labels: voxels of type complex64 are not numbers; convert the image to one grey value a voxel."),
    ),
    label_kind(
        "empty file of labels",
        replaced(b""),
        (
            "$labels: the file is damaged, truncated or no image (Empty file: "
            "'sub-01_desc-manual_dseg.nii.gz'); restore the file."
        ),
    ),
)

WITHOUT_IMAGE = LABELS[0]
LABELS = (
    Kind(WITHOUT_IMAGE.name, lambda place: place.image().unlink(), WITHOUT_IMAGE.meetings),
    *LABELS[1:],
)
KINDS = (*IMAGES, *LABELS)
