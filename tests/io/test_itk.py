"""NRRD, MetaImage and GIPL against SimpleITK's own reading, and against NIfTI read by nibabel."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from autoseg.core.errors import BadInput
from autoseg.io.images import (
    count_channels,
    label_file_name,
    read_geometry,
    read_image,
    read_labels,
    write_labels,
)
from tests.io.other_formats import as_itk

ENDINGS = [".nrrd", ".mha", ".mhd", ".gipl"]


def plane() -> SimpleITK.Image:
    image = SimpleITK.GetImageFromArray(np.random.default_rng(0).integers(0, 300, (5, 6)).astype(np.uint16))
    image.SetSpacing((0.5, 0.75))
    image.SetOrigin((3.0, -4.0))
    image.SetDirection((0, -1, 1, 0))
    return image


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("contrast", ["T2w", "T2star"])
def test_a_real_image_has_the_voxels_and_the_world_of_its_nifti(
    tmp_path: Path, real_data: Path, ending: str, contrast: str
) -> None:
    (path,) = (real_data / "spinal-cord").glob(f"sub-*/anat/*_{contrast}.nii.gz")
    other = as_itk(path, tmp_path / f"a{ending}")
    image, oracle = read_image(other), nibabel.load(path)
    assert image.voxels.dtype == np.float32
    np.testing.assert_array_equal(image.voxels[0], oracle.get_fdata(dtype=np.float32))
    shape, affine = read_geometry(other)
    assert shape == oracle.shape
    np.testing.assert_array_equal(affine, image.affine)
    if ending == ".gipl":  # the format has no orientation
        np.testing.assert_allclose(image.spacing_mm, oracle.header.get_zooms(), rtol=1e-6)
        np.testing.assert_allclose(affine[:3, 3], oracle.affine[:3, 3], atol=1e-4)
    else:
        np.testing.assert_allclose(affine, oracle.affine, atol=1e-5)


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".gipl"])
def test_labels_have_exactly_the_geometry_of_their_image(tmp_path: Path, ending: str) -> None:
    image = SimpleITK.GetImageFromArray(np.zeros((7, 6, 5), np.int16))
    image.SetSpacing((0.1, 1 / 3, 2.7))
    image.SetOrigin((np.pi, -1e3, 1e-5))
    if ending != ".gipl":
        cosine, sine = np.cos(0.3), np.sin(0.3)
        image.SetDirection((1, 0, 0, 0, cosine, -sine, 0, sine, cosine))
    SimpleITK.WriteImage(image, str(tmp_path / f"a{ending}"))
    image = SimpleITK.ReadImage(str(tmp_path / f"a{ending}"))
    labels = np.random.default_rng(0).integers(0, 3, (5, 6, 7))
    write_labels(tmp_path / f"b{ending}", labels, like=tmp_path / f"a{ending}")
    written = SimpleITK.ReadImage(str(tmp_path / f"b{ending}"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(written).T, labels)
    for get in ("GetSpacing", "GetOrigin", "GetDirection"):
        assert getattr(written, get)() == getattr(image, get)()


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])  # SimpleITK writes GIPL as a 3D file of one slice
def test_a_2d_file_is_one_thick_slice_and_its_labels_are_2d(tmp_path: Path, ending: str) -> None:
    original, path = plane(), tmp_path / f"a{ending}"
    SimpleITK.WriteImage(original, str(path))
    image = read_image(path)
    np.testing.assert_array_equal(image.voxels[0, :, :, 0], SimpleITK.GetArrayFromImage(original).T)
    assert image.spacing_mm == pytest.approx((0.5, 0.75, 999 * 0.75))
    corner = original.TransformIndexToPhysicalPoint((5, 4))
    np.testing.assert_allclose(image.affine @ [5, 4, 0, 1], [-corner[0], -corner[1], 0, 1], atol=1e-5)
    labels = tmp_path / label_file_name(path).replace("a", "b", 1)
    write_labels(labels, read_labels(path), like=path)
    written = SimpleITK.ReadImage(str(labels))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(written), SimpleITK.GetArrayFromImage(original))
    assert written.GetSpacing() == original.GetSpacing()
    assert written.GetDirection() == original.GetDirection()


def test_labels_of_a_pair_of_files_go_into_one(tmp_path: Path) -> None:
    assert label_file_name(tmp_path / "a.mhd") == "a.mha"
    assert label_file_name(tmp_path / "a.mha") == "a.mha"


@pytest.mark.parametrize("ending", [".nrrd", ".mha", ".mhd"])
def test_the_values_of_a_voxel_are_channels(tmp_path: Path, ending: str) -> None:
    values = np.random.default_rng(0).normal(size=(7, 6, 5, 2)).astype(np.float32)
    path = tmp_path / f"a{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values, isVector=True), str(path))
    assert count_channels(path) == 2
    image = read_image(path)
    np.testing.assert_array_equal(image.voxels, values.transpose(3, 2, 1, 0))
    with pytest.raises(BadInput, match="each voxel has 2 values, as a colour has"):
        read_labels(path)


def test_more_than_one_volume_and_complex_numbers_are_refused(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.Image((4, 5, 6, 2), SimpleITK.sitkUInt8), str(tmp_path / "a.nrrd"))
    with pytest.raises(BadInput, match="4D with 2 volumes"):
        read_image(tmp_path / "a.nrrd")
    one_volume = SimpleITK.GetImageFromArray(np.full((1, 6, 5, 4), 3, np.uint8), isVector=False)
    SimpleITK.WriteImage(one_volume, str(tmp_path / "b.nrrd"))
    np.testing.assert_array_equal(read_image(tmp_path / "b.nrrd").voxels, np.full((1, 4, 5, 6), 3))
    complex_numbers = SimpleITK.Image((4, 5, 6), SimpleITK.sitkComplexFloat32)
    SimpleITK.WriteImage(complex_numbers, str(tmp_path / "c.nrrd"))
    with pytest.raises(BadInput, match=r"c\.nrrd: "):
        read_image(tmp_path / "c.nrrd")


@pytest.mark.parametrize(
    ("ending", "compressed"), [(".nrrd", True), (".nrrd", False), (".mha", True), (".mha", False), (".gipl", False)]
)
def test_truncated_and_not_finite(tmp_path: Path, ending: str, compressed: bool) -> None:
    values = np.random.default_rng(0).normal(size=(7, 6, 5)).astype(np.float32)
    path = tmp_path / f"a{ending}"
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path), useCompression=compressed)
    content = path.read_bytes()
    for kept in (len(content) - 16, len(content) * 9 // 10, len(content) // 2, 20, 0):
        path.write_bytes(content[:kept])
        with pytest.raises(BadInput, match="truncated"):
            read_image(path)
    values[3, 2, 1] = np.nan
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(values), str(path))
    with pytest.raises(BadInput, match="1 voxels are NaN or infinite"):
        read_image(path)


def test_a_header_without_its_voxels(tmp_path: Path) -> None:
    SimpleITK.WriteImage(plane(), str(tmp_path / "a.mhd"))
    (tmp_path / "a.raw").unlink()
    with pytest.raises(BadInput, match=r"a\.mhd: the file is damaged"):
        read_image(tmp_path / "a.mhd")
