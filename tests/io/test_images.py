"""Images on disk: what is read, what is refused, what is written."""

from __future__ import annotations

from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.io.images import (
    count_channels,
    file_ending,
    file_stem,
    read_channels,
    read_geometry,
    read_image,
    read_label_map,
    read_labels,
    stored_as_integers,
    write_labels,
)

AFFINE = np.array([[0.0, -0.8, 0.0, 10.0], [0.7, 0.0, 0.0, -20.0], [0.0, 0.0, 3.0, 5.0], [0.0, 0.0, 0.0, 1.0]])


def save(path: Path, voxels: npt.NDArray[np.generic], affine: npt.NDArray[np.float64] = AFFINE) -> Path:
    image = nibabel.Nifti1Image(voxels, affine)
    image.set_sform(affine, 1)
    image.set_qform(affine, 1)
    nibabel.save(image, path)
    return path


def with_header(path: Path, **fields: object) -> Path:
    """Change header fields of an uncompressed file byte for byte."""
    header = nibabel.load(path).header.copy()
    header["vox_offset"] = 352  # nibabel forgets it when it loads
    for field, value in fields.items():
        header[field] = value
    content = path.read_bytes()
    path.write_bytes(header.binaryblock + content[len(header.binaryblock) :])
    return path


@pytest.fixture
def voxels() -> npt.NDArray[np.int16]:
    return np.random.default_rng(0).integers(-50, 900, (5, 6, 7)).astype(np.int16)


def test_endings() -> None:
    assert file_stem(Path("a/sub-1_T1w.nii.gz")) == "sub-1_T1w"
    assert [file_ending(Path(f"x.y{ending}")) for ending in (".NII.GZ", ".nii", ".mha")] == [".nii.gz", ".nii", ".mha"]
    with pytest.raises(BadInput, match="no image format"):
        file_ending(Path("x.jpg"))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_nifti_equals_nibabel(tmp_path: Path, voxels: npt.NDArray[np.int16], ending: str) -> None:
    path = save(tmp_path / f"a{ending}", voxels)
    image = read_image(path)
    assert image.voxels.shape == (1, 5, 6, 7)
    assert image.voxels.dtype == np.float32
    np.testing.assert_array_equal(image.voxels[0], voxels)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-6)
    assert read_geometry(path)[0] == (5, 6, 7)


@pytest.mark.parametrize("ending", [".nrrd", ".mha"])
def test_other_formats_have_the_same_world_as_nifti(tmp_path: Path, voxels: npt.NDArray[np.int16], ending: str) -> None:
    nifti = save(tmp_path / "a.nii.gz", voxels)
    other = tmp_path / f"a{ending}"
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(nifti)), str(other))
    image = read_image(other)
    np.testing.assert_array_equal(image.voxels[0], voxels)
    np.testing.assert_allclose(image.affine, AFFINE, atol=1e-5)
    np.testing.assert_allclose(read_geometry(other)[1], AFFINE, atol=1e-5)


def test_scaling_is_applied(tmp_path: Path, voxels: npt.NDArray[np.int16]) -> None:
    path = with_header(save(tmp_path / "a.nii", voxels), scl_slope=0.5, scl_inter=10)
    np.testing.assert_allclose(read_image(path).voxels[0], 0.5 * voxels + 10, rtol=1e-6)
    assert not stored_as_integers(path)


def test_sheared_affine_is_kept(tmp_path: Path, voxels: npt.NDArray[np.int16]) -> None:
    sheared = AFFINE.copy()
    sheared[1, 2] = 0.9
    image = nibabel.Nifti1Image(voxels, sheared)
    nibabel.save(image, tmp_path / "tilt.nii.gz")
    np.testing.assert_allclose(read_image(tmp_path / "tilt.nii.gz").affine, sheared, atol=1e-6)
    write_labels(tmp_path / "labels.nii.gz", np.ones((5, 6, 7), int), like=tmp_path / "tilt.nii.gz")
    np.testing.assert_allclose(read_geometry(tmp_path / "labels.nii.gz")[1], sheared, atol=1e-6)


