"""Recipes that override the detected conventions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import convert, plan_conversion, summary_rows
from autoseg.io.images import read_labels
from tests.interop.bids_files import LABELS, Writer, ball, spine_site


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
        ({"group": "family"}, "no participants.tsv has the column family"),
        ({"datasets": {"a": {"threshold": 1}}}, "threshold: Input should be less than 1"),
    ],
)
def test_wrong_recipes(write: Writer, tmp_path: Path, document: object, message: str) -> None:
    spine_site(write, "a")
    (tmp_path / "recipe.json").write_text(json.dumps(document))
    with pytest.raises(BadInput, match=message):
        plan_conversion([tmp_path / "a"], recipe=tmp_path / "recipe.json")


@pytest.mark.parametrize("labels", [{"cord": "*_seg-rater*"}, {"cord": 1}], ids=["patterns", "values"])
def test_raters_that_a_recipe_matches_vote(write: Writer, tmp_path: Path, labels: dict[str, object]) -> None:
    write("a/sub-1/anat/sub-1_T2w.nii.gz")
    for rater, high in enumerate((2, 3, 4), 1):
        write(f"a/{LABELS}/sub-1/anat/sub-1_T2w_seg-rater{rater}.nii.gz", ball(0, high))
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({"datasets": {"a": {"labels": labels}}}))
    convert(plan_conversion([tmp_path / "a"], recipe=recipe), tmp_path / "out", "Cord")
    np.testing.assert_array_equal(read_labels(tmp_path / "out/labelsTr/a_sub-1_T2w.nii.gz"), ball(0, 3))


def test_a_recipe_may_name_soft_labels_beside_others(write: Writer, tmp_path: Path) -> None:
    write("a/sub-1/anat/sub-1_T2w.nii.gz")
    write(f"a/{LABELS}/sub-1/anat/sub-1_T2w_lesion-manual.nii.gz", ball(1, 2))
    write(f"a/{LABELS}/sub-1/anat/sub-1_T2w_label-SC_softseg.nii.gz", ball(0, 4) * 0.4, dtype="float32")
    (alone,) = plan_conversion([tmp_path / "a"]).cases
    assert alone.labels.structures == ("lesion",)
    recipe = tmp_path / "recipe.json"
    patterns = {"lesion": "*_lesion-manual", "cord": "*_label-SC_softseg"}
    recipe.write_text(json.dumps({"datasets": {"a": {"labels": patterns, "threshold": 0.4}}}))
    conversion = plan_conversion([tmp_path / "a"], recipe=recipe)
    assert conversion.cases[0].labels.convention == "*_label-SC_softseg (threshold 0.4), *_lesion-manual"
    convert(conversion, tmp_path / "out", "Cord")
    merged = read_labels(tmp_path / "out/labelsTr/a_sub-1_T2w.nii.gz")
    np.testing.assert_array_equal(merged, ball(0, 4) + ball(1, 2))
