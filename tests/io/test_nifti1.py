"""Plain files against nibabel; unusual ones are left to it."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest

from autoseg.io import nifti1
from autoseg.io.nifti1 import read_plain

AFFINE = np.array([[0.1, -0.8, 0.0, 10.0], [0.7, 0.0, 0.2, -20.0], [0.0, 0.3, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])


def plain_image(dtype: type[np.generic] = np.int16) -> nibabel.Nifti1Image:
    voxels = np.random.default_rng(0).integers(0, 100, (5, 6, 7)).astype(dtype)
    image = nibabel.Nifti1Image(voxels, AFFINE)
    image.set_sform(AFFINE, 1)
    return image


def changed(path: Path, **fields: object) -> Path:
    """Overwrite header fields of an uncompressed file."""
    content = path.read_bytes()
    header = np.frombuffer(content[:348], nibabel.Nifti1Header.template_dtype).copy()
    for field, value in fields.items():
        header[field] = value
    path.write_bytes(header.tobytes() + content[348:])
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    nibabel.save(plain_image(), tmp_path / "a.nii")
    return tmp_path / "a.nii"


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
@pytest.mark.parametrize("name", ["uint8", "int16", "int32", "float32", "float64", "int8", "uint16", "uint32"])
def test_plain_files_equal_nibabel(tmp_path: Path, ending: str, name: str) -> None:
    file = tmp_path / f"a{ending}"
    nibabel.save(plain_image(np.dtype(name).type), file)
    plain, expected = read_plain(file), nibabel.load(file)
    assert plain is not None
    assert plain.voxels.dtype == expected.get_data_dtype()
    np.testing.assert_array_equal(plain.voxels, np.asanyarray(expected.dataobj))
    np.testing.assert_array_equal(plain.affine, expected.affine)
    np.testing.assert_array_equal(plain.pixdim_mm, np.asarray(expected.header.get_zooms(), np.float64))


@pytest.mark.parametrize(
    "fields",
    [
        {"scl_slope": 2},
        {"scl_slope": 1, "scl_inter": 3},
        {"sform_code": 0},
        {"sform_code": 9},
        {"qform_code": -1},
        {"datatype": 32},
        {"bitpix": 32},
        {"vox_offset": 353},
        {"vox_offset": 0},
        {"vox_offset": np.nan},
        {"magic": b"ni1"},
        {"sizeof_hdr": 540},
        {"dim": [3, 5, 6, 0, 1, 1, 1, 1]},
        {"dim": [3, 5, 6, 700, 1, 1, 1, 1]},
        {"dim": [4, 5, 6, 7, 1, 1, 1, 1]},
        {"pixdim": [1, -1, 1, 1, 1, 1, 1, 1]},
        {"pixdim": [0, 1, 1, 1, 1, 1, 1, 1]},
        {"pixdim": [1, 1, np.nan, 1, 1, 1, 1, 1]},
    ],
)
def test_unusual_headers_are_left_to_nibabel(path: Path, fields: dict[str, object]) -> None:
    assert read_plain(path) is not None
    assert read_plain(changed(path, **fields)) is None


def test_files_of_another_kind_are_left_to_nibabel(path: Path, tmp_path: Path) -> None:
    content, packed = path.read_bytes(), tmp_path / "b.nii.gz"
    for bad in (content, gzip.compress(content)[:-9], gzip.compress(content) + b"more", gzip.compress(content[:300])):
        packed.write_bytes(bad)
        assert read_plain(packed) is None
    packed.write_bytes(gzip.compress(content[:400]) + gzip.compress(content[400:]))
    assert read_plain(packed) is None
    nibabel.save(plain_image(), path)
    swapped = nibabel.Nifti1Image(np.zeros((2, 2, 2), np.int16), AFFINE, nibabel.Nifti1Header(endianness=">"))
    nibabel.save(swapped, tmp_path / "swapped.nii")
    assert read_plain(tmp_path / "swapped.nii") is None
    nibabel.save(nibabel.Nifti2Image(np.zeros((2, 2, 2), np.int16), AFFINE), tmp_path / "second.nii")
    assert read_plain(tmp_path / "second.nii") is None


def test_large_files_are_left_to_nibabel(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    packed = tmp_path / "zeros.nii.gz"
    nibabel.save(nibabel.Nifti1Image(np.zeros((30, 30, 30), np.int16), AFFINE), packed)
    monkeypatch.setattr(nifti1, "SMALL_FILE_BYTES", 500)
    assert packed.stat().st_size < 500
    assert read_plain(packed) is None
    assert read_plain(path) is None


def test_real_images_are_plain(real_data: Path) -> None:
    for file in sorted((real_data / "hippocampus-a").rglob("*.nii.gz"))[:6]:
        plain, expected = read_plain(file), nibabel.load(file)
        assert plain is not None
        np.testing.assert_array_equal(plain.voxels, np.asanyarray(expected.dataobj))
        np.testing.assert_array_equal(plain.affine, expected.affine)