def test_a_fourth_axis_has_the_channels_of_an_image_and_none_of_a_label_map(
    tmp_path: Path, voxels: npt.NDArray[np.int16]
) -> None:
    one = save(tmp_path / "one.nii.gz", voxels[..., None])
    np.testing.assert_array_equal(read_image(one).voxels[0], voxels)
    np.testing.assert_array_equal(read_labels(save(tmp_path / "l.nii.gz", np.abs(voxels)[..., None])), np.abs(voxels))
    assert not stored_as_integers(one)
    two = save(tmp_path / "two.nii.gz", np.stack([voxels, 2 * voxels], axis=-1))
    assert (count_channels(one), count_channels(two)) == (1, 2)
    np.testing.assert_array_equal(read_image(two).voxels, [voxels, 2 * voxels])
    np.testing.assert_array_equal(read_image(two).affine, read_image(one).affine)
    with pytest.raises(BadInput, match=r"two\.nii\.gz: each voxel has 2 values"):
        read_labels(two)
    write_labels(tmp_path / "found.nii.gz", np.ones(voxels.shape, int), like=two)
    assert nibabel.load(tmp_path / "found.nii.gz").shape == voxels.shape
    vectors = save(tmp_path / "vectors.nii.gz", np.stack([voxels] * 3, axis=-1)[:, :, :, None])  # five axes
    assert read_image(vectors).voxels.shape == (3, *voxels.shape)
    more = save(tmp_path / "more.nii.gz", np.zeros((5, 6, 7, 2, 3), np.int16))
    with pytest.raises(BadInput, match=r"more\.nii\.gz: the image is 5D with 2x3 volumes"):
        read_image(more)


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".mha"])
def test_truncated_file(tmp_path: Path, voxels: npt.NDArray[np.int16], ending: str) -> None:
    path = save(tmp_path / "whole.nii.gz", voxels)
    damaged = tmp_path / f"damaged{ending}"
    if ending == ".mha":
        SimpleITK.WriteImage(SimpleITK.ReadImage(str(path)), str(damaged))
    else:
        save(damaged, voxels)
    content = damaged.read_bytes()
    for kept in (len(content) * 6 // 10, 20, 0):
        damaged.write_bytes(content[:kept])
        with pytest.raises(BadInput, match=r"damaged\..*truncated"):
            read_image(damaged)


def test_garbage_and_missing(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_bytes(b"no image at all" * 40)
    with pytest.raises(BadInput, match="damaged"):
        read_image(tmp_path / "a.nii.gz")
    with pytest.raises(BadInput, match="no such file"):
        read_geometry(tmp_path / "b.nii.gz")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_not_finite(tmp_path: Path, bad: float) -> None:
    voxels = np.ones((4, 4, 4), dtype=np.float32)
    voxels[1, 2, 3] = bad
    path = save(tmp_path / "a.nii.gz", voxels)
    with pytest.raises(BadInput, match="1 voxels are NaN or infinite"):
        read_image(path)
    with pytest.raises(BadInput, match="NaN or infinite"):
        read_labels(path)


def test_pixdim_against_affine(tmp_path: Path, voxels: npt.NDArray[np.int16]) -> None:
    path = save(tmp_path / "a.nii", voxels)
    with_header(path, pixdim=[1, 0.7, 0.8, 3.02, 1, 1, 1, 1])
    assert read_image(path).spacing_mm == tuple(map(float, np.float32([0.7, 0.8, 3.0])))
    with_header(path, pixdim=[1, 0.7, 0.8, 1.0, 1, 1, 1, 1])
    with pytest.raises(BadInput, match=r"pixdim says voxels of 0.7 x 0.8 x 1 mm and the affine says 0.7 x 0.8 x 3 mm"):
        read_image(path)


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz"])
def test_the_voxel_size_is_pixdim_where_an_oblique_affine_rounds(
    name: str, tmp_path: Path, voxels: npt.NDArray[np.int16]
) -> None:
    cos, sin = np.cos(0.3), np.sin(0.3)
    oblique = np.array([[cos, -sin, 0, 0], [sin, cos, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ np.diag([0.7, 0.9, 2.1, 1])
    nibabel.save(nibabel.Nifti1Image(voxels, oblique), tmp_path / name)
    stated = tuple(map(float, nibabel.load(tmp_path / name).header.get_zooms()))
    read = read_image(tmp_path / name)
    assert read.spacing_mm == stated == read_channels([tmp_path / name] * 2).spacing_mm
    assert any(np.linalg.norm(read.affine[:3, :3], axis=0) != stated)


@pytest.mark.parametrize(
    ("row", "message"),
    [([np.nan, 0, 0, 1], "NaN"), ([0, 0, 0, 1], "0 mm|same way"), ([np.inf, 0, 0, 1], "NaN or infinity")],
)
def test_unusable_affine(tmp_path: Path, voxels: npt.NDArray[np.int16], row: list[float], message: str) -> None:
    path = with_header(save(tmp_path / "a.nii", voxels), srow_y=row)
    with pytest.raises(BadInput, match=message):
        read_geometry(path)


def test_channels(tmp_path: Path, voxels: npt.NDArray[np.int16]) -> None:
    first, second = save(tmp_path / "a.nii.gz", voxels), save(tmp_path / "b.nii.gz", voxels + 1)
    image = read_channels([first, second])
    np.testing.assert_array_equal(image.voxels, np.stack([voxels, voxels + 1]))
    moved = AFFINE.copy()
    moved[0, 3] += 0.01  # rounding of a header
    assert read_channels([first, save(tmp_path / "c.nii.gz", voxels, moved)]).shape == (5, 6, 7)
    moved[0, 3] += 1
    with pytest.raises(BadInput, match=r"d\.nii\.gz: its grid lies up to 1.01 mm away from that of .*a\.nii\.gz"):
        read_channels([first, save(tmp_path / "d.nii.gz", voxels, moved)])
    with pytest.raises(BadInput, match="its size 5x6x6 is not the 5x6x7 of"):
        read_channels([first, save(tmp_path / "e.nii.gz", voxels[..., 1:])])


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int64, np.uint64, np.float32, np.float64])
def test_labels_of_any_type(tmp_path: Path, dtype: type[np.generic]) -> None:
    labels = np.arange(60).reshape(3, 4, 5) % 4
    image = nibabel.Nifti1Image(labels.astype(dtype), AFFINE, dtype=dtype)
    nibabel.save(image, tmp_path / "a.nii.gz")
    read = read_labels(tmp_path / "a.nii.gz")
    assert read.dtype == np.int32
    np.testing.assert_array_equal(read, labels)
    assert stored_as_integers(tmp_path / "a.nii.gz") == (np.dtype(dtype).kind in "iu")


def test_labels_tolerance(tmp_path: Path) -> None:
    labels = np.zeros((3, 3, 3), dtype=np.float64)
    labels[0, 0, 0], labels[1, 1, 1] = 2.0004, 0.9997
    read = read_labels(save(tmp_path / "a.nii.gz", labels))
    assert (read[0, 0, 0], read[1, 1, 1]) == (2, 1)
    labels[2, 2, 2] = 0.5
    with pytest.raises(BadInput, match=r"not whole numbers \(such as 0.5\)"):
        read_labels(save(tmp_path / "b.nii.gz", labels))


def test_scaled_labels(tmp_path: Path) -> None:
    stored = (np.arange(27).reshape(3, 3, 3) % 3).astype(np.uint8)
    for slope, name in ((0.0003, "small"), (2.0, "twice")):
        path = save(tmp_path / f"{name}.nii", stored)
        with_header(path, scl_slope=slope, scl_inter=0)
    with pytest.raises(BadInput, match=r"labels are scaled to almost zero .*set scl_slope to 1"):
        read_labels(tmp_path / "small.nii")
    np.testing.assert_array_equal(read_labels(tmp_path / "twice.nii"), 2 * stored)


def test_negative_labels(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"outside 0\.\."):
        read_labels(save(tmp_path / "a.nii.gz", np.full((2, 2, 2), -1, dtype=np.int16)))


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".mha"])
@pytest.mark.parametrize(("highest", "dtype"), [(255, np.uint8), (300, np.uint16)])
def test_write_and_read_back(
    tmp_path: Path, voxels: npt.NDArray[np.int16], ending: str, highest: int, dtype: type[np.generic]
) -> None:
    like = save(tmp_path / "like.nii.gz", voxels)
    labels = np.random.default_rng(1).integers(0, highest + 1, voxels.shape)
    labels[0, 0, 0] = highest
    path = tmp_path / f"labels{ending}"
    write_labels(path, labels, like)
    np.testing.assert_array_equal(read_labels(path), labels)
    np.testing.assert_allclose(read_geometry(path)[1], AFFINE, atol=1e-5)
    stored = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(path)))
    assert stored.dtype == dtype
    np.testing.assert_array_equal(stored.transpose(2, 1, 0), labels)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted(["like.nii.gz", path.name])


