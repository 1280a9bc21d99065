"""What headers of all formats say, and what is done about unusual grids."""

import nibabel
import numpy as np
import pytest
import SimpleITK
import tifffile
from PIL import Image

from autoseg.core.errors import BadInput
from autoseg.io.header_facts import handled_geometry, header_facts, numpy_name, oblique_degrees, shear_degrees
from tests.io.other_formats import as_dicom


def volume():
    image = SimpleITK.GetImageFromArray(np.arange(6 * 5 * 4, dtype=np.int16).reshape(6, 5, 4))
    image.SetSpacing((1.5, 2, 3))
    return image


@pytest.mark.parametrize(
    ("name", "format", "oriented"),
    [("a.nrrd", "NRRD", True), ("a.mha", "MetaImage", True), ("a.mhd", "MetaImage", True), ("a.gipl", "GIPL", False)],
)
def test_formats_of_simple_itk(tmp_path, name, format, oriented):
    SimpleITK.WriteImage(volume(), str(tmp_path / name))
    facts = header_facts(tmp_path / name)
    assert (facts.format, facts.data_type) == (format, "int16")
    assert [one.what for one in facts.handled] == ([] if oriented else ["the format holds no orientation"])


def test_a_stack_without_its_voxel_size(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5, 6), np.uint16), photometric="minisblack")
    facts = header_facts(tmp_path / "a.tif")
    assert (facts.format, facts.data_type) == ("TIFF", "uint16")
    assert tuple(facts.handled[1]) == ("there is no a.json with the voxel size", "voxels are 1 x 1 x 1 mm")
    (tmp_path / "a.json").write_text('{"spacing": [3, 1, 1]}')
    facts = header_facts(tmp_path / "a.tif")
    assert dict(facts.details) == {"voxel size from": "a.json"}
    assert len(facts.handled) == 1


def test_a_palette_is_told(tmp_path):
    picture = Image.fromarray(np.zeros((5, 6), np.uint8)).convert("P")
    picture.putpalette([0, 0, 0, 255, 0, 0])
    picture.save(tmp_path / "a.png")
    facts = header_facts(tmp_path / "a.png")
    assert facts.data_type.startswith("palette of ")
    assert "their indices count" in facts.handled[1].how
    Image.fromarray(np.zeros((5, 6), np.uint16)).save(tmp_path / "b.png")
    assert header_facts(tmp_path / "b.png").data_type == "uint16"


def test_a_dicom_series_tells_the_scanner_and_no_person(tmp_path):
    more = {"0008|0070": "Maker", "0010|0010": "Person^A", "0028|1053": "2", "0028|1052": "-1024"}
    as_dicom(volume(), tmp_path / "series", description="t2 tse", more=more)
    facts = header_facts(tmp_path / "series")
    assert facts.format == "DICOM series of 6 files"
    assert dict(facts.details) == {"modality": "MR", "series": "t2 tse", "manufacturer": "Maker"}
    assert facts.data_type == "int16"
    assert [one.what for one in facts.handled] == ["the stored numbers are rescaled"]
    as_dicom(volume(), tmp_path / "plain")
    assert header_facts(tmp_path / "plain").handled == ()


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(BadInput, match="there is no such file"):
        header_facts(tmp_path / "none.nii.gz")


@pytest.mark.parametrize("degrees", [0, 5, 30])
def test_angles_are_those_that_the_affine_was_made_with(degrees):
    turned = np.eye(4)
    turned[:3, :3] = nibabel.eulerangles.euler2mat(np.radians(degrees), 0, 0) @ np.diag([1, 2, 3])
    assert oblique_degrees(turned) == pytest.approx(degrees, abs=1e-6)
    assert shear_degrees(turned) == pytest.approx(0, abs=1e-6)
    tilted = np.eye(4)
    tilted[:3, 2] = 0, np.sin(np.radians(degrees)), np.cos(np.radians(degrees))
    assert shear_degrees(tilted) == pytest.approx(degrees, abs=1e-6)


def test_only_unusual_grids_are_told():
    assert handled_geometry(np.diag([1.0, 2, 3, 1])) == []
    turned = np.diag([-1.0, 2, 3, 1])
    turned[1, 2] = 0.5
    assert [one.what for one in handled_geometry(turned)] == [
        "stored as LAS",
        "oblique by up to 9.5 degrees",
        "sheared: axes are 80.5 degrees apart, not 90",
    ]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("16-bit signed integer", "int16"),
        ("8-bit unsigned integer", "uint8"),
        ("64-bit float", "float64"),
        ("vector of 8-bit unsigned integer", "uint8, several a voxel"),
        ("complex of 32-bit float", "complex of 32-bit float"),
    ],
)
def test_names_of_types(given, expected):
    assert numpy_name(given) == expected
