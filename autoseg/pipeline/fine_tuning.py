"""A training that begins with the weights of another model."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.core.errors import BadInput
from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Decision, Plan, read_plan
from autoseg.io.files import read_text
from autoseg.io.model_archive import ENDING, PLAN, WEIGHTS
from autoseg.io.workspace import nearest_name
from autoseg.networks import build_planned
from autoseg.pipeline.models import archived_models
from autoseg.pipeline.runs import recorded_split
from autoseg.preprocessing.previous_stage import num_input_channels
from autoseg.runtime.progress import counted, say

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class InitialModel:
    """The weights of a network, with the plan that it was trained by and the cases that it has seen, if known.

    ``plan.recommended`` is the configuration of the weights where the plan lies beside them.
    """

    source: Path
    weights: Mapping[str, torch.Tensor]
    plan: Plan | None
    trained_on: frozenset[str]


@dataclass(frozen=True)
class Beginning:
    """What a training begins with: its configuration, weights by name, and the decision in words."""

    configuration: Configuration
    weights: Mapping[str, torch.Tensor]
    decision: Decision


def begin(source: Path | None, configuration: Configuration, plan: Plan, held_out: Collection[str]) -> Beginning | None:
    """``begin_with`` the model of ``source``; None without one. BadInput if weights are frozen then."""
    if source is not None:
        return begin_with(read_initial_model(source, configuration.name), configuration, plan, held_out)
    if configuration.training.frozen:
        raise BadInput(
            f"{configuration.name}: freezes {', '.join(configuration.training.frozen)}, which only a trained model "
            "can give; name it with --init-from."
        )
    return None


def read_initial_model(source: Path, configuration_name: str) -> InitialModel:
    """Of the folder of a trained fold, of a weights file with what lies beside it, or of an exported model.

    Of the last, the first fold of the configuration.
    """
    from autoseg.networks import model_file

    if not source.exists():
        raise BadInput(f"{source}: there is no such file or folder; give --init-from a trained fold or its weights.")
    if source.name.endswith(ENDING):
        folds = archived_models(source).folds
        if configuration_name not in folds:
            raise BadInput(
                f"{source}: holds no {configuration_name} to begin with ({nearest_name(configuration_name, folds)})."
            )
        _, folder = min(folds[configuration_name].items())
        text = read_text(folder / PLAN)
        own = read_plan(text, f"{source}/{configuration_name}/{folder.name}/{PLAN}")
        weights_file = own.configurations[configuration_name].training.weights_file
        return InitialModel(source, model_file.read_weights(folder / weights_file), own, frozenset())
    file = source / WEIGHTS if source.is_dir() else source
    if not file.is_file():
        raise BadInput(
            f"{source}: holds no {WEIGHTS}; --init-from takes the folder of a trained fold "
            "(models/NAME/CONFIGURATION/foldK), a weights file or an exported model."
        )
    weights, _ = model_file.read(file)
    document, split = file.with_name(PLAN), recorded_split(file.parent)
    plan = read_plan(read_text(document), str(document)) if document.is_file() else None
    return InitialModel(source, weights, plan, frozenset(split.train if split else ()))


def begin_with(model: InitialModel, configuration: Configuration, plan: Plan, held_out: Collection[str]) -> Beginning:
    """Those weights of the model that fit the network of ``configuration``; BadInput if none does, or one that is
    frozen does not.

    ``plan`` is that of the new training. A note warns of ``held_out`` cases that the model was trained on.
    """
    import torch

    from autoseg.training.frozen import require_given
    from autoseg.training.initial_weights import fitting_weights

    configuration = as_wide_as(model, configuration)
    with torch.device("meta"):
        network = build_planned(configuration.network, num_input_channels(plan, configuration), plan.labels.num_outputs)
    weights, taken = fitting_weights(network.state_dict(), model.weights)
    if not weights:
        raise BadInput(
            f"{model.source}: its weights do not fit the network of {configuration.name} ({taken.describe()}); "
            "give --init-from a model of the same planner and configuration."
        )
    frozen = configuration.training.frozen
    require_given(network, frozen, weights, model.source)
    say(f"begin with {model.source}: {taken.describe()}")
    reason = "asked for with --init-from"
    if frozen:
        say(f"frozen: {', '.join(frozen)}")
        reason += f"; frozen: {', '.join(frozen)}"
    if model.plan is not None:
        labels = ", ".join(model.plan.labels.output_names)
        reason += f"; trained on {model.plan.dataset} ({model.plan.recommended}) for the labels {labels}"
        seen = model.trained_on & set(held_out) if model.plan.dataset == plan.dataset else ()
        if seen:
            warning = f"it was trained on {len(seen)} of the {counted(len(held_out), 'held-out case')}"
            say(f"note: {warning}: their scores prove nothing", style="yellow")
            reason += f"; {warning}"
    return Beginning(
        configuration,
        weights,
        Decision(what="initial weights", choice=f"{model.source}: {taken.describe()}", reason=reason),
    )


def as_wide_as(model: InitialModel, configuration: Configuration) -> Configuration:
    """The configuration with the features of the model's network, where the networks differ in nothing else.

    A time budget may have narrowed the model; in a wider network none of its weights would fit.
    """
    if model.plan is None:
        return configuration
    planned, trained = configuration.network, model.plan.configurations[model.plan.recommended].network
    if not (isinstance(planned, NetworkSpec) and isinstance(trained, NetworkSpec)):
        return configuration
    widened = planned.model_copy(update={"features_per_stage": trained.features_per_stage})
    return configuration.model_copy(update={"network": trained}) if widened == trained else configuration
