"""A network of a plan: made to measure or as published."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.network_spec import NetworkSpec, PublishedNetwork
from autoseg.core.plan import read_plan

PUBLISHED = {"name": "voxhrnet", "dimensions": 3, "size_multiple": [4, 4, 4], "params": {"size": "base"}}


def with_network(plan, network):
    document = json.loads(plan.model_dump_json())
    document["configurations"]["3d_fullres"]["network"] = network
    return json.dumps(document)


def test_a_published_network_survives_json(tiny_plan):
    plan = read_plan(with_network(tiny_plan, PUBLISHED), "plan.json")
    network = plan.configurations["3d_fullres"].network
    assert network == PublishedNetwork(**PUBLISHED)
    assert network.describe() == "voxhrnet (size base)"
    assert read_plan(plan.model_dump_json(), "plan.json") == plan


def test_the_name_decides_which_fields_there_are(tiny_plan):
    network = tiny_plan.configurations["3d_fullres"].network
    assert isinstance(network, NetworkSpec)
    assert network.describe() == f"plain_unet, {network.features_per_stage[0]} features"
    with pytest.raises(BadInput, match=r"configurations\.3d_fullres\.network\.strides: Field required"):
        read_plan(with_network(tiny_plan, {**PUBLISHED, "name": "plain_unet"}), "plan.json")


def test_sizes_have_the_dimensions_of_the_network(tiny_plan):
    with pytest.raises(BadInput, match=r"3d_fullres\.network\.size_multiple: 2 entries for 3 dimensions"):
        read_plan(with_network(tiny_plan, {**PUBLISHED, "size_multiple": [4, 4]}), "plan.json")
    with pytest.raises(BadInput, match="is no multiple of 5 x 5 x 5"):
        read_plan(with_network(tiny_plan, {**PUBLISHED, "size_multiple": [5, 5, 5]}), "plan.json")
