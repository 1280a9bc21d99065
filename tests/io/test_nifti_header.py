"""What a NIfTI header says, against nibabel, which writes and reads it."""

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.io.nifti_header import nifti_facts, qform_affine

AFFINE = np.array([[0, 0, 3.0, 5], [-1.5, 0, 0, 6], [0, 2.0, 0, 7], [0, 0, 0, 1]])


def save(path, shape=(4, 5, 6), kind=np.int16, change=None, maker=nibabel.Nifti1Image):
    image = maker(np.zeros(shape, kind), AFFINE)
    image.header.set_xyzt_units("mm")
    if change:
        change(image.header)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64, np.uint16])
@pytest.mark.parametrize("maker", [nibabel.Nifti1Image, nibabel.Nifti2Image])
@pytest.mark.parametrize("ending", [".nii", ".nii.gz"])
def test_type_and_format(tmp_path, kind, maker, ending):
    facts = nifti_facts(save(tmp_path / f"image{ending}", kind=kind, maker=maker))
    name = "NIfTI-1" if maker is nibabel.Nifti1Image else "NIfTI-2"
    assert facts.format == (f"{name}, compressed" if ending == ".nii.gz" else name)
    assert (facts.data_type, facts.length_unit, facts.scaling) == (np.dtype(kind).name, "mm", None)
    assert facts.details["transform used"] == "sform"
    assert (facts.handled, facts.doubts) == ((), ())


def test_a_file_in_the_other_byte_order(tmp_path):
    header = nibabel.Nifti1Header(endianness=">")
    header.set_data_dtype(np.int16)
    image = nibabel.Nifti1Image(np.zeros((4, 5, 6), ">i2"), AFFINE, header)
    nibabel.save(image, tmp_path / "big.nii")
    assert (tmp_path / "big.nii").read_bytes()[:4] == (348).to_bytes(4, "big")
    assert nifti_facts(tmp_path / "big.nii").data_type == "int16"


def test_scaling_is_told_where_it_changes_anything(tmp_path):
    scaled = save(tmp_path / "a.nii", change=lambda header: header.set_slope_inter(2, -1024))
    assert nifti_facts(scaled).scaling == (2.0, -1024.0)
    assert nifti_facts(save(tmp_path / "b.nii", change=lambda header: header.set_slope_inter(1, 0))).scaling is None


@pytest.mark.parametrize(
    ("shape", "what", "how"),
    [
        ((4, 5), "the image is 2D", "it is one slice"),
        ((4, 5, 6, 1), "the image is 4D with one volume", "the further axes are dropped"),
        ((4, 5, 6, 3), "the image is 4D with 3 volumes", "each volume is a channel"),
    ],
)
def test_further_axes(tmp_path, shape, what, how):
    assert [tuple(one) for one in nifti_facts(save(tmp_path / "image.nii", shape)).handled] == [(what, how)]


def test_transforms_that_differ_are_told_with_the_distance(tmp_path):
    other = AFFINE.copy()
    other[0, 3] += 2.5
    path = save(tmp_path / "image.nii", change=lambda header: header.set_qform(other, code=1))
    (handled,) = nifti_facts(path).handled
    assert tuple(handled) == ("sform and qform lie up to 2.5 mm apart", "the sform is used")


@pytest.mark.parametrize("angles", [(0, 0, 0), (0.3, -0.2, 0.5)])
@pytest.mark.parametrize("flip", [1, -1])
def test_the_quaternion_is_the_rotation_of_nibabel(angles, flip):
    affine = np.eye(4)
    affine[:3, :3] = nibabel.eulerangles.euler2mat(*angles) @ np.diag([1.5, 2, flip * 3])
    affine[:3, 3] = 5, 6, 7
    header = nibabel.Nifti1Header()
    header.set_qform(affine, code=1)
    fields = {
        "quaternion": [header[f"quatern_{letter}"] for letter in "bcd"],
        "pixdim": header["pixdim"],
        "offset": [header[f"qoffset_{letter}"] for letter in "xyz"],
    }
    np.testing.assert_allclose(qform_affine(fields), header.get_qform()[:3], atol=1e-6)


def test_no_orientation_and_other_units_are_doubtful(tmp_path):
    content = bytearray(
        save(tmp_path / "image.nii", change=lambda header: header.set_xyzt_units("micron")).read_bytes()
    )
    content[252:256] = bytes(4)  # both codes
    (tmp_path / "image.nii").write_bytes(content)
    unit, orientation = nifti_facts(tmp_path / "image.nii").doubts
    assert "lengths in um, and they are read as mm" in unit
    assert "left and right may be exchanged" in orientation
    assert nibabel.aff2axcodes(nibabel.load(tmp_path / "image.nii").affine) == ("L", "A", "S")  # as it says


def test_pixdim_that_is_rounded_is_told(tmp_path):
    path = save(tmp_path / "image.nii")
    content = bytearray(path.read_bytes())
    content[80:84] = np.float32(1.505).tobytes()
    path.write_bytes(content)
    assert nifti_facts(path).handled[0].what == "pixdim differs from the sform by 0.33 %"


def test_what_is_no_nifti_is_one_sentence(tmp_path):
    (tmp_path / "image.nii").write_bytes(b"no image" * 100)
    with pytest.raises(BadInput, match="does not begin with a NIfTI header"):
        nifti_facts(tmp_path / "image.nii")
