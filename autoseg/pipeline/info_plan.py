"""What is in a plan: its decisions with their reasons, and the main numbers of each configuration."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration, Plan, read_plan
from autoseg.core.trained_ranges import DomainRanges
from autoseg.io.files import read_text
from autoseg.pipeline.description import Description, Table, enumerated, times
from autoseg.runtime.progress import counted, duration

CONFIGURATION_HEADER = ("configuration", "patch (voxels)", "batch", "spacing (mm)", "network", "training")
_AXES = ("left-right", "back-front", "down-up")


def describe_plan(path: Path) -> Description:
    """The plan in a file; BadInput lists what is wrong with it."""
    plan = read_plan(read_text(path), str(path))
    document = {
        "file": str(path),
        "kind": "plan",
        "schema_version": plan.schema_version,
        "dataset": plan.dataset,
        "planner": plan.planner,
        "recipe": plan.recipe,
        **expected_input(plan),
        "recommended": plan.recommended,
        "configurations": [summary(plan, one) for one in plan.configurations.values()],
        "comparisons": sorted(plan.comparisons),
        "decisions": [decision.model_dump() for decision in plan.decisions],
    }
    by = f"the recipe {plan.recipe}" if plan.recipe else f"the planner {plan.planner}"
    rows = [
        ("dataset", plan.dataset),
        ("planned by", by),
        *input_rows(plan),
        ("recommended", plan.recommended),
    ]
    if plan.comparisons:
        rows.append(("comparisons", f"{enumerated(sorted(plan.comparisons))} (autoseg experiment)"))
    decisions = [(one.what, one.choice, one.reason) for one in plan.decisions]
    tables = [
        Table("Configurations", CONFIGURATION_HEADER, configuration_rows(document["configurations"])),
        Table("Decisions", ("decision", "choice", "reason"), decisions),
    ]
    return Description(document, f"{path}: plan", rows, tables)


def summary(plan: Plan, configuration: Configuration) -> dict[str, Any]:
    """The main numbers of a configuration, its axes by name."""
    training, dimensions = configuration.training, configuration.network.dimensions
    how = zip(plan.channels, configuration.normalization, strict=True)
    return {
        "name": configuration.name,
        "network": configuration.network.describe(),
        "dimensions": dimensions,
        "axes": axis_names(plan)[3 - dimensions :],
        "patch_size": list(configuration.patch_size),
        "spacing_mm": list(configuration.spacing_mm),
        "batch_size": configuration.batch_size,
        "whole_case": configuration.whole_case,
        "normalization": dict(how),
        "previous_stage": configuration.previous_stage,
        "loss": training.loss,
        "epochs": training.epochs,
        "steps_per_epoch": training.steps_per_epoch,
        "time_budget_s": training.time_budget_s,
    }


def configuration_rows(summaries: Sequence[dict[str, Any]]) -> list[tuple[str, ...]]:
    """Under ``CONFIGURATION_HEADER``."""
    return [
        (
            one["name"],
            times(one["patch_size"]) + (" (whole case)" if one["whole_case"] else ""),
            str(one["batch_size"]),
            f"{times(round(side, 4) for side in one['spacing_mm'])} ({', '.join(one['axes'])})",
            one["network"],
            f"{one['loss']}, "
            + (
                duration(one["time_budget_s"])
                if one["time_budget_s"]
                else f"{one['epochs']} epochs x {one['steps_per_epoch']} steps"
            ),
        )
        for one in summaries
    ]


def expected_input(plan: Plan) -> dict[str, Any]:
    """What a model of the plan takes, and what it tells apart."""
    return {
        "channels": list(plan.channels),
        "labels": labels_document(plan.labels),
        "orientation": plan.orientation,
        "domains": [_domain(name, ranges) for name, ranges in plan.trained_ranges.items()],
    }


def input_rows(plan: Plan) -> list[tuple[str, str]]:
    """The same in words."""
    turned = (
        "any orientation and spacing: images are turned and resampled, results come on the grid of the image"
        if plan.orientation == "canonical"
        else "images stored as those that it was trained on: nothing is turned to one orientation"
    )
    how: dict[str, set[str]] = {channel: set() for channel in plan.channels}
    for configuration in plan.configurations.values():
        for channel, scheme in zip(plan.channels, configuration.normalization, strict=True):
            how[channel].add(scheme)
    channels = [f"{channel} ({', '.join(sorted(how[channel]))})" for channel in plan.channels]
    rows = [
        ("input", f"{counted(len(plan.channels), 'channel')} in this order: {enumerated(channels)}"),
        ("", turned),
        ("labels", labels_in_words(plan.labels)),
    ]
    return rows + [(f"domain {name}", domain_in_words(one)) for name, one in plan.trained_ranges.items()]


def labels_document(labels: Labels) -> dict[str, int | list[int]]:
    """Name -> value, or the values of a region."""
    return {name: value if isinstance(value, int) else list(value) for name, value in labels.values.items()}


def labels_in_words(labels: Labels) -> str:
    """Such as ``0 background, 1 cord``; of a region all values."""
    return enumerated([f"{'+'.join(map(str, _values(value)))} {name}" for name, value in labels.values.items()], 40)


def axis_names(plan: Plan) -> list[str]:
    """Of the working axes, in their order."""
    if plan.orientation == "stored":
        return [f"axis {axis} of the file" for axis in plan.axis_order]
    return [_AXES[axis] for axis in plan.axis_order]


def domain_in_words(ranges: DomainRanges) -> str:
    """How many cases a domain had, and their spacings."""
    sides = " x ".join(
        f"{span.smallest:.4g}" if span.smallest == span.largest else f"{span.smallest:.4g} to {span.largest:.4g}"
        for span in ranges.spacing_mm
    )
    return f"{counted(ranges.num_cases, 'case')}, spacing {sides} mm (RAS), stored as {', '.join(ranges.orientations)}"


def _domain(name: str, ranges: DomainRanges) -> dict[str, Any]:
    return {
        "domain": name,
        "num_cases": ranges.num_cases,
        "orientations": list(ranges.orientations),
        "spacing_mm": [[span.smallest, span.largest] for span in ranges.spacing_mm],
        "field_of_view_mm": [[span.smallest, span.largest] for span in ranges.field_of_view_mm],
    }


def _values(value: int | tuple[int, ...]) -> tuple[int, ...]:
    return (value,) if isinstance(value, int) else value
