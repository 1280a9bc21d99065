"""What is in a model, a file of ``export`` or the folders of folds: no tensor is read, only what describes them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

from autoseg.core.calibration import CALIBRATION, read_calibration
from autoseg.core.errors import BadInput
from autoseg.core.plan import Plan, read_plan
from autoseg.core.selection import Selection, read_selection
from autoseg.io.files import read_json, read_text
from autoseg.io.model_archive import PLAN, SELECTION, open_archive
from autoseg.io.weights_header import WeightsHeader, read_weights_header
from autoseg.pipeline.description import Description, Table, enumerated, file_size, times
from autoseg.pipeline.info_kind import WEIGHTS, trained_folders
from autoseg.pipeline.info_plan import (
    CONFIGURATION_HEADER,
    configuration_rows,
    expected_input,
    input_rows,
    summary,
)
from autoseg.pipeline.runs import recorded_split
from autoseg.runtime.progress import counted

FOLD_HEADER = ("configuration", "fold", "weights", "in", "trained on", "held-out Dice", "written")


@dataclass(frozen=True)
class Model:
    """``folds`` maps configuration -> fold -> the folder of its plan and weights; ``archive`` says what was checked."""

    dataset: str
    plan: Plan
    folds: Mapping[str, Mapping[str, Traversable]]
    selection: Selection | None
    archive: dict[str, Any] | None


def describe_model(path: Path) -> Description:
    """A model file, the folder of a fold, configuration or dataset in ``models``, or a weights file.

    BadInput: damaged or altered, or without the plan that says what the weights are.
    """
    model = _archive(path) if path.name.lower().endswith(".zip") else _folders(path)
    own = {name: _own_plan(next(iter(folds.values()))) for name, folds in model.folds.items()}
    trained = [_fold(name, fold, folder) for name, folds in model.folds.items() for fold, folder in folds.items()]
    size_bytes = path.stat().st_size if path.is_file() else sum(one["bytes"] for one in trained)
    document = {
        "file": str(path),
        "kind": "model",
        "bytes": size_bytes,
        "dataset": model.dataset,
        "archive": model.archive,
        **expected_input(model.plan),
        "configurations": [summary(plan, plan.configurations[name]) for name, plan in own.items()],
        "folds": trained,
        "selection": None if model.selection is None else _selection(model.selection),
    }
    rows = [("dataset", model.dataset), ("size", file_size(size_bytes))]
    if model.archive is not None:
        checked = f"the SHA-256 of all {model.archive['num_members']} members agree with its manifest"
        rows.append(("file", f"version {model.archive['version']}; {checked}"))
    rows += input_rows(model.plan)
    if model.selection is not None:
        rows.append(("predicts with", _selection_in_words(model.selection)))
    tables = [
        Table("Configurations", CONFIGURATION_HEADER, configuration_rows(document["configurations"])),
        Table("Folds", FOLD_HEADER, [_fold_row(one) for one in trained]),
    ]
    return Description(document, f"{path}: model", rows, tables)


def _archive(path: Path) -> Model:
    root, manifest = open_archive(path)
    plan = read_plan(read_text(root / PLAN), f"{path}/{PLAN}")
    chosen = root / SELECTION
    selection = read_selection(read_text(chosen), str(chosen)) if chosen.is_file() else None
    folds = {
        configuration.name: {fold.name: fold for fold in sorted(configuration.iterdir(), key=lambda one: one.name)}
        for configuration in sorted(root.iterdir(), key=lambda one: one.name)
        if configuration.is_dir()
    }
    checked = {"version": manifest.version, "num_members": len(manifest.sha256), "sha256_agrees": True}
    return Model(manifest.dataset, plan, folds, selection, checked)


def _folders(path: Path) -> Model:
    """The folders of folds at ``path``; a weights file stands for its folder."""
    found = trained_folders(path if path.is_dir() else path.parent)
    with_plan = [folder for folder in found if (folder / PLAN).is_file()]
    if not with_plan:
        raise BadInput(f"{path}: there is no {PLAN} beside the weights; give the folder of a fold in models/.")
    folds: dict[str, dict[str, Traversable]] = {}
    for folder in with_plan:
        folds.setdefault(_own_plan(folder).recommended, {})[folder.resolve().name] = folder
    plan = _own_plan(with_plan[0])
    chosen = path / SELECTION
    selection = read_selection(read_text(chosen), str(chosen)) if chosen.is_file() else None
    return Model(plan.dataset, plan, folds, selection, None)


def _own_plan(folder: Traversable) -> Plan:
    return read_plan(read_text(folder / PLAN), str(folder / PLAN))


def _fold(configuration: str, fold: str, folder: Traversable) -> dict[str, Any]:
    """What is known of one trained fold; an archive has no split, and no date: the same model is the same file."""
    plan = _own_plan(folder)
    spec = plan.configurations.get(configuration)
    wanted = spec.training.weights_file if spec else WEIGHTS[0]
    name = next(one for one in (wanted, *WEIGHTS) if (folder / one).is_file())
    header = read_weights_header(folder / name)
    split = recorded_split(folder) if isinstance(folder, Path) else None
    written, size_bytes, dice = None, 0, None
    if isinstance(folder, Path):
        status = (folder / name).stat()
        written, size_bytes = datetime.fromtimestamp(status.st_mtime, UTC).isoformat(timespec="seconds"), status.st_size
        dice = _held_out_dice(folder / "validation" / "evaluation.json")
    return {
        "configuration": configuration,
        "fold": fold,
        "weights_file": name,
        "num_weights": header.num_weights,
        "weight_types": list(header.types),
        "bytes": size_bytes,
        "written": written,
        **_progress(folder, header),
        "num_training_cases": None if split is None else len(split.train),
        "num_held_out_cases": None if split is None else len(split.scored),
        "held_out_dice": dice,
        "held_out_dice_where_found": _dice_where_found(folder / CALIBRATION),
    }


def _progress(folder: Traversable, header: WeightsHeader) -> dict[str, Any]:
    """Epochs, steps and minutes of the training, as far as they are recorded."""
    path = folder / "progress.jsonl"
    last: dict[str, Any] = {}
    if path.is_file():
        try:
            last = json.loads(read_text(path).splitlines()[-1])
        except (ValueError, IndexError):
            last = {}
    found = {**header.facts, **last}
    elapsed_s = found.get("elapsed_s")
    return {
        "epochs": None if found.get("epoch") is None else int(found["epoch"]),
        "steps": None if found.get("step") is None else int(found["step"]),
        "training_minutes": None if elapsed_s is None else round(float(elapsed_s) / 60, 2),
    }


def _held_out_dice(path: Path) -> float | None:
    """The mean over labels of the mean Dice over held-out cases; None where there were none."""
    if not path.is_file():
        return None
    document = read_json(path)
    try:
        dice = document["mean"]["dice"] if document.get("held_out", True) else None
    except (KeyError, TypeError, AttributeError):
        raise BadInput(f"{path}: is no evaluation; restore it, or run `autoseg evaluate` again.") from None
    return None if dice is None else float(dice)


def _dice_where_found(path: Traversable) -> float | None:
    """The same over the held-out cases in which a label was found at all, which is what a calibration holds."""
    if not path.is_file():
        return None
    calibration = read_calibration(read_text(path), str(path))
    means = [sum(dice for _, dice in pairs) / len(pairs) for pairs in calibration.labels.values() if pairs]
    return sum(means) / len(means) if means else None


def _fold_row(fold: dict[str, Any]) -> tuple[str, ...]:
    cases = "not recorded" if fold["num_training_cases"] is None else counted(fold["num_training_cases"], "case")
    took = "" if fold["training_minutes"] is None else f", {fold['training_minutes']:.1f} min"
    dice = "-" if fold["held_out_dice"] is None else f"{fold['held_out_dice']:.3f}"
    if fold["held_out_dice"] is not None and fold["num_held_out_cases"] is not None:
        dice += f" ({counted(fold['num_held_out_cases'], 'case')})"
    elif fold["held_out_dice"] is None and fold["held_out_dice_where_found"] is not None:
        dice = f"{fold['held_out_dice_where_found']:.3f} (where found)"
    written = (fold["written"] or "not recorded")[:10]
    types = f"{fold['weights_file']}, {', '.join(fold['weight_types'])}"
    place = fold["configuration"], fold["fold"]
    return (*place, f"{fold['num_weights']:,}", types, f"{cases}{took}", dice, written)


def _selection(selection: Selection) -> dict[str, Any]:
    return {
        "configurations": list(selection.configurations),
        "folds": list(selection.folds),
        "mean_dice": selection.mean_dice,
        "keep_largest": [list(values) for values in selection.postprocessing.keep_largest],
        "reason": selection.reason,
    }


def _selection_in_words(selection: Selection) -> str:
    dice = "" if selection.mean_dice is None else f", cross-validated Dice {selection.mean_dice:.3f}"
    kept = [times(values).replace(" x ", "+") for values in selection.postprocessing.keep_largest]
    after = f"; then only the largest component of {enumerated(kept)}" if kept else ""
    return f"{' + '.join(selection.configurations)}, {enumerated(selection.folds)}{dice}{after}"
