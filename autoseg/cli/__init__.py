"""The command line: ``autoseg [--workspace DIR] VERB ...``."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from autoseg.cli import (
    comparison,
    data,
    delivery,
    doctor,
    experiments,
    info,
    models,
    nnunet,
    profile,
    report,
    training,
    whole,
)
from autoseg.cli.terminal import choose_workspace, run_guarded, workspace_root
from autoseg.io.history import remember
from autoseg.runtime.launching import speaks_through_another
from autoseg.runtime.lifeline import end_with_parent

app = typer.Typer(
    name="autoseg",
    help="From BIDS datasets with manual segmentations to a validated model, and from a model to segmentations.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `autoseg demo`, or `autoseg run BIDS_DIR --dataset NAME`.",
)


@app.callback()
def _workspace(
    workspace: Annotated[
        Path | None,
        typer.Option(help="Where everything is kept; else $AUTOSEG_WORKSPACE, else ./autoseg-workspace."),
    ] = None,
) -> None:
    choose_workspace(workspace)


VERBS: dict[str, tuple[Callable[..., Any], str]] = {  # with what the list of verbs says of each
    "convert-bids": (data.convert_bids, "BIDS datasets with manual segmentations to one dataset."),
    "plan": (data.plan, "Measure a dataset and decide how to solve it."),
    "preprocess": (data.preprocess, "Crop, normalise and resample the cases."),
    "train": (training.train, "Train a fold and validate it on its held-out cases."),
    "predict": (models.predict, "Segment images."),
    "evaluate": (models.evaluate, "Score segmentations against references."),
    "compare": (comparison.compare, "Test methods against each other on the same cases."),
    "experiment": (experiments.experiment, "Train and compare the configurations of a recipe."),
    "study": (experiments.study, "General against specific models, on seen and unseen datasets."),
    "report": (report.report, "One page to look at: scores, cases, data, plan."),
    "select": (delivery.select, "Choose the best configuration or pair of them."),
    "export": (delivery.export, "Write a trained model to one file."),
    "profile": (profile.profile, "Measure time, memory and GPU of a configuration."),
    "info": (info.info, "What is in a file: image, model, plan, dataset."),
    "doctor": (doctor.doctor, "What this machine offers, or what is wrong with data."),
    "run": (whole.run, "From BIDS datasets to a validated model."),
    "demo": (whole.demo, "Do it all with a small synthetic dataset."),
    "import-nnunet": (nnunet.import_nnunet, "Take over a dataset or a model of nnU-Net."),
    "export-nnunet": (nnunet.export_nnunet, "Write a dataset or a model for nnU-Net."),
}
MAKING = VERBS.keys() - {"demo", "doctor", "info", "report", "run"}  # remembered when they end; run does it itself
for verb, (function, summary) in VERBS.items():
    app.command(verb, short_help=summary)(function)


def main() -> int:
    """Run the command line; the exit status: 0, 2 for bad input, 1 for our own failure, 130 interrupted by a user."""
    arguments = sys.argv[1:]
    end_with_parent()
    status = run_guarded(app)
    asks = {"-h", "--help"}.intersection(arguments)
    if status == 0 and MAKING.intersection(arguments) and not asks and not speaks_through_another():
        remember(workspace_root(), arguments)
    return status
