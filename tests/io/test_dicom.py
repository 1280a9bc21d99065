"""DICOM series, written by SimpleITK from real and made images, come back with the same voxels in the same place."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK

from autoseg.core.errors import BadInput
from autoseg.io.dicom import is_series, series_folders
from autoseg.io.images import count_channels, file_stem, label_file_name, read_geometry, read_image, write_labels
from tests.io.other_formats import as_dicom, canonical


def tilted(flipped: bool = False) -> SimpleITK.Image:
    """6 x 5 x 7 voxels of 0.7 x 0.8 x 3 mm, turned about x; slices against the normal if ``flipped``."""
    image = SimpleITK.GetImageFromArray(np.random.default_rng(0).integers(-90, 900, (7, 5, 6)).astype(np.int16))
    image.SetSpacing((0.7, 0.8, 3.0))
    image.SetOrigin((10.5, -20.25, 31.0))
    cosine, sine, side = np.cos(0.3), np.sin(0.3), -1.0 if flipped else 1.0
    image.SetDirection((1, 0, 0, 0, cosine, -side * sine, 0, sine, side * cosine))
    return image


def test_the_same_volume_as_was_written(tmp_path: Path) -> None:
    series = tmp_path / "scan"
    files = as_dicom(tilted(), series)
    for i, file in enumerate(files):
        if i % 2:
            file.rename(file.with_suffix(""))
    (series / "README").write_text("not DICOM" * 40)
    (series / "notes.txt").write_text("nor this")
    SimpleITK.WriteImage(tilted(), str(tmp_path / "oracle.nii.gz"))
    image, oracle = read_image(series), nibabel.load(tmp_path / "oracle.nii.gz")
    np.testing.assert_array_equal(image.voxels[0], oracle.get_fdata())
    np.testing.assert_allclose(image.affine, oracle.affine, atol=1e-4)
    shape, affine = read_geometry(series)
    assert (shape, count_channels(series)) == ((6, 5, 7), 1)
    np.testing.assert_array_equal(affine, image.affine)
    assert (file_stem(series), label_file_name(series)) == ("scan", "scan.nii.gz")


@pytest.mark.parametrize("flipped", [False, True])
def test_the_series_reader_of_simple_itk_agrees(tmp_path: Path, flipped: bool) -> None:
    as_dicom(tilted(flipped), tmp_path)
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(tmp_path)))
    expected = reader.Execute()
    image = read_image(tmp_path)
    np.testing.assert_array_equal(image.voxels[0], SimpleITK.GetArrayFromImage(expected).T)
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    np.testing.assert_allclose(lps[:3, 3], expected.GetOrigin(), atol=1e-6)
    direction = np.reshape(expected.GetDirection(), (3, 3))
    np.testing.assert_allclose(lps[:3, :3], direction * expected.GetSpacing(), atol=1e-5)


@pytest.mark.parametrize("contrast", ["T2w", "T1w", "T2star"])
def test_real_image(tmp_path: Path, real_data: Path, contrast: str) -> None:
    (path,) = (real_data / "spinal-cord").glob(f"sub-*/anat/*_{contrast}.nii.gz")
    as_dicom(SimpleITK.Cast(SimpleITK.ReadImage(str(path)), SimpleITK.sitkInt16), tmp_path)
    image, oracle = read_image(tmp_path), nibabel.load(path)
    ours, theirs = canonical(image.voxels[0], image.affine), nibabel.as_closest_canonical(oracle)
    np.testing.assert_array_equal(ours.get_fdata(), theirs.get_fdata().astype(np.int16))
    np.testing.assert_allclose(ours.affine, theirs.affine, atol=1e-4)


def test_rescaling(tmp_path: Path) -> None:
    """The stored numbers times the slope plus the intercept, as in computed tomography."""
    image = tilted() * 2 - 1000
    (file, *_) = as_dicom(image, tmp_path, more={"0028|1052": "-1024", "0028|1053": "2"})
    stored = np.frombuffer(file.read_bytes()[-2 * 6 * 5 :], "<i2").reshape(5, 6).T
    voxels = read_image(tmp_path).voxels[0]
    np.testing.assert_array_equal(voxels[:, :, 0], stored * 2.0 - 1024)
    np.testing.assert_array_equal(voxels, SimpleITK.GetArrayFromImage(image).T)


def test_a_tilted_gantry_is_shear(tmp_path: Path) -> None:
    files = as_dicom(tilted(), tmp_path)
    for i, file in enumerate(files):
        plane = SimpleITK.ReadImage(str(file))
        x, y, z = plane.GetOrigin()
        plane.SetMetaData("0020|0032", f"{x + 0.5 * i}\\{y}\\{z}")
        plane.SetOrigin((x + 0.5 * i, y, z))
        writer = SimpleITK.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(file))
        writer.Execute(plane)
    straight = np.array([-3 * 0, 3 * np.sin(0.3), 3 * np.cos(0.3)])
    np.testing.assert_allclose(read_geometry(tmp_path)[1][:3, 2], straight - [0.5, 0, 0], atol=1e-5)


def test_segmentations_are_nifti_on_the_grid_of_the_series(tmp_path: Path) -> None:
    as_dicom(tilted(), tmp_path / "scan")
    labels = np.random.default_rng(1).integers(0, 4, (6, 5, 7))
    write_labels(tmp_path / "scan.nii.gz", labels, like=tmp_path / "scan")
    written = nibabel.load(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(np.asarray(written.dataobj), labels)
    np.testing.assert_allclose(written.affine, read_geometry(tmp_path / "scan")[1], atol=1e-5)


def test_folders(tmp_path: Path) -> None:
    for name in ("b", "a"):
        as_dicom(tilted(), tmp_path / name)
    (tmp_path / "c").mkdir()
    (tmp_path / "c/notes.txt").touch()
    (tmp_path / "README").write_text("DICM")
    (tmp_path / "lost").symlink_to(tmp_path / "nowhere")
    assert [is_series(tmp_path / name) for name in ("a", "c")] == [True, False]
    assert series_folders(tmp_path) == [tmp_path / "a", tmp_path / "b"]
    assert series_folders(tmp_path / "a") == [tmp_path / "a"]
    assert series_folders(tmp_path / "c") == []
    with pytest.raises(BadInput, match="c: holds no DICOM series"):
        read_image(tmp_path / "c")


def test_several_series_are_named(tmp_path: Path) -> None:
    as_dicom(tilted(), tmp_path, 1, "T2w")
    as_dicom(tilted()[:, :, :3], tmp_path, 2, "localizer")
    with pytest.raises(BadInput, match=r"holds 2 DICOM series \(T2w: 7 files, localizer: 3 files\); give each"):
        read_image(tmp_path)


@pytest.mark.parametrize("kept", [0.99, 0.5, 0.02, 0])
@pytest.mark.parametrize("which", [0, 3, 6])
def test_truncated_file(tmp_path: Path, kept: float, which: int) -> None:
    file = as_dicom(tilted(), tmp_path)[which]
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(BadInput, match="damaged, truncated"):
        read_image(tmp_path)


def test_missing_and_repeated_slices(tmp_path: Path) -> None:
    as_dicom(tilted(), tmp_path)[2].unlink()
    with pytest.raises(BadInput, match="slices lie 3 to 6 mm apart; restore the missing files"):
        read_geometry(tmp_path)
    as_dicom(tilted(), tmp_path)
    second = as_dicom(tilted(), tmp_path / "other")[0]
    second.rename(tmp_path / "again.dcm")
    with pytest.raises(BadInput, match="several slices lie at one place"):
        read_geometry(tmp_path)


def test_slices_that_do_not_fit_together(tmp_path: Path) -> None:
    as_dicom(tilted(), tmp_path)
    for file, other, message in (
        ("small.dcm", tilted()[:4], "its size is not that"),
        ("turned.dcm", tilted(flipped=True)[::-1], "is not parallel"),
    ):
        (made,) = as_dicom(other[:, :, :1], tmp_path / "made")
        made.rename(tmp_path / file)
        with pytest.raises(BadInput, match=message):
            read_image(tmp_path)
        (tmp_path / file).unlink()
