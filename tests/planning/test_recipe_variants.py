"""Grids over settings of a recipe's configuration."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import Fingerprint
from autoseg.io.recipes import recipe_text
from autoseg.planning.planner import make_plan
from autoseg.planning.recipe import apply_recipe, read_recipe

NETWORK = {"name": "paugam_unet", "dimensions": 2, "size_multiple": [16, 16], "params": {"dropout": 0.3}}
ONE = {"network": NETWORK, "patch_size": [32, 32], "batch_size": 11, "training": {"initial_learning_rate": 0.001}}


@pytest.fixture
def fingerprint(make_fingerprint) -> Fingerprint:
    return make_fingerprint((40, 40, 40), (1.0, 1.0, 1.0), num_cases=3)


def applied(fingerprint, variants, **others):
    configurations = {"one": {**ONE, "variants": variants}, **others}
    text = json.dumps({"title": "t", "source": "s", "recommended": "one", "configurations": configurations})
    return apply_recipe(make_plan(fingerprint), fingerprint, read_recipe(text, "mine"), "mine")


def test_each_combination_is_a_configuration_compared_with_the_one_as_it_is(fingerprint):
    plan = applied(fingerprint, {"batch_size": [5, 11], "training.initial_learning_rate": [1e-9, 0.001]})
    one = plan.configurations["one"]
    settings = {
        name: (each.batch_size, each.training.initial_learning_rate) for name, each in plan.configurations.items()
    }
    assert settings == {
        "one": (11, 0.001),
        "one_batch_size_5_initial_learning_rate_1e-09": (5, 1e-9),
        "one_batch_size_5_initial_learning_rate_0.001": (5, 0.001),
        "one_batch_size_11_initial_learning_rate_1e-09": (11, 1e-9),
    }
    changed = plan.configurations["one_batch_size_5_initial_learning_rate_0.001"]
    assert changed.model_copy(update={"name": "one", "batch_size": 11}) == one
    (comparison,) = plan.comparisons.items()
    assert comparison[0] == "one_variants"
    assert (comparison[1].configurations, comparison[1].baseline) == (tuple(settings), "one")
    assert comparison[1].title == "Variants of one: batch_size, training.initial_learning_rate"


def test_words_lists_and_parameters_of_the_network(fingerprint):
    variants = {"training.optimizer": ["adam"], "patch_size": [[16, 16]], "network.params.norm_momentum": [0.2]}
    plan = applied(fingerprint, variants)
    changed = plan.configurations["one_optimizer_adam_patch_size_16x16_norm_momentum_0.2"]
    assert (changed.training.optimizer, changed.patch_size) == ("adam", (16, 16))
    assert changed.network.params == {"dropout": 0.3, "norm_momentum": 0.2}


def test_variants_are_not_inherited(fingerprint):
    plan = applied(fingerprint, {"batch_size": [5]}, two={"inherits_from": "one", "batch_size": 3})
    assert list(plan.configurations) == ["one", "two", "one_batch_size_5"]


@pytest.mark.parametrize(
    ("variants", "problem"),
    [
        ([1], r"configurations\.one\.variants: give an object of settings"),
        ({}, r"variants: give an object of settings"),
        ({"batch_sise": [1]}, r"variants\.batch_sise: there is no such setting"),
        ({"batch_size.x": [1]}, r"variants\.batch_size\.x: there is no such setting"),
        ({"training": [1]}, r"variants\.training: there is no such setting"),
        ({"network.params": [1]}, r"variants\.network\.params: there is no such setting"),
        ({"batch_size": 5}, r"variants\.batch_size: give a list of values"),
        ({"batch_size": []}, r"variants\.batch_size: give a list of values"),
        ({"batch_size": [{"a": 1}]}, r"variants\.batch_size: a value is a number"),
        ({"training.optimizer": ["../adam"]}, r"variants\.training\.optimizer: a value is a number, a word"),
        ({"batch_size": [5, 5]}, r"variants\.batch_size: the values must differ"),
        ({"batch_size": [11]}, r"variants: these are the settings of the configuration itself"),
        ({"batch_size": [0]}, r"configurations\.one_batch_size_0\.batch_size: Input should be greater"),
        ({"network.name": ["voxhrnet"]}, r"one_name_voxhrnet\.network\.dimensions: Field required"),
    ],
)
def test_mistakes_are_named(fingerprint, variants, problem):
    with pytest.raises(BadInput, match=problem):
        applied(fingerprint, variants)


def test_a_configuration_of_that_name_and_copies_for_domains_are_refused(fingerprint):
    with pytest.raises(BadInput, match=r"one_batch_size_5: a variant of one has this name"):
        applied(fingerprint, {"batch_size": [5]}, one_batch_size_5=ONE)
    with pytest.raises(BadInput, match=r"with per_domain cannot have variants"):
        applied(fingerprint, {"batch_size": [5]}, one={**ONE, "per_domain": True, "variants": {"batch_size": [5]}})


def test_the_search_of_paugam_et_al_begins_with_their_recipe(fingerprint):
    plans = {}
    for name in ("paugam", "paugam_search"):
        plans[name] = apply_recipe(make_plan(fingerprint), fingerprint, read_recipe(recipe_text(name)[1], name), name)
    same = {name: plan.configurations["paugam_small_unet"] for name, plan in plans.items()}
    assert same["paugam"] == same["paugam_search"]
    search = plans["paugam_search"]
    assert (search.split, search.axis_order) == (plans["paugam"].split, plans["paugam"].axis_order)
    compared = [search.configurations[name] for name in search.comparisons["paugam_small_unet_variants"].configurations]
    assert {one.batch_size for one in compared} == {5, 11, 50}
    rates = {one.training.initial_learning_rate for one in compared}
    assert (min(rates), max(rates), len(compared)) == (1e-9, 0.1, 15)
