"""Recipes: partial plans that override what was decided about a dataset, such as a published system.

A recipe is a JSON document of ``title``, ``source``, what it changes of the plan (``axis_order``, ``split``,
``independent_labels``, ``recommended``) and its ``configurations``. Each has any keys of ``core/plan.py`` and
``inherits_from``, another one of the recipe or one that was planned: ``3d_fullres``, or ``2d`` for a network of two
dimensions, unless it says or is called otherwise. ``code`` holds the changes that follow the authors' code where it
differs from the paper. ``comparisons`` names groups of configurations to be compared (``autoseg experiment``);
``variants`` in a configuration makes a whole group of it (``recipe_variants``).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, JsonValue, ValidationError

from autoseg.core import plan_inheritance
from autoseg.core.document import Frozen, listed, wrong_entries
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import Fingerprint
from autoseg.core.plan import ComparisonSpec, Decision, Plan, SplitSpec, read_plan
from autoseg.planning import recipe_variants
from autoseg.planning.recipe_fitting import fit

Fidelity = Literal["paper", "code"]
_PER_DOMAIN = "per_domain"


class Recipe(Frozen):
    """The document; its configurations are checked when they are applied to a plan."""

    title: str
    source: str
    axis_order: tuple[int, int, int] | None = None
    independent_labels: bool | Literal["if_single"] = False  # an output for each label and none for background
    split: SplitSpec | None = None
    recommended: str
    configurations: dict[str, dict[str, JsonValue]]
    comparisons: dict[str, ComparisonSpec] = Field(default_factory=dict)
    code: dict[str, JsonValue] = Field(default_factory=dict)


def read_recipe(text: str, source: str, fidelity: Fidelity = "paper") -> Recipe:
    """Parse a recipe; with the fidelity ``code`` its changes of that name are made. BadInput lists every error."""
    try:
        recipe = Recipe.model_validate_json(text)
        if fidelity == "paper":
            return recipe
        if not recipe.code:
            raise BadInput(f"{source}: has no changes for --fidelity code; leave it out.")
        document = recipe.model_dump(mode="json", exclude={"code"})
        return Recipe.model_validate(plan_inheritance.merge(document, recipe.code))
    except ValidationError as error:
        raise BadInput(f"{source} is not a valid recipe ({wrong_entries(error)}); correct it.") from None


def apply_recipe(plan: Plan, fingerprint: Fingerprint, recipe: Recipe, name: str) -> Plan:
    """The plan with the configurations of the recipe, and no others, fitted to the dataset.

    With ``per_domain`` a configuration has a copy ``NAME_DOMAIN`` for each domain, trained on its cases alone.
    ``variants`` are not inherited. ``name`` is that of the recipe. BadInput lists what does not fit together.
    """
    written, comparisons = _written_out(plan, recipe, name)
    axis_order = recipe.axis_order or plan.axis_order
    configurations = {
        copy: fit(document, plan, fingerprint, axis_order)
        for key, one in written.items()
        for copy, document in _copies(key, one, fingerprint).items()
    }
    changed: dict[str, Any] = {
        "axis_order": axis_order,
        "configurations": configurations,
        "recommended": recipe.recommended,
        "recipe": name,
        "comparisons": comparisons,
    }
    if recipe.split is not None:
        changed["split"] = recipe.split.model_dump(mode="json")
    labels = plan.labels
    independent = len(labels.foreground) == 1 if recipe.independent_labels == "if_single" else recipe.independent_labels
    if independent and not labels.has_regions:
        order = [value for values in labels.foreground.values() for value in values]
        changed["labels"] = labels.model_dump(mode="json") | {"independent": True, "region_order": order}
    made = read_plan(json.dumps(plan.model_dump(mode="json") | changed), f"the recipe {name}")
    return made.model_copy(update={"decisions": _decisions(recipe, made)})


def _written_out(plan: Plan, recipe: Recipe, name: str) -> tuple[dict[str, dict[str, Any]], dict[str, dict[str, Any]]]:
    """The configurations with what they inherit, and their variants; the comparisons, also those of the variants."""
    planned = {key: one.model_dump(mode="json") for key, one in plan.configurations.items()}
    own = {key: _with_parent(key, one, planned) for key, one in recipe.configurations.items()}
    grids = {key: one.pop(recipe_variants.KEY) for key, one in own.items() if recipe_variants.KEY in one}
    resolved, problems = plan_inheritance.resolve({"configurations": planned | own})
    configurations = {key: resolved["configurations"][key] for key in own}
    comparisons = {key: one.model_dump(mode="json") for key, one in recipe.comparisons.items()}
    for key, grid in grids.items() if not problems else ():
        made, wrong = recipe_variants.expand(key, configurations[key], grid)
        taken = sorted(made.keys() & configurations.keys())
        problems += [*wrong, *((f"configurations.{one}", f"a variant of {key} has this name") for one in taken)]
        configurations |= made
        comparisons |= recipe_variants.comparison(key, grid, made) if made else {}
    if problems:
        listed = "; ".join(f"{path}: {problem}" for path, problem in problems)
        raise BadInput(f"the recipe {name} does not fit {plan.dataset}: {listed}.")
    return configurations, comparisons


def _with_parent(name: str, changes: Mapping[str, Any], planned: Mapping[str, Any]) -> dict[str, Any]:
    """The configuration of a recipe, saying what it inherits from; one of the same name as planned is written out."""
    network = changes.get("network", {})
    default = "2d" if isinstance(network, dict) and network.get("dimensions") == 2 else "3d_fullres"
    parent = changes.get(plan_inheritance.KEY, name if name in planned else default)
    if parent != name:
        return {**changes, plan_inheritance.KEY: parent}
    own = {key: value for key, value in changes.items() if key != plan_inheritance.KEY}
    written: dict[str, Any] = plan_inheritance.merge(planned.get(name, {}), own)
    return written


def _copies(name: str, document: Mapping[str, Any], fingerprint: Fingerprint) -> dict[str, dict[str, Any]]:
    """The configuration, and with ``per_domain`` one for each domain."""
    copies = {name: {key: value for key, value in document.items() if key != _PER_DOMAIN}}
    if document.get(_PER_DOMAIN):
        for domain in sorted({case.domain for case in fingerprint.cases}):
            copies[f"{name}_{domain}"] = {**copies[name], "name": f"{name}_{domain}", "train_domains": [domain]}
    return copies


def _decisions(recipe: Recipe, plan: Plan) -> tuple[Decision, ...]:
    """What the recipe says, and what became of it."""
    decisions = [Decision(what="recipe", choice=plan.recipe or "", reason=f"{recipe.title}; {recipe.source}")]
    for key, one in plan.configurations.items():
        choice = f"{one.network.name}, patch {listed(one.patch_size)}, batch {one.batch_size}"
        training = one.training
        reason = f"of the recipe: {training.loss}, {training.optimizer}, {training.epochs} epochs"
        decisions.append(Decision(what=key, choice=choice, reason=reason))
    return tuple(decisions)
