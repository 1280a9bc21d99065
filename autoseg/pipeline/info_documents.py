"""What is in the smaller documents: recipes, conversion recipes, studies and selections."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autoseg.core.selection import read_selection
from autoseg.core.study import read_study
from autoseg.interop import conversion_recipe
from autoseg.io.files import read_text
from autoseg.pipeline.description import Description, Table, enumerated
from autoseg.planning.recipe import read_recipe


def describe_recipe(path: Path) -> Description:
    """A recipe of ``plan --recipe``."""
    recipe = read_recipe(read_text(path), str(path))
    configurations: list[dict[str, Any]] = [
        {"name": name, "inherits_from": one.get("inherits_from"), "changes": sorted(set(one) - {"inherits_from"})}
        for name, one in recipe.configurations.items()
    ]
    document = {
        "file": str(path),
        "kind": "recipe",
        "title": recipe.title,
        "source": recipe.source,
        "recommended": recipe.recommended,
        "configurations": configurations,
        "comparisons": {name: one.title for name, one in recipe.comparisons.items()},
        "fidelities": ["paper", "code"] if recipe.code else ["paper"],
    }
    rows = [
        ("title", recipe.title),
        ("source", recipe.source),
        ("recommended", recipe.recommended),
        ("fidelity", "paper or code: the sources differ" if recipe.code else "paper"),
        ("comparisons", enumerated([f"{name} ({one.title})" for name, one in recipe.comparisons.items()])),
        ("use it", f"autoseg plan NAME --recipe {path}"),
    ]
    listed = [
        (str(one["name"]), str(one["inherits_from"] or "what is planned"), ", ".join(one["changes"]))
        for one in configurations
    ]
    table = Table("Configurations", ("name", "changes of", "what it changes"), listed)
    return Description(document, f"{path}: recipe", rows, [table])


def describe_conversion_recipe(path: Path) -> Description:
    """A recipe of ``convert-bids --recipe``."""
    recipe = conversion_recipe.read_recipe(path)
    document = {"file": str(path), "kind": "conversion_recipe", **recipe.model_dump(mode="json")}
    rows = [
        ("labels of every case", enumerated(recipe.labels) if recipe.labels else "what most cases have"),
        ("channels of a case", enumerated(recipe.channels) if recipe.channels else "one image a case"),
        ("kept together", f"cases of one {recipe.group} of participants.tsv" if recipe.group else "those of a subject"),
        ("use it", f"autoseg convert-bids BIDS_DIR... --dataset NAME --recipe {path}"),
    ]
    listed = [
        (
            name,
            enumerated(one.contrasts),
            enumerated([f"{label}: {pattern}" for label, pattern in one.labels.items()]),
            enumerated(one.exclude),
        )
        for name, one in recipe.datasets.items()
    ]
    table = Table("Datasets", ("folder", "contrasts", "labels", "left out"), listed)
    return Description(document, f"{path}: conversion recipe", rows, [table] if listed else [])


def describe_study(path: Path) -> Description:
    """A study of ``autoseg study``."""
    spec = read_study(read_text(path), str(path))
    document = {"file": str(path), "kind": "study", **spec.model_dump(mode="json")}
    length = spec.time_budget or ("1000 epochs" if spec.epochs is None else f"{spec.epochs} epochs")
    rows = [
        ("name", spec.name),
        ("train and test", enumerated(spec.datasets)),
        ("only test", enumerated(spec.unseen)),
        ("configuration", spec.configuration or "what the plan of each model recommends"),
        ("recipe", spec.recipe or "none: by the rules of autoseg"),
        ("each training", length),
        ("general models", "as the cases are" + (", and balanced" if spec.balance == "domains" else "")),
        ("scores", enumerated(spec.metrics)),
        ("use it", f"autoseg study {path}"),
    ]
    return Description(document, f"{path}: study", rows)


def describe_selection(path: Path) -> Description:
    """What ``autoseg select`` chose."""
    selection = read_selection(read_text(path), str(path))
    document = {
        "file": str(path),
        "kind": "selection",
        **selection.model_dump(mode="json", exclude={"calibration", "schema_version"}),
    }
    rows = [
        ("dataset", selection.dataset),
        ("chosen", f"{' + '.join(selection.configurations)}, {enumerated(selection.folds)}"),
        ("cross-validated Dice", _dice(selection.mean_dice)),
        ("because", selection.reason),
    ]
    candidates = [(one.title, _dice(one.mean_dice)) for one in selection.candidates]
    steps = [
        (one.what, _dice(one.dice_before), _dice(one.dice_after), "kept" if one.kept else "no gain")
        for one in selection.steps
    ]
    tables = [
        Table("Compared", ("configuration", "mean Dice"), candidates),
        Table("Only the largest component of", ("label", "Dice without", "Dice with", ""), steps),
    ]
    return Description(document, f"{path}: selection", rows, [table for table in tables if table.rows])


def _dice(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
