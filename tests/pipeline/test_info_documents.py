"""What is said of recipes, studies and selections."""

import json
from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline.info_documents import (
    describe_conversion_recipe,
    describe_recipe,
    describe_selection,
    describe_study,
)

PLANS = Path(__file__).parents[2] / "plans"


@pytest.mark.parametrize("path", sorted(PLANS.glob("*.json")), ids=lambda path: path.stem)
def test_every_recipe_of_ours(path):
    found = describe_recipe(path)
    content = json.loads(path.read_text(encoding="utf-8"))
    assert [one["name"] for one in found.document["configurations"]] == list(content["configurations"])
    assert found.document["fidelities"] == (["paper", "code"] if content.get("code") else ["paper"])
    assert dict(found.rows)["recommended"] == content["recommended"]


def test_a_conversion_recipe(tmp_path):
    path = tmp_path / "conversion.json"
    site = {"labels": {"cord": "*_seg"}, "exclude": ["sub-03"]}
    path.write_text(json.dumps({"datasets": {"site": site}, "group": "f"}))
    found = describe_conversion_recipe(path)
    assert found.document["datasets"]["site"]["exclude"] == ["sub-03"]
    assert list(found.tables[0].rows) == [("site", "-", "cord: *_seg", "sub-03")]
    assert dict(found.rows)["kept together"] == "cases of one f of participants.tsv"


def test_a_study(tmp_path):
    path = tmp_path / "study.json"
    path.write_text(json.dumps({"name": "S", "datasets": ["a", "b"], "unseen": ["c"], "time_budget": "6m"}))
    found = describe_study(path)
    assert (found.document["unseen"], found.document["time_budget"], found.document["recipe"]) == (["c"], "6m", None)
    assert dict(found.rows)["each training"] == "6m"


def test_a_selection(tmp_path):
    document = {
        "dataset": "Tiny",
        "configurations": ["2d", "3d_fullres"],
        "folds": ["fold0"],
        "postprocessing": {"keep_largest": [[1, 2]]},
        "mean_dice": 0.5,
        "reason": "a pair is better",
        "candidates": [{"configurations": ["2d"], "mean_dice": 0.4, "dice": {"core": None}}],
        "steps": [],
    }
    (tmp_path / "selection.json").write_text(json.dumps(document))
    found = describe_selection(tmp_path / "selection.json")
    assert dict(found.rows)["chosen"] == "2d + 3d_fullres, fold0"
    assert list(found.tables[0].rows) == [("2d", "0.4000")]
    assert found.document["postprocessing"] == {"keep_largest": [[1, 2]]}


@pytest.mark.parametrize("describe", [describe_recipe, describe_conversion_recipe, describe_study, describe_selection])
def test_a_wrong_document_is_one_sentence(tmp_path, describe):
    (tmp_path / "a.json").write_text('{"nothing": 1}')
    with pytest.raises(BadInput, match=r"no valid|not a valid"):
        describe(tmp_path / "a.json")
