"""TIFF, written by tifffile, Pillow and SimpleITK."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
import tifffile
from PIL import Image

from autoseg.core.errors import BadInput
from autoseg.io.images import (
    count_channels,
    files_of,
    read_channels,
    read_geometry,
    read_image,
    read_labels,
    write_labels,
)
from tests.io.other_formats import as_tiff, canonical


def stack(dtype: type[np.generic] = np.uint16, *shape: int) -> npt.NDArray[np.generic]:
    return (np.random.default_rng(0).random(shape or (4, 50, 60)) * 100).astype(dtype)


def by_pillow(path: Path, slices: npt.NDArray[np.generic], compression: str) -> Path:
    first, *others = [Image.fromarray(each) for each in slices]
    first.save(path, save_all=True, append_images=others, compression=compression)
    return path


@pytest.mark.parametrize("contrast", ["T2w", "T2star"])
def test_a_real_image_has_the_voxels_and_spacing_of_its_nifti(tmp_path: Path, real_data: Path, contrast: str) -> None:
    (path,) = (real_data / "spinal-cord").glob(f"sub-*/anat/*_{contrast}.nii.gz")
    image, oracle = read_image(as_tiff(path, tmp_path / "case_0000.tif")), nibabel.load(path)
    np.testing.assert_array_equal(image.voxels[0], oracle.get_fdata(dtype=np.float32))
    np.testing.assert_allclose(image.spacing_mm, oracle.header.get_zooms(), rtol=1e-6)


def test_the_affine_is_that_of_a_nifti_without_rotation_and_origin(tmp_path: Path) -> None:
    affine = np.diag([-0.5, -0.7, 3.0, 1.0])
    nibabel.save(nibabel.Nifti1Image(stack(np.int16, 7, 6, 5), affine), tmp_path / "a.nii")
    image = read_image(as_tiff(tmp_path / "a.nii", tmp_path / "a.tiff"))
    np.testing.assert_allclose(image.affine, affine, atol=1e-6)
    expected = canonical(nibabel.load(tmp_path / "a.nii").get_fdata(), affine)
    np.testing.assert_array_equal(canonical(image.voxels[0], image.affine).get_fdata(), expected.get_fdata())


@pytest.mark.parametrize("name", ["uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "float64"])
def test_every_type_of_number(tmp_path: Path, name: str) -> None:
    stored = stack(np.dtype(name).type)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").voxels[0], stored.astype(np.float32).T)
    if np.dtype(name).kind in "iu":
        np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), stored.T)


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "packbits", "tiff_adobe_deflate"])
def test_compressions_of_pillow(tmp_path: Path, compression: str) -> None:
    path = by_pillow(tmp_path / "a.tif", stack(), compression)
    np.testing.assert_array_equal(read_image(path).voxels[0], stack().T)
    np.testing.assert_array_equal(read_labels(path), stack().T)


def test_stacks_of_simple_itk_and_imagej(tmp_path: Path) -> None:
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(stack()), str(tmp_path / "a.tif"))
    tifffile.imwrite(tmp_path / "b.tif", stack(), imagej=True, metadata={"axes": "ZYX", "spacing": 3.0})
    for name in ("a.tif", "b.tif"):
        image = read_image(tmp_path / name)
        np.testing.assert_array_equal(image.voxels[0], stack().T)
        assert image.spacing_mm == (1, 1, 1)  # as in nnU-Net, which does not read the tags


def test_a_2d_image_has_the_grid_of_a_picture_and_no_sidecar(tmp_path: Path) -> None:
    for name, stored in (("grey", stack(np.uint16, 5, 7)), ("rgb", stack(np.uint8, 5, 7, 3))):
        path = tmp_path / f"{name}.tif"
        tifffile.imwrite(path, stored, photometric="rgb" if name == "rgb" else "minisblack")
        (tmp_path / f"{name}.json").write_text('{"spacing": [5, 5, 5]}')
        image = read_image(path)
        np.testing.assert_array_equal(image.voxels[..., 0], stored.reshape(5, 7, -1).transpose(2, 1, 0))
        assert image.spacing_mm == (1, 1, 999)
        assert count_channels(path) == len(image.voxels)
    write_labels(tmp_path / "labels.tif", np.ones((7, 5, 1), int), like=tmp_path / "rgb.tif")
    assert tifffile.imread(tmp_path / "labels.tif").shape == (5, 7)
    assert not (tmp_path / "labels.json").exists()
    with pytest.raises(BadInput, match="each voxel has 3 values"):
        read_labels(tmp_path / "rgb.tif")


def test_a_stack_of_colours(tmp_path: Path) -> None:
    stored = stack(np.uint8, 4, 5, 6, 3)
    tifffile.imwrite(tmp_path / "a.tif", stored, photometric="rgb")
    np.testing.assert_array_equal(read_image(tmp_path / "a.tif").voxels, stored.transpose(3, 2, 1, 0))
    assert read_geometry(tmp_path / "a.tif")[0] == (6, 5, 4)


@pytest.mark.filterwarnings("ignore:.*are stored as RGB:DeprecationWarning")
def test_three_slices_that_tifffile_declares_to_be_colours(tmp_path: Path) -> None:
    """nnU-Net writes label maps with tifffile's defaults, and reads this file as three slices."""
    tifffile.imwrite(tmp_path / "a.tif", stack(np.uint8, 3, 50, 60), compression="zlib")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.tif"), stack(np.uint8, 3, 50, 60).T)


