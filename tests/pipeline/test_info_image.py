"""What is said of images."""

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline.info_image import axes_in_words, describe_image

AFFINE = np.array([[0, 0, 3.0, 5], [-1.5, 0, 0, 6], [0, 2.0, 0, 7], [0, 0, 0, 1]])


def save(path, voxels, affine=AFFINE):
    nibabel.save(nibabel.Nifti1Image(voxels, affine), path)
    return path


def noise(shape=(8, 9, 10)):
    return np.random.default_rng(0).normal(100, 30, shape).astype(np.float32)


def rows_of(description):
    return dict(description.rows)


def test_grid_and_intensities_are_those_that_were_written(tmp_path):
    voxels = noise()
    found = describe_image(save(tmp_path / "image.nii.gz", voxels))
    grid = found.document["grid"]
    assert (found.document["kind"], grid["shape"], grid["channels"]) == ("image", [8, 9, 10], 1)
    assert grid["spacing_mm"] == [1.5, 2, 3]
    assert grid["size_mm"] == [12, 18, 30]
    assert grid["orientation"] == "PSR"
    (one,) = found.document["intensities"]
    assert one["mean"] == pytest.approx(voxels.mean())
    assert one["percentile_99"] == pytest.approx(np.percentile(voxels, 99))
    assert found.document["refused"] is None
    assert [one["what"] for one in found.document["repairs"]] == ["stored as PSR"]
    rows = rows_of(found)
    assert rows["shape"] == "8 x 9 x 10 voxels, 1 channel"
    assert rows["orientation"] == "PSR: the first axis runs to the back, the second up, the third to the right"
    assert rows["autoseg"] == "reads it as said below"


def test_labels_have_volumes(tmp_path):
    labels = np.zeros((8, 9, 10))  # float64, as some tools write them
    labels[2:5, 2:5, 2:5] = 2
    labels[6, 6, 6] = 7
    found = describe_image(save(tmp_path / "labels.nii.gz", labels, np.diag([1.0, 2, 3, 1])))
    assert found.document["kind"] == "label_map"
    assert found.document["labels"] == [
        {"value": 2, "voxels": 27, "volume_mm3": 27 * 6},
        {"value": 7, "voxels": 1, "volume_mm3": 6},
    ]
    assert found.document["repairs"][0]["how"] == "they are rounded to whole numbers"
    assert found.tables[0].rows[0] == ("2", "27", "162.0", "0.16")


def test_each_channel_of_a_4d_file_has_intensities(tmp_path):
    found = describe_image(save(tmp_path / "image.nii.gz", noise((5, 6, 7, 3))))
    assert (found.document["grid"]["channels"], len(found.document["intensities"])) == (3, 3)
    assert found.document["repairs"][0]["what"] == "the image is 4D with 3 volumes"


def test_what_is_refused_is_said_with_the_header(tmp_path):
    voxels = noise()
    voxels[1, 2, 3] = np.nan
    found = describe_image(save(tmp_path / "nan.nii.gz", voxels))
    assert "1 voxels are NaN or infinite" in found.document["refused"]
    assert found.document["intensities"][0]["num_not_finite"] == 1

    path = save(tmp_path / "cut.nii.gz", noise())
    path.write_bytes(path.read_bytes()[:-200])
    found = describe_image(path)
    assert "damaged, truncated" in found.document["refused"]
    assert found.document["grid"]["shape"] == [8, 9, 10]
    assert rows_of(found)["autoseg"].startswith("refuses it: ")


def test_a_header_that_contradicts_itself_has_no_grid(tmp_path):
    path = save(tmp_path / "image.nii", noise())
    content = bytearray(path.read_bytes())
    content[80:84] = np.float32(9).tobytes()
    path.write_bytes(content)
    found = describe_image(path)
    assert "pixdim says voxels of" in found.document["refused"]
    assert (found.document["grid"], found.document["data_type"]) == (None, "float32")


def test_what_is_no_image_is_one_sentence(tmp_path):
    (tmp_path / "image.nii.gz").write_bytes(b"no image")
    with pytest.raises(BadInput, match="damaged, truncated or no image"):
        describe_image(tmp_path / "image.nii.gz")


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("RAS", "the first axis runs to the right, the second to the front, the third up"),
        ("LPI", "the first axis runs to the left, the second to the back, the third down"),
    ],
)
def test_axes(code, words):
    assert axes_in_words(code) == words


def test_real_images(real_data):
    anat = real_data / "spinal-cord/sub-errsm30/anat"
    document = describe_image(anat / "sub-errsm30_T2star.nii.gz").document
    image = nibabel.load(anat / "sub-errsm30_T2star.nii.gz")
    assert document["grid"]["shape"] == list(image.shape)
    np.testing.assert_allclose(document["grid"]["affine"], image.affine)
    assert "".join(nibabel.aff2axcodes(image.affine)) == document["grid"]["orientation"]
    assert document["intensities"][0]["mean"] == pytest.approx(image.get_fdata().mean(), rel=1e-6)
    labels = real_data / "spinal-cord/derivatives/labels/sub-errsm30/anat/sub-errsm30_T2star_seg-manual.nii.gz"
    assert describe_image(labels).document["kind"] == "label_map"
    eight_bits = next((real_data / "hippocampus-b").glob("sub-*/anat/*_T1w.nii.gz"))
    assert describe_image(eight_bits).document["kind"] == "image"
