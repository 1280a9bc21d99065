"""Planning a conversion: what is found, matched, named, refused."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import Conversion, convert, dataset_names, plan_conversion, summary_rows
from autoseg.io.images import read_labels
from tests.interop.conftest import Writer, ball

LABELS = "derivatives/labels"


def sentences(conversion: Conversion) -> dict[str, str]:
    return {problem.file.name: problem.sentence for problem in conversion.problems}


def spine_site(write: Writer, site: str, subjects: int = 2, contrast: str = "T2w") -> None:
    for number in range(1, subjects + 1):
        write(f"{site}/sub-{number}/anat/sub-{number}_{contrast}.nii.gz")
        write(f"{site}/{LABELS}/sub-{number}/anat/sub-{number}_{contrast}_seg-manual.nii.gz", ball(1, 4))


def test_two_sites_of_one_name(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "one/bids")
    spine_site(write, "two/bids")
    conversion = plan_conversion([tmp_path / "one/bids", tmp_path / "two/bids"])
    assert [row[:4] for row in summary_rows(conversion)] == [("one-bids", "2", "2", "2"), ("two-bids", "2", "2", "2")]
    assert {case.subject for case in conversion.cases} == {
        "one-bids/sub-1",
        "one-bids/sub-2",
        "two-bids/sub-1",
        "two-bids/sub-2",
    }
    assert conversion.cases[0].name == "one-bids_sub-1_T2w"
    assert conversion.labels == {"background": 0, "seg": 1}


def test_dataset_names(tmp_path: Path) -> None:
    assert list(dataset_names([tmp_path / "a b", tmp_path / "c"])) == ["a-b", "c"]
    assert list(dataset_names([tmp_path / "x/a", tmp_path / "y/a", tmp_path / "b"])) == ["x-a", "y-a", "b"]
    with pytest.raises(BadInput, match="given 2 times"):
        dataset_names([tmp_path / "a", tmp_path / "." / "a"])


def test_labels_are_unified_by_name_and_the_table_gives_the_form(write: Writer, tmp_path: Path) -> None:
    write("b/sub-1/anat/sub-1_T1w.nii.gz")
    write(f"b/{LABELS}/sub-1/anat/sub-1_T1w_label-whitematter_mask.nii.gz", ball(0, 4))
    write(f"b/{LABELS}/sub-1/anat/sub-1_T1w_label-greymatter_mask.nii.gz", ball(1, 3))
    write("a/sub-1/anat/sub-1_T1w.nii.gz")
    write(f"a/{LABELS}/sub-1/anat/sub-1_desc-manual_dseg.nii.gz", ball(0, 4, 4) + ball(1, 3, 3))
    (tmp_path / f"a/{LABELS}/desc-manual_dseg.tsv").write_text("index\tname\n4\tWhite_Matter\n7\tGrey-matter\n")
    conversion = plan_conversion([tmp_path / "b", tmp_path / "a"])
    assert conversion.labels == {"background": 0, "White_Matter": 1, "Grey-matter": 2}
    report = convert(conversion, tmp_path / "out", "Cord")
    maps = [read_labels(path) for path in sorted((tmp_path / "out/labelsTr").iterdir())]
    np.testing.assert_array_equal(maps[0], maps[1])
    np.testing.assert_array_equal(maps[0], ball(0, 4) + ball(1, 3))
    assert len(report.cases) == 2


def test_contrasts_become_domains_and_rare_labels_are_dropped_loudly(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "site", contrast="T2w")
    spine_site(write, "site", contrast="T2star")
    write("site/sub-1/anat/sub-1_T1w.nii.gz")
    for number in (1, 2):
        write(f"site/{LABELS}/sub-{number}/anat/sub-{number}_T2star_gmseg-manual.nii.gz", ball(2, 3))
    conversion = plan_conversion([tmp_path / "site"])
    assert [row[0] for row in summary_rows(conversion)] == ["site_T2star", "site_T2w"]
    assert {case.subject for case in conversion.cases} == {"site/sub-1", "site/sub-2"}  # one person, one fold
    assert list(conversion.labels) == ["background", "seg"]
    assert "gmseg is dropped" in conversion.notes[0]
    assert "site_T2w (0 of 2 cases)" in conversion.notes[0]
    assert any("T1w" in note for note in conversion.notes[1:])
    only = plan_conversion([tmp_path / "site"], contrasts=["T2star"])
    assert list(only.labels) == ["background", "gmseg", "seg"]
    assert {case.domain for case in only.cases} == {"site"}


def test_a_case_without_a_required_label_is_left_out(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "site", subjects=3)
    for number in (1, 3):
        write(f"site/{LABELS}/sub-{number}/anat/sub-{number}_T2w_lesion-manual.nii.gz", ball(2, 3))
    conversion = plan_conversion([tmp_path / "site"])
    assert [case.subject for case in conversion.cases] == ["site/sub-1", "site/sub-3"]
    assert sentences(conversion) == {
        "sub-2_T2w.nii.gz": "its labels lack lesion; add a label file for it or exclude it."
    }


def test_nothing_in_common(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "a")
    write("b/sub-1/anat/sub-1_T2w.nii.gz")
    write(f"b/{LABELS}/sub-1/anat/sub-1_T2w_lesion-manual.nii.gz", ball(1, 2))
    with pytest.raises(BadInput, match="a has seg; b has lesion"):
        plan_conversion([tmp_path / "a", tmp_path / "b"])


def test_channels(write: Writer, tmp_path: Path) -> None:
    for number, contrasts in ((1, ("FLAIR", "T1w")), (2, ("FLAIR", "T1w")), (3, ("FLAIR",))):
        for contrast in contrasts:
            write(f"ms/sub-{number}/ses-x/anat/sub-{number}_ses-x_{contrast}.nii.gz")
        path = f"ms/{LABELS}/sub-{number}/ses-x/anat/sub-{number}_ses-x_FLAIR_lesion-manual.nii.gz"
        write(path, ball(1, 3))
    shifted = np.diag([1.0, 1.0, 2.0, 1.0])
    shifted[0, 3] = 5
    write("ms/sub-2/ses-x/anat/sub-2_ses-x_T1w.nii.gz", affine=shifted)
    conversion = plan_conversion([tmp_path / "ms"], channels=["T1w", "FLAIR"])
    (case,) = conversion.cases
    assert (case.name, case.session, case.contrast) == ("ms_sub-1_ses-x", "ses-x", "T1w,FLAIR")
    assert [path.name for path in case.images] == ["sub-1_ses-x_T1w.nii.gz", "sub-1_ses-x_FLAIR.nii.gz"]
    assert "5 mm away" in sentences(conversion)["sub-2_ses-x_FLAIR.nii.gz"]
    assert "has no T1w" in sentences(conversion)["sub-3_ses-x_FLAIR.nii.gz"]
    with pytest.raises(BadInput, match="exclude each other"):
        plan_conversion([tmp_path / "ms"], channels=["T1w"], contrasts=["FLAIR"])


def test_header_problems_and_unmatched_files(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "site", subjects=1)
    write("site/sub-2/anat/sub-2_T2w.nii.gz")  # no labels
    write(f"site/{LABELS}/sub-3/anat/sub-3_T2w_seg-manual.nii.gz", ball(0, 1))  # no image
    write("site/sub-4/anat/sub-4_T2w.nii.gz")
    write(f"site/{LABELS}/sub-4/anat/sub-4_T2w_seg-manual.nii.gz", np.zeros((6, 5, 3)))
    write("site/sub-5/anat/sub-5_T2w.nii.gz", np.zeros((6, 5, 4, 2)))
    write(f"site/{LABELS}/sub-5/anat/sub-5_T2w_seg-manual.nii.gz", ball(0, 1))
    conversion = plan_conversion([tmp_path / "site"])
    assert [case.name for case in conversion.cases] == ["site_sub-1_T2w"]
    said = sentences(conversion)
    assert said["sub-2_T2w.nii.gz"].startswith("no label file")
    assert said["sub-3_T2w_seg-manual.nii.gz"].startswith("no image")
    assert "6x5x3 is not the 6x5x4" in said["sub-4_T2w_seg-manual.nii.gz"]
    assert "4D with 2 volumes" in said["sub-5_T2w.nii.gz"]


def test_nothing_matched(write: Writer, tmp_path: Path) -> None:
    write("site/sub-1/anat/sub-1_T2w.nii.gz")
    write(f"site/{LABELS}/sub-1/anat/sub-1_T2w_label-SC_probseg.nii.gz")
    with pytest.raises(BadInput, match=r"images T2w \(1\) and labels T2w_label-SC_probseg \(1\)"):
        plan_conversion([tmp_path / "site"])
    spine_site(write, "site", subjects=1)
    with pytest.raises(BadInput, match="of images of T1w with labels"):
        plan_conversion([tmp_path / "site"], contrasts=["T1w"])


def test_recipe(write: Writer, tmp_path: Path) -> None:
    spine_site(write, "a", subjects=3)
    write("b/sub-1/anat/sub-1_T2w.nii.gz")
    write(f"b/{LABELS}/sub-1/anat/sub-1_T2w_dseg.nii.gz", ball(0, 3, 9))
    recipe = tmp_path / "recipe.json"
    document = {
        "datasets": {
            "a": {"labels": {"cord": "*_seg-manual"}, "exclude": ["sub-3"], "domain": "siteA"},
            "b": {"labels": {"Cord": 9}},
        },
        "labels": ["cord"],
    }
    recipe.write_text(json.dumps(document))
    conversion = plan_conversion([tmp_path / "a", tmp_path / "b"], recipe=recipe)
    assert conversion.labels == {"background": 0, "cord": 1}
    assert [(row[0], row[3]) for row in summary_rows(conversion)] == [("siteA", "2"), ("b", "1")]
    convert(conversion, tmp_path / "out", "Cord")
    np.testing.assert_array_equal(read_labels(tmp_path / "out/labelsTr/b_sub-1_T2w.nii.gz"), ball(0, 3))


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"dataset": {}}, "dataset: Extra inputs"),
        ({"datasets": {"z": {}}}, "it names z, and the datasets are a"),
        ({"datasets": {"a": {"exclude": ["sub-9"]}}}, "excludes sub-9"),
        ({"datasets": {"a": {"labels": {"cord": 0}}}}, "start at 1"),
        ({"datasets": {"a": {"contrasts": ["T1w"]}}, "channels": ["T1w"]}, "exclude each other"),
        ({"labels": ["tumour"]}, "no case has tumour"),
    ],
)
def test_wrong_recipes(write: Writer, tmp_path: Path, document: object, message: str) -> None:
    spine_site(write, "a")
    (tmp_path / "recipe.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match=message):
        plan_conversion([tmp_path / "a"], recipe=tmp_path / "recipe.json")


def test_real_hippocampus(real_data: Path, tmp_path: Path) -> None:
    conversion = plan_conversion([real_data / "hippocampus-a", real_data / "hippocampus-b"])
    assert len(conversion.cases) == 140
    assert conversion.labels == {"background": 0, "Anterior": 1, "Posterior": 2}
    assert [(row[0], row[3]) for row in summary_rows(conversion)] == [("hippocampus-a", "105"), ("hippocampus-b", "35")]
    assert (conversion.problems, conversion.notes) == ((), ())


def test_real_channels_and_contrasts(real_data: Path, tmp_path: Path) -> None:
    brain = plan_conversion([real_data / "ms-brain"], channels=["FLAIR", "T1w", "T2w"])
    assert [len(case.images) for case in brain.cases] == [3, 3]
    cord = plan_conversion([real_data / "spinal-cord"], contrasts=["T2star"])
    assert cord.labels == {"background": 0, "gmseg": 1, "seg": 2}
    report = convert(cord, tmp_path / "cord", "Cord")
    merged = read_labels(tmp_path / "cord/labelsTr/spinal-cord_sub-errsm30_T2star.nii.gz")
    folder = real_data / "spinal-cord" / LABELS / "sub-errsm30/anat"
    grey, whole = (read_labels(folder / f"sub-errsm30_T2star_{name}-manual.nii.gz") for name in ("gmseg", "seg"))
    np.testing.assert_array_equal(merged, np.where(grey, 1, np.where(whole, 2, 0)))
    with (report.folder / "cases.tsv").open(newline="") as lines:
        (row,) = csv.DictReader(lines, delimiter="\t")
    assert row["subject"] == "spinal-cord/sub-errsm30"
