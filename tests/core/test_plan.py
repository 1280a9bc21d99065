"""The plan document."""

import json
import math

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


@pytest.mark.parametrize(
    ("patch", "message"), [([16, 16, 18], "no multiple"), ([16, 16], "2 entries for 3 dimensions")]
)
def test_a_patch_that_the_network_cannot_take_is_refused(tiny_plan, patch, message):
    document = json.loads(tiny_plan.model_dump_json())
    document["configurations"]["3d_fullres"]["patch_size"] = patch
    with pytest.raises(BadInput, match=message):
        read_plan(json.dumps(document), "plan.json")


@pytest.mark.parametrize("text", ["", "[]", "{", "null"])
def test_text_that_is_no_plan_is_refused(text):
    with pytest.raises(BadInput, match=r"plan\.json is not a valid plan"):
        read_plan(text, "plan.json")


HERE = "configurations.3d_fullres"
NETWORK = f"{HERE}.network"
# where a document is changed, to what, and the path and sentence of the error
MISTAKES = [
    (f"{NETWORK}.features_per_stage", [4, 8], "", "2 entries for 3 strides"),
    (f"{NETWORK}.features_per_stage", [4, 8, 0], ".2", "greater than or equal to 1"),
    (f"{NETWORK}.kernel_sizes", [[3, 3, 3]] * 4, "", "4 entries for 3 strides"),
    (f"{NETWORK}.kernel_sizes.1", [3, 3], "", "2 entries for 3 dimensions"),
    (f"{NETWORK}.kernel_sizes.2", [3, 2, 3], "", "3 x 2 x 3 has an even number"),
    (f"{NETWORK}.strides.1", [2, 2], "", "2 entries for 3 dimensions"),
    (f"{NETWORK}.strides.1", [2, 0, 2], ".1", "greater than or equal to 1"),
    (f"{NETWORK}.blocks_per_stage", [1], "", "1 entries for 3 strides"),
    (f"{NETWORK}.blocks_per_decoder_stage", [1, 1, 1], "", "3 entries for 2 strides but one"),
    (f"{NETWORK}.dimensions", 4, "", "Input should be 2 or 3"),
    (f"{NETWORK}.depth", 4, "", "Extra inputs"),
    (f"{HERE}.spacing_mm", [1, 1], "", "2 entries for 3 dimensions"),
    (f"{HERE}.spacing_mm", [1, -1, 1], ".1", "greater than 0"),
    (f"{HERE}.spacing_mm", [1, math.inf, 1], ".1", "finite"),
    (f"{HERE}.spacing_mm", [1, math.nan, 1], ".1", "finite"),
    (f"{HERE}.median_shape_voxels", [16, 24], "", "2 entries for 3 dimensions"),
    (f"{HERE}.patch_size", [16, 0, 16], ".1", "greater than or equal to 1"),
    (f"{HERE}.patch_size", [16, 18, 16], "", "no multiple of 4 x 4 x 4"),
    (f"{HERE}.normalization", ["zscore", "ct"], "", "2 entries for 1 channels"),
    (f"{HERE}.mask_normalization", [], "", "0 entries for 1 channels"),
    (f"{HERE}.augmentation.mirror_axes", [0, 3], "", "no axes of the network"),
    (f"{HERE}.augmentation.mirror_axes", [1, 1], "", "no axes of the network"),
    (f"{HERE}.augmentation.rotation_degrees", 200, "", "less than or equal to 180"),
    (f"{HERE}.name", "3d", "", "'3d' should be '3d_fullres'"),
    (f"{HERE}.previous_stage", "3d_lowres", "", "'3d_lowres' is no configuration of this plan"),
    (f"{HERE}.previous_stage", "3d_fullres", "", "has a previous stage itself"),
    ("recommended", "2d", "", "'2d' is no configuration"),
    ("axis_order", [0, 0, 2], "", "no order of the axes"),
    ("intensities", [], "", "0 entries for 1 channels"),
]


