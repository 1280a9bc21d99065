"""The command line: ``autoseg [--workspace DIR] VERB ...``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from autoseg.cli import comparison, data, delivery, experiments, models, nnunet, profile, whole
from autoseg.cli.terminal import choose_workspace, run_guarded

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


VERBS: dict[str, Callable[..., Any]] = {
    "convert-bids": data.convert_bids,
    "plan": data.plan,
    "preprocess": data.preprocess,
    "train": models.train,
    "predict": models.predict,
    "evaluate": models.evaluate,
    "compare": comparison.compare,
    "experiment": experiments.experiment,
    "select": delivery.select,
    "export": delivery.export,
    "profile": profile.profile,
    "run": whole.run,
    "demo": whole.demo,
    "import-nnunet": nnunet.import_nnunet,
    "export-nnunet": nnunet.export_nnunet,
}
for verb, function in VERBS.items():
    app.command(verb)(function)


def main() -> int:
    """Run the command line; the exit status: 0, 2 for bad input, 1 for a failure of our own, 130 if interrupted."""
    return run_guarded(app)
