"""Synthetic data of any size: many tiny cases in BIDS, or one large volume as a dataset of a workspace."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

TINY = (12, 12, 8)
DIFFERENT = 32  # tiny volumes that differ; the others repeat them under other names
SLICES_AT_A_TIME = 16


def tiny_bids(root: Path, num_cases: int) -> None:
    """``num_cases`` subjects with a T1w image of ``TINY`` voxels and a label map of two structures."""
    import nibabel

    generator = np.random.default_rng(0)
    contents = []
    for _ in range(DIFFERENT):
        labels = np.zeros(TINY, np.uint8)
        x, y, z = generator.integers(1, 4, 3)
        labels[x : x + 6, y : y + 6, z : z + 4] = 1
        labels[x + 2 : x + 4, y + 2 : y + 4, z + 1 : z + 3] = 2
        image = (20 + 60 * labels + generator.integers(0, 16, TINY)).astype(np.uint8)
        pair = (nibabel.Nifti1Image(voxels, np.eye(4)) for voxels in (image, labels))
        contents.append([gzip.compress(one.to_bytes(), 1, mtime=0) for one in pair])
    derivatives = root / "derivatives" / "labels"
    for number in range(num_cases):
        subject = f"sub-{number:06d}"
        names = ((root, "T1w"), (derivatives, "desc-manual_dseg"))
        for (folder, name), content in zip(names, contents[number % DIFFERENT], strict=True):
            path = folder / subject / "anat" / f"{subject}_{name}.nii.gz"
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
    (root / "dataset_description.json").write_text('{"Name": "tiny", "BIDSVersion": "1.9.0"}')
    (derivatives / "desc-manual_dseg.tsv").write_text("index\tname\n1\tshell\n2\tcore\n")


def volume_dataset(folder: Path, shape: Sequence[int], num_classes: int, spacing_mm: float, name: str) -> None:
    """A raw dataset of one CT-like case of ``shape`` ``(X, Y, Z)``, int16, and its label map."""
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    write_volume(folder / "imagesTr" / "case_0000.nii.gz", shape, spacing_mm, np.int16, num_classes)
    write_volume(folder / "labelsTr" / "case.nii.gz", shape, spacing_mm, np.uint8, num_classes)
    values = {"background": 0, **{f"organ{value}": value for value in range(1, num_classes)}}
    document = {"channel_names": {"0": "CT"}, "labels": values, "numTraining": 1, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps({"name": name, **document}), encoding="utf-8")
    (folder / "cases.tsv").write_text(
        "case\tdomain\tsource\tsubject\tgroup\tsession\ncase\tone\t/synthetic\tsub-1\t\t\n", encoding="utf-8"
    )


def write_volume(path: Path, shape: Sequence[int], spacing_mm: float, kind: type[Any], num_classes: int) -> None:
    """Some slices at a time, as the file holds them: x fastest. The image where ``kind`` is int16, else the labels."""
    import nibabel

    header = nibabel.Nifti1Header()
    header.set_data_shape(tuple(shape))
    header.set_data_dtype(kind)
    affine = np.diag((spacing_mm, spacing_mm, spacing_mm, 1.0))
    header.set_sform(affine, 1)
    header.set_qform(affine, 1)
    header.set_xyzt_units("mm")
    header.set_slope_inter(1, 0)
    header["vox_offset"], header["magic"] = 352, b"n+1"
    with path.open("wb") as file, gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
        packed.write(header.binaryblock + bytes(4))
        for labels, noise in slices(shape, num_classes):
            voxels = labels if kind is np.uint8 else np.where(labels < 0, -1000, 40 * labels) + noise
            packed.write(np.maximum(voxels, 0 if kind is np.uint8 else -1024).astype(kind).tobytes(order="F"))


def slices(shape: Sequence[int], num_classes: int) -> Iterator[tuple[npt.NDArray[np.int16], npt.NDArray[np.int16]]]:
    """Labels ``(X, Y, some)``, -1 outside the body, and noise: an ellipsoid with the organs as shells in its middle."""
    generator = np.random.default_rng(0)
    x, y, z = (np.linspace(-1, 1, size, dtype=np.float32) for size in shape)
    plane = x[:, None] ** 2 + y[None, :] ** 2
    for start in range(0, shape[2], SLICES_AT_A_TIME):
        distance = np.sqrt(plane[..., None] + z[start : start + SLICES_AT_A_TIME] ** 2)
        labels = np.clip(np.ceil((0.5 - distance) * 2 * (num_classes - 1)), 0, num_classes - 1).astype(np.int16)
        labels[distance > 0.95] = -1
        yield labels, generator.integers(-10, 10, labels.shape, np.int16) * np.int16(num_classes > 0)