def changed(plan, *changes) -> str:
    """The JSON of a plan with values set at dotted paths."""
    document = json.loads(plan.model_dump_json())
    for path, value in changes:
        *parents, last = path.split(".")
        part = document
        for key in parents:
            part = part[int(key) if isinstance(part, list) else key]
        part[int(last) if isinstance(part, list) else last] = value
    return json.dumps(document)


@pytest.mark.parametrize(("path", "value", "below", "sentence"), MISTAKES)
def test_a_mistake_is_listed_with_its_path(tiny_plan, path, value, below, sentence):
    with pytest.raises(BadInput) as caught:
        read_plan(changed(tiny_plan, (path, value)), "plan.json")
    listed = str(caught.value).partition("(")[2]
    place, _, problem = listed.partition(": ")
    assert place == path + below
    assert sentence in problem
    assert "; " not in listed, "one mistake, one sentence"


def test_several_mistakes_of_one_part_are_all_listed(tiny_plan):
    mistakes = [(f"{NETWORK}.features_per_stage", [4]), (f"{NETWORK}.blocks_per_stage", [1]), (f"{HERE}.batch_size", 0)]
    with pytest.raises(BadInput) as caught:
        read_plan(changed(tiny_plan, *mistakes), "plan.json")
    assert all(f"{path}: " in str(caught.value) for path, _ in mistakes)


def test_a_previous_stage_of_the_plan_is_accepted(tiny_plan):
    text = changed(
        tiny_plan,
        ("configurations.3d_lowres", {"inherits_from": "3d_fullres"}),
        ("configurations.3d_cascade_fullres", {"inherits_from": "3d_fullres", "previous_stage": "3d_lowres"}),
    )
    plan = read_plan(text, "plan.json")
    assert plan.configurations["3d_cascade_fullres"].previous_stage == "3d_lowres"
    assert plan.configurations["3d_lowres"].name == "3d_lowres"


def test_inheritance_and_its_mistakes(tiny_plan):
    child = {"name": "big", "inherits_from": "3d_fullres", "batch_size": 4}
    network = {"features_per_stage": [8, 16, 16]}
    plan = read_plan(changed(tiny_plan, ("configurations.big", {**child, "network": network})), "plan.json")
    big, parent = plan.configurations["big"], plan.configurations["3d_fullres"]
    assert (big.batch_size, big.network.features_per_stage) == (4, (8, 16, 16))
    assert big.network.strides == parent.network.strides
    assert big.training == parent.training
    assert read_plan(plan.model_dump_json(), "plan.json") == plan
    short = changed(tiny_plan, ("configurations.big", {**child, "network": {"features_per_stage": [8]}}))
    with pytest.raises(BadInput, match=r"configurations\.big\.network\.features_per_stage: 1 entries for 3 strides"):
        read_plan(short, "plan.json")
    with pytest.raises(
        BadInput, match=r"\(configurations\.big\.inherits_from: '3d' is no configuration of this plan\)"
    ):
        read_plan(changed(tiny_plan, ("configurations.big", {"inherits_from": "3d"})), "plan.json")


def test_text_nested_too_deeply_is_refused():
    with pytest.raises(BadInput, match=r"plan\.json is not a valid plan \(document: Invalid JSON"):
        read_plan("[" * 100_000, "plan.json")


@pytest.mark.parametrize(
    ("comparison", "problem"),
    [
        ({"configurations": ["3d_fullres", "4d"], "baseline": "3d_fullres"}, r"sizes\.configurations: '4d' is no"),
        ({"configurations": ["3d_fullres", "3d_*"], "baseline": "3d_fullres"}, r"sizes\.configurations: '3d_\*' is no"),
        ({"configurations": ["3d_fullres", "3d_fullres"], "baseline": "2d"}, r"sizes\.baseline: '2d' is none"),
    ],
)
def test_a_comparison_names_configurations_of_its_plan(tiny_plan, comparison, problem):
    document = json.loads(tiny_plan.model_dump_json()) | {"comparisons": {"sizes": {"title": "t", **comparison}}}
    with pytest.raises(BadInput, match=problem):
        read_plan(json.dumps(document), "plan.json")
