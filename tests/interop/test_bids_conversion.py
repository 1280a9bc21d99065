"""Planning a conversion: what is found, matched, named, refused."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import convert, dataset_names, plan_conversion, summary_rows
from autoseg.io.images import read_labels
from tests.interop.bids_files import LABELS, Writer, ball, spine_site


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


def test_nothing_matched(write: Writer, tmp_path: Path) -> None:
    write("site/sub-1/anat/sub-1_T2w.nii.gz")
    write(f"site/{LABELS}/sub-1/anat/sub-1_T2w_label-discs_dlabel.nii.gz")
    with pytest.raises(BadInput, match=r"images T2w \(1\) and labels T2w_label-discs_dlabel \(1\)"):
        plan_conversion([tmp_path / "site"])
    spine_site(write, "site", subjects=1)
    with pytest.raises(BadInput, match="of images of T1w with labels"):
        plan_conversion([tmp_path / "site"], contrasts=["T1w"])


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


def test_equal_names_of_cases_are_refused(write: Writer, tmp_path: Path) -> None:
    for site in "ab":
        spine_site(write, site)
    recipe = tmp_path / "recipe.json"
    recipe.write_text('{"datasets": {"a": {"domain": "all"}, "b": {"domain": "all"}}}')
    sources = rf"\({tmp_path}/a, {tmp_path}/b\)"
    with pytest.raises(BadInput, match=f"all_sub-1_T2w: 2 cases have this name {sources}; give the datasets different"):
        plan_conversion([tmp_path / "a", tmp_path / "b"], recipe=recipe)
