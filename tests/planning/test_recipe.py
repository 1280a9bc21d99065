"""Recipes applied to a dataset; those that come with autoseg, and small ones."""

import json
from dataclasses import replace

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import Fingerprint
from autoseg.core.labels import Labels
from autoseg.core.network_spec import PublishedNetwork
from autoseg.io.recipes import recipe_names, recipe_text
from autoseg.planning.planner import make_plan
from autoseg.planning.recipe import apply_recipe, read_recipe

SHIPPED = recipe_names()


@pytest.fixture
def two_sites(make_fingerprint, make_measurement) -> Fingerprint:
    """Cases of two domains."""
    shapes = [(35, 51, 36), (37, 47, 41), (40, 55, 33)]
    cases = [
        replace(make_measurement(f"case{i}", shape), domain=f"site-{'ab'[i % 2]}") for i, shape in enumerate(shapes)
    ]
    return make_fingerprint(labels={"white": 1, "grey": 2}).model_copy(update={"cases": tuple(cases)})


def applied(fingerprint, document, fidelity="paper"):
    return apply_recipe(
        make_plan(fingerprint), fingerprint, read_recipe(json.dumps(document), "mine", fidelity), "mine"
    )


NETWORK = {"name": "voxhrnet", "dimensions": 3, "size_multiple": [4, 4, 4], "params": {"size": "base"}}
ONE = {"network": NETWORK, "patch_size": "largest", "whole_case": True, "crop": "none"}


def small(**changes):
    document = {"title": "t", "source": "s", "recommended": "one", "configurations": {"one": ONE}, **changes}
    return json.loads(json.dumps(document))  # a copy that a test may change


@pytest.mark.parametrize("fidelity", ["paper", "code"])
@pytest.mark.parametrize("name", SHIPPED)
def test_every_recipe_that_is_shipped_fits_a_dataset(name, fidelity, two_sites):
    _, text = recipe_text(name)
    if fidelity == "code" and not json.loads(text).get("code"):
        with pytest.raises(BadInput, match="no changes for --fidelity code"):
            read_recipe(text, name, "code")
        return
    recipe = read_recipe(text, name, fidelity)
    plan = apply_recipe(make_plan(two_sites), two_sites, recipe, name)
    assert plan.recipe == name
    assert plan.recommended in plan.configurations
    assert set(recipe.configurations) <= set(plan.configurations)
    compared = {one for comparison in recipe.comparisons.values() for one in comparison.configurations}
    assert {one for one in compared if not one.endswith("*")} <= set(plan.configurations)
    assert {comparison.baseline for comparison in recipe.comparisons.values()} <= set(plan.configurations)
    if fidelity == "code":
        assert plan.configurations != apply_recipe(make_plan(two_sites), two_sites, read_recipe(text, name), name)


def test_the_largest_patch_holds_every_case(two_sites):
    plan = applied(two_sites, small())
    (configuration,) = plan.configurations.values()
    shapes = [[case.shape[axis] for axis in plan.axis_order] for case in two_sites.cases]
    expected = tuple(-(-max(sizes) // 4) * 4 for sizes in zip(*shapes, strict=True))
    assert configuration.patch_size == expected
    assert configuration.network == PublishedNetwork(**small()["configurations"]["one"]["network"])


def test_a_patch_is_no_larger_than_the_cases(two_sites):
    document = small()
    document["configurations"]["one"]["patch_size"] = [160, 24, 160]
    (configuration,) = applied(two_sites, document).configurations.values()
    assert configuration.patch_size[1] == 24
    assert max(configuration.patch_size) < 64


def test_slices_are_cut_across_the_axis_of_the_recipe(make_fingerprint):
    fingerprint = make_fingerprint((30, 40, 50), (4.0, 1.0, 0.5), num_cases=3)
    plan = apply_recipe(make_plan(fingerprint), fingerprint, read_recipe(recipe_text("paugam")[1], "paugam"), "paugam")
    configuration = plan.configurations["paugam_small_unet"]
    assert plan.axis_order == (2, 1, 0)
    assert configuration.spacing_mm == (1.0, 4.0)
    assert configuration.patch_size == (40, 32)


def test_a_domain_has_a_model_of_its_own(two_sites):
    document = small()
    document["configurations"]["one"]["per_domain"] = True
    plan = applied(two_sites, document)
    assert {name: one.train_domains for name, one in plan.configurations.items()} == {
        "one": (),
        "one_site-a": ("site-a",),
        "one_site-b": ("site-b",),
    }


def test_single_labels_get_one_output_if_the_recipe_says_so(two_sites):
    single = two_sites.model_copy(update={"labels": Labels(values={"lesion": 1})})
    document = small(independent_labels="if_single")
    assert applied(single, document).labels == Labels(values={"lesion": 1}, region_order=(1,), independent=True)
    assert not applied(two_sites, document).labels.independent
    assert applied(two_sites, small(independent_labels=True)).labels.num_outputs == len(two_sites.labels.foreground)


def test_the_code_changes_what_the_paper_says(two_sites):
    document = small(code={"configurations": {"one": {"network": {"params": {"size": "small"}}}}})
    assert applied(two_sites, document).configurations["one"].network.params == {"size": "base"}
    assert applied(two_sites, document, "code").configurations["one"].network.params == {"size": "small"}


def test_one_of_the_same_name_changes_what_was_planned(two_sites):
    document = small(recommended="3d_fullres", configurations={"3d_fullres": {"training": {"epochs": 7}}})
    planned, changed = make_plan(two_sites).configurations["3d_fullres"], applied(two_sites, document)
    training = planned.training.model_copy(update={"epochs": 7})
    assert changed.configurations == {"3d_fullres": planned.model_copy(update={"training": training})}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"configurations": {"one": {"inherits_from": "4d"}}}, "'4d' is no configuration"),
        ({"recommended": "two"}, "'two' is no configuration"),
        ({"configurations": {"one": {"batch_size": 0}}}, r"one\.batch_size"),
        ({"titel": "t"}, "titel: Extra inputs"),
        ({"configurations": {"one": {"network": {"name": "voxhrnet", "dimensions": 3}}}}, r"network\.size_multiple"),
        ({"configurations": {"one": {"network": {"name": "voxhrnet"}}}}, r"network\.dimensions"),
        ({"configurations": {"one": {**ONE, "resized_shape": "large"}}}, r"one\.resized_shape"),
        ({"split": {"folds": 1}}, r"split\.folds"),
    ],
)
def test_mistakes_are_named(two_sites, change, problem):
    with pytest.raises(BadInput, match=problem):
        applied(two_sites, small(**change))
