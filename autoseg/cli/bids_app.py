"""``autoseg-bids BIDS_DIR OUTPUT_DIR participant|group``: predict and measure as a BIDS App.

argparse, since typer has no options of several values (``--participant-label 01 02``), which BIDS Apps have.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from autoseg import __version__
from autoseg.cli.terminal import BAD_INPUT, run_guarded
from autoseg.core.errors import BadInput


def main() -> int:
    """Run the command line; the exit status is that of ``autoseg``."""
    return run_guarded(_run)


def _run() -> None:
    given = _parser().parse_args()
    if given.analysis_level == "group":
        _group(given)
    else:
        _participant(given)


def _participant(given: argparse.Namespace) -> None:
    from autoseg.interop.prediction_inputs import Subset, single_bids_dataset
    from autoseg.io.model_archive import ENDING
    from autoseg.io.workspace import usual_workspace
    from autoseg.pipeline.models import named_models
    from autoseg.pipeline.prediction import PredictionOptions, predict
    from autoseg.runtime.progress import counted

    if given.model is None:
        raise BadInput(f"--model: is missing; give the file of `autoseg export` (NAME{ENDING}) or a dataset's NAME.")
    if not single_bids_dataset([given.bids_dir]):
        raise BadInput(f"{given.bids_dir}: is no BIDS dataset; give a folder that holds sub-* folders.")
    models = named_models(given.model, usual_workspace(given.workspace))
    options = PredictionOptions(device=given.device, overwrite=given.overwrite, naming="bids")
    subset = Subset(tuple(given.participant_label), tuple(given.session_label))
    result = predict(models, [given.bids_dir], given.output_dir, options=options, subset=subset)
    kept = f", {len(result.skipped)} were there already" if result.skipped else ""
    print(f"{counted(len(result.written), 'segmentation')} in {given.output_dir}{kept}")
    if result.problems:
        raise SystemExit(BAD_INPUT)


def _group(given: argparse.Namespace) -> None:
    from autoseg.interop.prediction_inputs import Subset
    from autoseg.pipeline.group_volumes import write_group_volumes

    subset = Subset(tuple(given.participant_label), tuple(given.session_label))
    print(f"volumes: {write_group_volumes(given.output_dir, subset)}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="autoseg-bids",
        description="Segment the images of a BIDS dataset with a trained model (participant), and make a table of the "
        "volumes of all labels (group). The dataset is only read, and nothing is fetched from a network.",
        epilog="Example: autoseg-bids site/ out/ participant --model Cord.autoseg.zip --participant-label 01 02",
        allow_abbrev=False,
    )
    parser.add_argument("bids_dir", type=Path, help="The BIDS dataset.")
    parser.add_argument("output_dir", type=Path, help="The derivative dataset that is written.")
    parser.add_argument("analysis_level", choices=("participant", "group"))
    for name, prefix in (("participant", "sub-"), ("session", "ses-")):
        parser.add_argument(
            f"--{name}-label",
            f"--{name}_label",
            nargs="+",
            default=[],
            metavar="LABEL",
            help=f"These {name}s alone, with or without {prefix}.",
        )
    parser.add_argument("--model", metavar="FILE|NAME", help="File of `autoseg export`, or a dataset of the workspace.")
    parser.add_argument(
        "--workspace",
        type=Path,
        help="Where --model NAME is looked for; else $AUTOSEG_WORKSPACE, else ./autoseg-workspace.",
    )
    parser.add_argument("--device", help="cpu, cuda, cuda:N or mps; the best there is unless given.")
    parser.add_argument("--overwrite", action="store_true", help="Predict finished files again.")
    parser.add_argument("-v", "--version", action="version", version=f"autoseg {__version__}")
    return parser
