"""PNG and BMP, written by imageio and SimpleITK."""

from __future__ import annotations

from pathlib import Path

import imageio.v3
import numpy as np
import numpy.typing as npt
import pytest
import SimpleITK
from PIL import Image

from autoseg.core.errors import BadInput
from autoseg.io.images import count_channels, read_geometry, read_image, read_labels, write_labels

COLOURS = np.array([[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0]], np.uint8)  # of Pascal VOC


def pixels(*shape: int, dtype: type[np.generic] = np.uint8) -> npt.NDArray[np.generic]:
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, endpoint=True).astype(dtype)


def palette(path: Path, indices: npt.NDArray[np.generic]) -> Path:
    picture = Image.fromarray(indices.astype(np.uint8)).convert("P")
    picture.putdata(indices.ravel().tolist())
    picture.putpalette(COLOURS.ravel().tolist())
    picture.save(path)
    return path


@pytest.mark.parametrize(
    ("name", "stored"),
    [
        ("a.png", pixels(5, 7)),
        ("a.PNG", pixels(5, 7)),
        ("a.png", pixels(5, 7, dtype=np.uint16)),
        ("a.bmp", pixels(5, 7)),
        ("a.png", pixels(5, 7, 3)),
        ("a.bmp", pixels(5, 7, 3)),
        ("a.png", pixels(5, 7, 4)),
    ],
)
def test_pictures_of_imageio(tmp_path: Path, name: str, stored: npt.NDArray[np.generic]) -> None:
    """Columns are the first axis and rows the second; the grid is nnU-Net's (999, 1, 1) for (z, y, x)."""
    path = tmp_path / name
    imageio.v3.imwrite(path, stored, extension=path.suffix.lower())
    image = read_image(path)
    channels = 1 if stored.ndim == 2 else stored.shape[2]
    np.testing.assert_array_equal(image.voxels[..., 0], stored.reshape(5, 7, channels).transpose(2, 1, 0))
    assert (count_channels(path), read_geometry(path)[0]) == (channels, (7, 5, 1))
    assert image.spacing_mm == (1, 1, 999)
    assert image.voxels.flags.c_contiguous or channels == 1
    if channels == 1:
        np.testing.assert_array_equal(read_labels(path)[..., 0], stored.T)


def test_a_picture_lies_where_simple_itk_places_it(tmp_path: Path) -> None:
    imageio.v3.imwrite(tmp_path / "a.png", pixels(5, 7))
    SimpleITK.WriteImage(SimpleITK.ReadImage(str(tmp_path / "a.png")), str(tmp_path / "a.nii"))
    picture, nifti = read_image(tmp_path / "a.png"), read_image(tmp_path / "a.nii")
    np.testing.assert_array_equal(picture.voxels, nifti.voxels)
    np.testing.assert_array_equal(picture.affine, nifti.affine)


def test_colours_of_16_bits_are_not_cut(tmp_path: Path) -> None:
    stored = pixels(5, 7, 3, dtype=np.uint16)
    SimpleITK.WriteImage(SimpleITK.GetImageFromArray(stored, isVector=True), str(tmp_path / "a.png"))
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").voxels[..., 0], stored.transpose(2, 1, 0))


@pytest.mark.parametrize("ending", [".png", ".bmp"])
def test_a_palette_is_labels_by_its_indices_and_an_image_by_its_colours(tmp_path: Path, ending: str) -> None:
    indices = pixels(5, 7) % 4
    path = palette(tmp_path / f"a{ending}", indices)
    np.testing.assert_array_equal(read_labels(path)[..., 0], indices.T)
    assert count_channels(path) == 3
    np.testing.assert_array_equal(read_image(path).voxels[..., 0], COLOURS[indices].transpose(2, 1, 0))


def test_a_mask_of_one_bit(tmp_path: Path) -> None:
    mask = pixels(5, 7) > 99
    Image.fromarray(mask).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_labels(tmp_path / "a.png")[..., 0], mask.T)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png").voxels[0, ..., 0], mask.T)


@pytest.mark.parametrize(("ending", "highest"), [(".png", 255), (".png", 256), (".bmp", 255)])
def test_labels_keep_their_values(tmp_path: Path, ending: str, highest: int) -> None:
    like = tmp_path / f"like{ending}"
    imageio.v3.imwrite(like, pixels(5, 7, 3))
    labels = np.random.default_rng(0).integers(0, highest + 1, (7, 5, 1))
    labels[0, 0, 0] = highest
    write_labels(tmp_path / f"a{ending}", labels, like)
    written = imageio.v3.imread(tmp_path / f"a{ending}")
    assert written.dtype == (np.uint8 if highest < 256 else np.uint16)
    np.testing.assert_array_equal(written, labels[..., 0].T)
    np.testing.assert_array_equal(read_labels(tmp_path / f"a{ending}"), labels)


def test_what_does_not_fit(tmp_path: Path) -> None:
    path = tmp_path / "a.bmp"
    imageio.v3.imwrite(path, pixels(5, 7, 3))
    with pytest.raises(BadInput, match=r"a\.bmp: each voxel has 3 values, as a colour has; store the number"):
        read_labels(path)
    with pytest.raises(BadInput, match="BMP holds labels up to 255"):
        write_labels(tmp_path / "b.bmp", np.full((7, 5, 1), 256), like=path)
    Image.fromarray(pixels(5, 7)).save(path, format="GIF")
    with pytest.raises(BadInput, match=r"a\.bmp: the file is damaged, truncated or no image"):
        read_image(path)


@pytest.mark.parametrize("ending", [".png", ".bmp"])
@pytest.mark.parametrize("stored", [pixels(50, 70), pixels(50, 70, 3)])
def test_truncated(tmp_path: Path, ending: str, stored: npt.NDArray[np.generic]) -> None:
    path = tmp_path / f"a{ending}"
    imageio.v3.imwrite(path, stored)
    content = path.read_bytes()
    for kept in (len(content) * 97 // 100, len(content) // 2, 60, 20, 0):
        path.write_bytes(content[:kept])
        with pytest.raises(BadInput, match="damaged, truncated"):
            read_image(path)


def test_damaged_bytes_end_in_a_sentence_or_an_image(tmp_path: Path) -> None:
    path, random = tmp_path / "a.png", np.random.default_rng(0)
    imageio.v3.imwrite(path, pixels(50, 70))
    content = path.read_bytes()
    refused = 0
    for _ in range(100):
        damaged = bytearray(content)
        for place in random.integers(8, len(content), 3):
            damaged[place] ^= 0x55
        path.write_bytes(bytes(damaged))
        try:
            read_image(path)
        except BadInput:
            refused += 1
    assert refused > 50


def test_a_header_cannot_claim_what_no_packing_holds(tmp_path):
    path = tmp_path / "a.bmp"
    Image.new("L", (20, 10)).save(path)
    content = bytearray(path.read_bytes())
    content[18:22] = (2**26).to_bytes(4, "little")  # the columns
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"a\.bmp: is truncated or its header is wrong: that states 83886080 bytes"):
        read_image(path)