@pytest.mark.parametrize("highest", [255, 256])
@pytest.mark.parametrize("slices", [1, 3, 4])
def test_labels_keep_values_and_spacing(tmp_path: Path, highest: int, slices: int) -> None:
    tifffile.imwrite(tmp_path / "case_0000.tif", stack(np.uint8, slices, 5, 7), photometric="minisblack")
    (tmp_path / "case.json").write_text('{"spacing": [3, 0.7, 0.5]}')
    labels = np.random.default_rng(0).integers(0, highest + 1, (7, 5, slices))
    labels[0, 0, 0] = highest
    (tmp_path / "out").mkdir()
    path = tmp_path / "out/case.tif"
    write_labels(path, labels, like=tmp_path / "case_0000.tif")
    written = tifffile.imread(path)
    assert written.dtype == (np.uint8 if highest < 256 else np.uint16)
    np.testing.assert_array_equal(written, labels.T)
    np.testing.assert_allclose(json.loads((tmp_path / "out/case.json").read_text())["spacing"], [3, 0.7, 0.5])
    assert sorted(file.name for file in (tmp_path / "out").iterdir()) == ["case.json", "case.tif"]
    np.testing.assert_array_equal(read_labels(path), labels)
    np.testing.assert_array_equal(read_geometry(path)[1], read_geometry(tmp_path / "case_0000.tif")[1])


def test_the_sidecar_is_for_all_channels_and_counts_as_a_file_of_the_image(tmp_path: Path) -> None:
    for channel in (0, 1):
        tifffile.imwrite(tmp_path / f"case_000{channel}.tif", stack(), photometric="minisblack")
    paths = [tmp_path / "case_0000.tif", tmp_path / "case_0001.tif"]
    assert files_of(paths[1]) == [paths[1]]
    (tmp_path / "case.json").write_text('{"spacing": [3, 0.7, 0.5]}')
    assert read_channels(paths).spacing_mm == (0.5, 0.7, 3)
    assert files_of(paths[1]) == [paths[1], tmp_path / "case.json"]
    assert files_of(tmp_path / "a.nii.gz") == [tmp_path / "a.nii.gz"]


@pytest.mark.parametrize(
    "text",
    ["{", "[]", "{}", '{"spacing": 3}', '{"spacing": [1, 1]}', '{"spacing": [1, 0, 1]}', '{"spacing": [1, 1, NaN]}'],
)
def test_a_sidecar_without_voxel_size(tmp_path: Path, text: str) -> None:
    tifffile.imwrite(tmp_path / "a.tif", stack(), photometric="minisblack")
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(BadInput, match=r"a\.json: does not give the voxel size of a\.tif"):
        read_geometry(tmp_path / "a.tif")


@pytest.mark.parametrize("compression", ["raw", "tiff_lzw", "tiff_adobe_deflate"])
def test_truncated(tmp_path: Path, compression: str) -> None:
    path = by_pillow(tmp_path / "a.tif", stack(), compression)
    content = path.read_bytes()
    for kept in range(0, len(content) - 8, 59):
        path.write_bytes(content[:kept])
        with pytest.raises(BadInput, match="truncated"):
            read_image(path)


def test_damaged_bytes_end_in_a_sentence_or_an_image(tmp_path: Path) -> None:
    path, random = tmp_path / "a.tif", np.random.default_rng(0)
    tifffile.imwrite(path, stack(), photometric="minisblack", compression="zlib")
    content = path.read_bytes()
    refused = 0
    for _ in range(100):
        damaged = bytearray(content)
        for place in [*random.integers(0, len(content), 3), *random.integers(0, 400, 2)]:
            damaged[place] ^= 0x55
        path.write_bytes(bytes(damaged))
        try:
            read_image(path)
        except BadInput:
            refused += 1
    assert refused > 50


def test_not_finite_and_not_numbers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", np.full((3, 4, 5), np.nan, np.float32), photometric="minisblack")
    with pytest.raises(BadInput, match="60 voxels are NaN or infinite"):
        read_image(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", np.ones((3, 4, 5), np.complex64), photometric="minisblack")
    with pytest.raises(BadInput, match="voxels of type complex64 are not numbers"):
        read_image(tmp_path / "b.tif")


def test_images_of_different_kinds_in_one_file(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(stack(np.uint8, 5, 7))
        writer.write(stack(np.uint8, 9, 9))
    with pytest.raises(BadInput, match="holds 2 images of different kinds"):
        read_image(tmp_path / "a.tif")
    tifffile.imwrite(tmp_path / "b.tif", stack(np.uint8, 2, 3, 5, 7), photometric="minisblack")
    with pytest.raises(BadInput, match="4D"):
        read_image(tmp_path / "b.tif")


@pytest.mark.parametrize("bigtiff", [False, True])
def test_a_list_of_pages_without_end(tmp_path: Path, bigtiff: bool) -> None:
    """The last page names the second one as the next."""
    path = tmp_path / "a.tif"
    with tifffile.TiffWriter(path, bigtiff=bigtiff) as writer:
        for number in range(3):
            writer.write(np.full((4, 5), number, np.uint8), contiguous=False, metadata=None)
    assert read_image(path).shape == (5, 4, 3)
    with tifffile.TiffFile(path) as file:
        offsets, size = [page.offset for page in file.pages], file.tiff.offsetsize
        end = offsets[2] + file.tiff.tagnosize + len(file.pages[2].tags) * file.tiff.tagsize
    content = bytearray(path.read_bytes())
    content[end : end + size] = offsets[1].to_bytes(size, "little")
    path.write_bytes(content)
    with pytest.raises(BadInput, match="its list of pages has no end"):
        read_image(path)