def test_header_is_copied_bit_for_bit(tmp_path: Path, voxels: npt.NDArray[np.int16]) -> None:
    image = nibabel.Nifti1Image(voxels, AFFINE)
    image.set_sform(AFFINE, 4)
    image.set_qform(AFFINE, 2)
    image.header.set_xyzt_units("mm", "sec")
    image.header.set_slope_inter(3.0, 1.0)
    nibabel.save(image, tmp_path / "like.nii.gz")
    write_labels(tmp_path / "labels.nii.gz", np.abs(voxels) % 3, tmp_path / "like.nii.gz")
    old, new = (nibabel.load(tmp_path / name).header for name in ("like.nii.gz", "labels.nii.gz"))
    for field in ("sform_code", "qform_code", "srow_x", "srow_y", "srow_z", "quatern_b", "qoffset_x", "xyzt_units"):
        np.testing.assert_array_equal(old[field], new[field], err_msg=field)
    np.testing.assert_array_equal(old["pixdim"][:4], new["pixdim"][:4])
    assert new.get_slope_inter() in ((1.0, 0.0), (None, None))


def test_labels_that_cannot_be_written(tmp_path: Path, voxels: npt.NDArray[np.int16]) -> None:
    like = save(tmp_path / "like.nii.gz", voxels)
    with pytest.raises(BadInput, match="cannot lie on the grid"):
        write_labels(tmp_path / "a.nii.gz", np.zeros((5, 6, 8), int), like)
    with pytest.raises(BadInput, match="do not fit"):
        write_labels(tmp_path / "a.nii.gz", np.full(voxels.shape, 70000), like)
    with pytest.raises(BadInput, match=r"a\.mhd: .*write \.mha"):
        write_labels(tmp_path / "a.mhd", np.zeros(voxels.shape, int), like)
    with pytest.raises(BadInput, match="no image format"):
        write_labels(tmp_path / "a.jpg", np.zeros(voxels.shape, int), like)
    with pytest.raises(BadInput, match="7 slices do not fit into a PNG"):
        write_labels(tmp_path / "a.png", np.zeros(voxels.shape, int), like)
    assert [path.name for path in tmp_path.iterdir()] == ["like.nii.gz"]


