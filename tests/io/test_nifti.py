"""NIfTI: what is not already tested through ``autoseg.io.images``."""

from __future__ import annotations

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from autoseg.core.errors import BadInput
from autoseg.io.images import read_geometry, read_image, read_labels, write_labels
from autoseg.io.nifti import is_nifti, write_volumes


def test_names() -> None:
    assert [is_nifti(Path(name)) for name in ("a.nii", "a.NII.GZ", "a.mha", "nii")] == [True, True, False, False]


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_a_2d_file_is_one_thick_slice_and_its_labels_are_2d(tmp_path: Path, ending: str) -> None:
    plane = SimpleITK.GetImageFromArray(np.random.default_rng(0).integers(0, 4, (5, 6)).astype(np.uint8))
    plane.SetSpacing((0.5, 0.75))
    plane.SetOrigin((3.0, -4.0))
    path = tmp_path / f"a{ending}"
    SimpleITK.WriteImage(plane, str(path))
    image = read_image(path)
    np.testing.assert_array_equal(image.voxels[0, :, :, 0], SimpleITK.GetArrayFromImage(plane).T)
    np.testing.assert_allclose(image.affine[:3, :2], [[-0.5, 0], [0, -0.75], [0, 0]], atol=1e-6)
    np.testing.assert_allclose(image.affine[:3, 3], [-3, 4, 0], atol=1e-6)
    assert image.spacing_mm == pytest.approx((0.5, 0.75, 999 * 0.75))
    write_labels(tmp_path / f"b{ending}", read_labels(path), like=path)
    written = SimpleITK.ReadImage(str(tmp_path / f"b{ending}"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(written), SimpleITK.GetArrayFromImage(plane))
    assert (written.GetSpacing(), written.GetOrigin()) == (plane.GetSpacing(), plane.GetOrigin())


def test_one_slice_of_a_3d_file_keeps_its_thickness(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Image(np.ones((4, 5, 1), np.uint8), np.diag([1, 1, 5, 1])), tmp_path / "a.nii")
    shape, affine = read_geometry(tmp_path / "a.nii")
    assert (shape, affine[2, 2]) == ((4, 5, 1), 5)


def test_volumes_become_files_with_the_same_numbers_scaling_and_geometry(tmp_path: Path) -> None:
    stored = np.random.default_rng(0).integers(-900, 900, (4, 5, 6, 3)).astype(np.int16)
    affine = np.array([[0.0, -2, 0, 7], [1.5, 0, 0, -3], [0, 0, 3, 4], [0, 0, 0, 1]])
    whole = nibabel.Nifti1Image(stored, affine)
    whole.header.set_slope_inter(0.25, -10)
    whole.header.set_xyzt_units("mm", "sec")
    nibabel.save(whole, tmp_path / "a.nii.gz")
    targets = [tmp_path / f"{number}.nii" for number in range(3)]
    write_volumes(tmp_path / "a.nii.gz", targets)
    joint = read_image(tmp_path / "a.nii.gz")
    np.testing.assert_allclose(joint.voxels, np.moveaxis(stored, -1, 0) * 0.25 - 10, rtol=1e-6)
    for number, target in enumerate(targets):
        written = nibabel.load(target)
        assert (written.shape, written.get_data_dtype(), written.dataobj.slope) == ((4, 5, 6), np.int16, 0.25)
        np.testing.assert_array_equal(written.dataobj.get_unscaled(), stored[..., number])
        np.testing.assert_array_equal(read_image(target).voxels[0], joint.voxels[number])
        np.testing.assert_array_equal(read_image(target).affine, joint.affine)
        image = SimpleITK.ReadImage(str(target))
        assert (image.GetSpacing(), image.GetDimension()) == ((1.5, 2, 3), 3)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("labels", [False, True])
def test_a_changed_byte_is_told_by_the_checksum(tmp_path: Path, scaled: bool, labels: bool) -> None:
    image = nibabel.Nifti1Image(np.zeros((9, 9, 9), np.int16), np.eye(4))
    image.header.set_slope_inter(*((2, 1) if scaled else (1, 0)))
    packed = bytearray(gzip.compress(image.to_bytes(), compresslevel=0))
    path = tmp_path / "a.nii.gz"
    path.write_bytes(packed)
    read = read_labels if labels else read_image
    read(path)
    packed[len(packed) // 2] ^= 1
    path.write_bytes(packed)
    with pytest.raises(BadInput, match="CRC check failed"):
        read(path)


def test_no_more_is_unpacked_than_the_header_states(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    image = nibabel.Nifti1Image(np.zeros((64, 64, 64), np.uint8), np.eye(4))
    path = tmp_path / "a.nii.gz"
    path.write_bytes(gzip.compress(image.to_bytes() + bytes(2**26)))
    unpacked = []
    read = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int | None = -1) -> bytes:
        content = read(self, size)
        unpacked.append(len(content))
        return content

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(BadInput, match="states 262496 bytes and the file holds more"):
        read_image(path)
    assert sum(unpacked) < 4 * 262496
