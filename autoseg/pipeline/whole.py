"""The whole path in one function: convert -> measure -> plan -> prepare -> train -> validate (-> report).

The stages lie beside this file. Each opens the files, hands objects to the rooms below and writes
what they return; each can be run again, and keeps what is finished.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput
from autoseg.io.workspace import Workspace
from autoseg.pipeline.conversion import match, write
from autoseg.pipeline.preparation import plan_dataset, read_or_make_plan
from autoseg.pipeline.report import report
from autoseg.pipeline.training import TrainingOptions
from autoseg.pipeline.trainings import Training, train_all
from autoseg.runtime.progress import say


def run(
    workspace: Workspace,
    bids_dirs: Sequence[Path],
    name: str,
    options: TrainingOptions,
    fold: str = "fold0",
    configuration: str | None = None,
    channels: Sequence[str] | None = None,
    contrasts: Sequence[str] | None = None,
    recipe: Path | None = None,
    memory_gb: float | None = None,
) -> dict[str, Any]:
    """From BIDS datasets to a validated model; run again after an interruption, it continues.

    Returns the dataset's name, the configuration, the folds and their validation summaries.
    """
    folder = workspace.dataset_folder(name)
    if folder.exists():
        require_same_sources(workspace, name, bids_dirs)
        say(f"{name} is converted already: {folder}")
        plan = read_or_make_plan(workspace, name)
    else:
        written = write(match(bids_dirs, channels, contrasts, recipe), folder, name)
        for problem in written.problems:
            say(f"left out: {problem.file}: {problem.sentence}", style="red")
        for note in written.notes:
            say(f"note: {note}", style="yellow")
        plan = plan_dataset(workspace, name, memory_gb, workers=options.workers)
    for decision in plan.decisions:
        say(f"  {decision.what}: {decision.choice} ({decision.reason})")
    chosen = configuration or plan.recommended
    summaries = train_all([Training(workspace, name, chosen, fold)], options)[0]
    return {"dataset": name, "configuration": chosen, "folds": summaries, "workspace": str(workspace.root)}


def with_report(workspace: Workspace, result: Mapping[str, Any]) -> dict[str, Any]:
    """The result of ``run``, and the page about it."""
    made = report(workspace, result["dataset"], configuration=result["configuration"])
    return {**result, "report": str(made.report)}


def require_same_sources(workspace: Workspace, name: str, bids_dirs: Sequence[Path]) -> None:
    """Refuse to take a dataset for the conversion of other folders than those that it was made from."""
    recorded = workspace.read_dataset(name).sources
    given = {path.resolve() for path in bids_dirs}
    if given != recorded:
        raise BadInput(
            f"{workspace.dataset_folder(name)}: was converted from {', '.join(map(str, sorted(recorded)))}; "
            "give these folders to continue, or choose another --dataset."
        )
