"""The report of segmentations without references."""

import csv
import shutil

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.prediction_table import COLUMNS
from autoseg.io import images
from autoseg.io.workspace import Workspace
from autoseg.pipeline.report import report
from autoseg.pipeline.report_predictions import image_files
from tests.pipeline.report_files import page_data


def test_segmentations_without_references(tiny_bids, tmp_path):
    folder = tmp_path / "out"
    folder.mkdir()
    for number in range(2):
        source = tiny_bids / f"derivatives/labels/sub-{number:02d}/anat/sub-{number:02d}_desc-manual_dseg.nii.gz"
        shutil.copy(source, folder / f"sub-{number:02d}_T1w.nii.gz")
    (folder / "dseg.tsv").write_text("index\tname\n0\tbackground\n1\tshell\n2\tcore\n")
    rows = [
        ["sub-00_T1w.nii.gz", "shell", "0.9", "0.8", "0.7", "0.9", "20", "n/a"],
        ["sub-01_T1w.nii.gz", "shell", "0.5", "0.3", "0.1", "0.5", "20", "spacing 9 mm"],
    ]
    with (folder / "predictions.tsv").open("w", newline="") as table:
        csv.writer(table, delimiter="\t").writerows([COLUMNS, *rows])
    made = report(Workspace(tmp_path / "workspace"), str(folder), images=[tiny_bids])
    text, data = page_data(made.report)
    assert made.report == folder / "report.html"
    assert [(one["case"], one["scores"]) for one in data["cases"]] == [
        ("sub-01_T1w", {"expected Dice": "0.300"}),
        ("sub-00_T1w", {"expected Dice": "0.800"}),
    ]
    assert set(data["cases"][0]["volumes"]) == {"channel 1", "segmentation"}
    assert "sub-01_T1w: spacing 9 mm" in text
    with pytest.raises(BadInput, match="add --images with what `predict` was given"):
        report(Workspace(tmp_path / "workspace"), str(folder))


def test_images_of_every_kind_are_found(tiny_bids, tmp_path):
    single = sorted(tiny_bids.glob("sub-*/anat/*_T1w.nii.gz"))[0]
    assert image_files([single]) == [single]
    assert image_files([single.parent]) == images.list_images(single.parent)
    assert len(image_files([tiny_bids])) == 6
    with pytest.raises(BadInput, match="there is no such file or folder"):
        image_files([tmp_path / "none"])


@pytest.mark.parametrize("broken", ["predictions.tsv", "sub-00_T1w.json"])
def test_expectations_that_are_none_are_told(tiny_bids, tmp_path, broken):
    source = tiny_bids / "derivatives/labels/sub-00/anat/sub-00_desc-manual_dseg.nii.gz"
    shutil.copy(source, tmp_path / "sub-00_T1w.nii.gz")
    (tmp_path / "dseg.tsv").write_text("index\tname\n0\tbackground\n1\tshell\n2\tcore\n")
    row = ["sub-00_T1w.nii.gz", "shell", "0.9", "much", "0.7", "0.9", "20", "n/a"]
    text = "\t".join(COLUMNS) + "\n" + "\t".join(row) + "\n" if broken.endswith("tsv") else '{"ExpectedDice": [1]}'
    (tmp_path / broken).write_text(text)
    with pytest.raises(BadInput, match=f"{broken}: does not say what to expect of sub-00_T1w.nii.gz"):
        report(Workspace(tmp_path / "workspace"), str(tmp_path), images=[tiny_bids])
