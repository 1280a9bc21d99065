"""The plan document."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.plan import read_plan


def test_a_plan_survives_json(tiny_plan):
    assert read_plan(tiny_plan.model_dump_json(), "plan.json") == tiny_plan
    assert tiny_plan.labels.num_outputs == 3
    assert tiny_plan.configurations["3d_fullres"].network.size_multiple == (4, 4, 4)


def test_every_mistake_is_named_with_its_path(tiny_plan):
    document = json.loads(tiny_plan.model_dump_json())
    configuration = document["configurations"]["3d_fullres"]
    configuration["batch_size"] = 0
    configuration["normalization"] = ["z"]
    configuration["training"]["epochz"] = 3
    with pytest.raises(BadInput) as caught:
        read_plan(json.dumps(document), "plan.json")
    for path in ("3d_fullres.batch_size", "3d_fullres.normalization.0", "3d_fullres.training.epochz"):
        assert f"configurations.{path}" in str(caught.value)


@pytest.mark.parametrize(("patch", "message"), [([16, 16, 18], "no multiple"), ([16, 16], "3 entries")])
def test_a_patch_that_the_network_cannot_take_is_refused(tiny_plan, patch, message):
    document = json.loads(tiny_plan.model_dump_json())
    document["configurations"]["3d_fullres"]["patch_size"] = patch
    with pytest.raises(BadInput, match=message):
        read_plan(json.dumps(document), "plan.json")


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_text_that_is_no_plan_is_refused(text):
    with pytest.raises(BadInput, match=r"plan\.json is not a valid plan"):
        read_plan(text, "plan.json")
