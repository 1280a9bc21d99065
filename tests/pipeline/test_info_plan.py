"""What is said of plans."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.plan import Decision
from autoseg.pipeline.info_plan import describe_plan, labels_in_words


def test_numbers_decisions_and_input(tmp_path, tiny_pair_plan):
    decision = Decision(what="recommended", choice="3d_fullres", reason="voxels are isotropic")
    path = tmp_path / "plan.json"
    path.write_text(tiny_pair_plan.model_copy(update={"decisions": (decision,)}).model_dump_json())
    found = describe_plan(path)
    first, second = found.document["configurations"]
    assert (first["name"], first["axes"], first["patch_size"]) == ("2d", ["back-front", "left-right"], [16, 16])
    assert (second["axes"], second["normalization"]) == (["down-up", "back-front", "left-right"], {"T1w": "zscore"})
    assert found.document["decisions"] == [decision.model_dump()]
    assert dict(found.rows)["input"] == "1 channel in this order: T1w (zscore)"
    assert dict(found.rows)["labels"] == "0 background, 1 shell, 2 core"
    configurations, decisions = found.tables
    assert configurations.rows[1][1:4] == ("16 x 16 x 16", "2", "1.2 x 1 x 1 (down-up, back-front, left-right)")
    assert list(decisions.rows) == [("recommended", "3d_fullres", "voxels are isotropic")]


def test_images_that_are_not_turned_are_told(tmp_path, tiny_plan):
    path = tmp_path / "plan.json"
    path.write_text(tiny_plan.model_copy(update={"orientation": "stored"}).model_dump_json())
    found = describe_plan(path)
    assert "nothing is turned to one orientation" in found.rows[3][1]
    assert found.document["configurations"][0]["axes"][0] == "axis 2 of the file"


def test_regions_have_all_their_values():
    labels = Labels(values={"background": 0, "whole": (1, 2), "core": (2,)}, region_order=(1, 2))
    assert labels_in_words(labels) == "0 background, 1+2 whole, 2 core"


def test_a_wrong_plan_is_one_sentence(tmp_path):
    (tmp_path / "plan.json").write_text("{}")
    with pytest.raises(BadInput, match="is not a valid plan"):
        describe_plan(tmp_path / "plan.json")
