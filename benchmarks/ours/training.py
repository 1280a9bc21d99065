"""Time training steps: ``python -m benchmarks.ours.training WORKSPACE DATASET CONFIGURATION --steps N``."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from autoseg.core.plan import read_plan
from autoseg.io.store import StoredCase, open_case
from autoseg.io.workspace import Workspace
from autoseg.networks import build_planned
from autoseg.pipeline.preparation import dataset_folds
from autoseg.runtime.devices import Execution, usual_execution
from autoseg.runtime.memory import keep_freed_memory
from autoseg.training import checkpoint
from autoseg.training.step import training_step
from autoseg.training.trainer import Assignment, make_optimizer, patch_streams


def main() -> None:
    """Time the steps of fold 0 on the CPU."""
    parser = argparse.ArgumentParser()
    parser.add_argument("workspace", type=Path)
    parser.add_argument("dataset")
    parser.add_argument("configuration")
    parser.add_argument("--steps", type=int, required=True)
    asked = parser.parse_args()
    keep_freed_memory()
    with TemporaryDirectory() as folder:
        assignment = make_assignment(Workspace(asked.workspace), asked.dataset, asked.configuration, Path(folder))
        execution = usual_execution("cpu", assignment.configuration.training.precision)
        step_s = time_steps(assignment, execution, asked.steps)
    print(json.dumps({"step_s": step_s, "execution": execution.describe()}))


def make_assignment(workspace: Workspace, name: str, configuration: str, folder: Path) -> Assignment:
    """Fold 0 of the prepared dataset."""
    dataset = workspace.read_dataset(name)
    path = dataset.folder / "plan.json"
    plan = read_plan(path.read_text(encoding="utf-8"), str(path))
    prepared = workspace.preprocessed_folder(name, configuration)
    fold = dataset_folds(dataset)[0]

    def stored(names: Sequence[str]) -> list[StoredCase]:
        return [open_case(prepared, one) for one in names]

    planned = plan.configurations[configuration]
    return Assignment(planned, plan.labels, len(plan.channels), stored(fold.train), stored(fold.validation), folder)


def time_steps(assignment: Assignment, execution: Execution, number: int) -> list[float]:
    """Seconds of each step, as the training loop does them."""
    configuration = assignment.configuration
    torch.manual_seed(configuration.training.seed)
    network = build_planned(configuration.network, assignment.num_channels, assignment.labels.num_outputs)
    network = execution.place_network(network, configuration.network.dimensions)
    network.deep_supervision = True
    optimizer = make_optimizer(network, configuration)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    batches, _ = patch_streams(assignment, execution, checkpoint.Run())
    stamps = [time.perf_counter()]
    for _ in range(number):
        training_step(network, optimizer, scaler, next(batches), execution, configuration, assignment.labels)
        stamps.append(time.perf_counter())
    return [after - before for before, after in pairwise(stamps)]


if __name__ == "__main__":
    main()
