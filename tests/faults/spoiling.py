"""How good files are spoiled: header fields, voxels, bytes and documents."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import numpy.typing as npt

from tests.cli.commands import LABELS
from tests.faults.good_input import Place

Voxels = npt.NDArray[Any]
HEADER = nibabel.Nifti1Header.template_dtype
GOOD_AFFINE = np.diag([-1.0, 1.0, 1.2, 1.0])
ANNEX = ".git/annex/objects/XX/YY/SHA256E-s1--aa.nii.gz/SHA256E-s1--aa.nii.gz"
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 1\n"


def patch(path: Path, **fields: Any) -> None:
    """Overwrite fields of the header of a ``.nii.gz``; a field of several values may be given as {place: value}."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    header = np.frombuffer(bytes(content[: HEADER.itemsize]), HEADER, 1).copy()
    for field, value in fields.items():
        if isinstance(value, dict):
            for place, one in value.items():
                header[0][field][place] = one
        else:
            header[0][field] = value
    content[: HEADER.itemsize] = header.tobytes()
    path.write_bytes(gzip.compress(bytes(content), mtime=0))


def change(
    path: Path, function: Callable[[Voxels], Voxels] = lambda voxels: voxels, affine: Voxels | None = None
) -> None:
    """Replace the voxels, the affine or both."""
    old = nibabel.load(path)
    voxels = function(np.asarray(old.dataobj))
    nibabel.save(nibabel.Nifti1Image(voxels, old.affine if affine is None else affine), path)


def with_voxel(value: float) -> Callable[[Voxels], Voxels]:
    """One voxel set to ``value``, all as float32."""

    def function(voxels: Voxels) -> Voxels:
        voxels = voxels.astype(np.float32)
        voxels[3, 4, 5] = value
        return voxels

    return function


def shifted() -> Voxels:
    """The affine of the good files, 3 mm to one side."""
    affine = GOOD_AFFINE.copy()
    affine[0, 3] = 3
    return affine


def truncate(path: Path) -> None:
    """Cut a file in half."""
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def flip_voxel_of_stored(path: Path) -> None:
    """Pack without compression and change one byte of a voxel: only the checksum can tell."""
    packed = bytearray(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=0, mtime=0))
    packed[len(packed) // 2] ^= 0xFF
    path.write_bytes(packed)


def make_bomb(path: Path, megabytes: int = 4096) -> None:
    """After the good content, as many megabytes of zeros in a thousandth of the bytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(gzip.decompress(path.read_bytes())) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    path.write_bytes(head + start + zeros * megabytes + b"\x03\x00" + struct.pack("<II", 0, 0))


def sparse_giant(path: Path) -> None:
    """A whole uncompressed image of 4.4 TB that takes no room on the disk."""
    header = nibabel.Nifti1Header()
    header.set_data_dtype(np.float64)
    header.set_data_shape((8192, 8192, 8192))
    header.set_sform(GOOD_AFFINE, 1)
    header["pixdim"][1:4] = (1, 1, 1.2)
    header["magic"], header["vox_offset"] = b"n+1", 352
    path.write_bytes(header.binaryblock)
    with path.open("r+b") as file:
        file.truncate(352 + 8192**3 * 8)


def edit_json(path: Path, *changes: tuple[str, Any]) -> None:
    """Set the entries at dotted paths of a JSON document; ``...`` removes one. Numbers index lists."""
    document = json.loads(path.read_text(encoding="utf-8"))
    for place, value in changes:
        *parents, last = (int(part) if part.isdigit() else part for part in place.split("."))
        inner = document
        for parent in parents:
            inner = inner[parent]
        if value is ...:
            del inner[last]
        else:
            inner[last] = value
    path.write_text(json.dumps(document), encoding="utf-8")


def written(name: str, text: str) -> Callable[[Place], object]:
    """A file of the folder with this text."""
    return lambda place: (place.folder / name).write_text(text)


def without(where: Callable[[Place, int], Path]) -> Callable[[Place], None]:
    """Files of all subjects removed."""

    def spoil(place: Place) -> None:
        for number in range(3):
            where(place, number).unlink()

    return spoil


def segmentations(place: Place, table: bool = True, moved: bool = False) -> None:
    """A folder as of a prediction."""
    folder = place.folder / "segmentations"
    folder.mkdir()
    shutil.copy(place.labels(), folder / place.image().name)
    if table:
        shutil.copy(place.site / LABELS / "desc-manual_dseg.tsv", folder / "dseg.tsv")
    else:
        (folder / "dseg.tsv").write_text("index\tlabel\n1\tshell\n")
    if moved:
        change(folder / place.image().name, affine=shifted())