def test_real_images(real_data: Path) -> None:
    paths = sorted((real_data / "spinal-cord").rglob("*.nii.gz"))
    assert len(paths) == 7
    for path in paths:
        image, reference = read_image(path), nibabel.load(path)
        np.testing.assert_array_equal(image.voxels[0], reference.get_fdata().astype(np.float32))
        np.testing.assert_array_equal(image.affine, reference.affine)


@pytest.mark.parametrize("ending", [".nii.gz", ".nrrd", ".mha"])
def test_labels_of_an_image_from_memory_lie_where_it_does(tmp_path, ending):
    affine = np.array([[0, -2.0, 0, 5], [1.5, 0, 0, -7], [0, 0, 3, 11], [0, 0, 0, 1]])
    labels = np.arange(60).reshape(3, 4, 5) % 3
    write_labels(tmp_path / f"labels{ending}", labels, like=Image(np.zeros((2, 3, 4, 5)), affine))
    found, where = read_label_map(tmp_path / f"labels{ending}")
    np.testing.assert_array_equal(found, labels)
    np.testing.assert_allclose(where, affine, atol=1e-6)
    with pytest.raises(BadInput, match="cannot lie on the grid"):
        write_labels(tmp_path / f"labels{ending}", labels, like=Image(np.zeros((1, 3, 4, 6)), affine))
