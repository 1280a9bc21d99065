"""What a report says of the data, the plan and the resources."""

from autoseg.core.fingerprint import Fingerprint
from autoseg.evaluation.outliers import Outlier
from autoseg.io.files import read_text
from autoseg.pipeline.profiling import write_profile
from autoseg.pipeline.report_data import data_section, domains_table, outlier_sentence, resources_sections
from autoseg.pipeline.report_parts import Drawings
from autoseg.reporting.profile_table import LibraryRun
from tests.pipeline.report_files import DATASET
from tests.reporting.test_profile_figure import write_samples


def test_domains_have_a_row_each(two_folds):
    workspace, _ = two_folds
    fingerprint = Fingerprint.model_validate_json(read_text(workspace.dataset_folder(DATASET) / "fingerprint.json"))
    assert domains_table(fingerprint).rows == [("tiny", "6", "6", "LAS", "1 x 1 x 1.2")]


def test_an_outlier_is_told_with_its_unit():
    one = Outlier("sub-3", "site", "volume", "cord", 1.2, 5.1, -4.0)
    assert outlier_sentence(one) == "sub-3: volume of cord 1.2 ml, the median of site is 5.1 ml"


def test_data_are_drawn(two_folds):
    drawings = Drawings()
    section = data_section(two_folds[0].read_dataset(DATASET), drawings)
    assert section.parts[1].text == "No case is unlike the others of its domain."
    assert list(drawings.by_name) == ["images", "label_volumes"]


def test_unmeasured_data_are_said_to_be(workspace):
    section = data_section(workspace.read_dataset(DATASET), Drawings())
    assert section.parts[0].text == "The images are not measured yet: autoseg plan Tiny"


def test_a_profile_has_a_section(tmp_path):
    assert resources_sections(tmp_path, Drawings()) == []
    run = LibraryRun("2d", "plain_unet", "torch", 10, 2, (8, 8), 2, 250, 50, {"train": "cpu fp32"}, {})
    write_profile(tmp_path, DATASET, [run])
    (section,) = resources_sections(tmp_path, Drawings())
    assert section.parts[0].header == ("", "2d torch")
    assert ("parameters: trainable / fixed", "10 / 2") in section.parts[0].rows
    write_samples(tmp_path / "samples.csv")
    drawings = Drawings()
    resources_sections(tmp_path, drawings)
    assert list(drawings.by_name) == ["resources"]
