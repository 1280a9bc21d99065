"""What the other processes of a training do: what the first one tells them, until it says that it is all.

The first runs the pipeline as a single process does. Before each part that takes all of them it sends a message with
all that decides it; files that it has written by then are read, from the same workspace.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration, read_plan
from autoseg.io.workspace import Workspace
from autoseg.pipeline.runs import assignment_of, recorded_split
from autoseg.pipeline.validation import segment_share
from autoseg.runtime import ranks
from autoseg.runtime.memory import keep_freed_memory
from autoseg.training.schedule import Clock


def follow(workspace: Workspace, device: str) -> None:
    """Probe, train and validate with the first process, until it says ``end``."""
    parts = {"probe": probe_together, "train": train_together, "validate": segment_share}
    while (message := ranks.told())["do"] != "end":
        with suppress(FloatingPointError):  # in every process alike; the first one tells
            parts[message["do"]](workspace, message, device)


def probe_together(workspace: Workspace, message: dict[str, Any], device: str) -> None:
    """Time steps of a configuration; the first process uses the times."""
    from autoseg.runtime.devices import Execution
    from autoseg.training.probe import seconds_per_step
    from autoseg.training.trainer import Assignment

    configuration, labels = Configuration(**message["configuration"]), Labels(**message["labels"])
    assignment = Assignment(configuration, labels, message["num_channels"], [], [], workspace.root)
    seconds_per_step(assignment, Execution(**message["execution"]))


def train_together(workspace: Workspace, message: dict[str, Any], device: str) -> None:
    """Train a fold that the first process has prepared; its weights are the first one's."""
    from autoseg.runtime.devices import Execution
    from autoseg.training.trainer import train

    configuration = Configuration(**message["configuration"])
    folder = workspace.model_folder(message["dataset"], configuration.name, message["fold"])
    plan, fold = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder)), recorded_split(folder)
    assert fold is not None  # the first process has recorded it
    dataset = workspace.read_dataset(message["dataset"])
    assignment = assignment_of(workspace, dataset, plan, configuration, message["fold"], fold, device, {})
    keep_freed_memory()
    train(assignment, Execution(**message["execution"]), Clock(configuration.training))


def tell_end() -> None:
    """All is done: the other processes end."""
    ranks.tell({"do": "end"})
