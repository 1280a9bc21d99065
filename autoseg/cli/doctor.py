"""The verb doctor: what the machine offers and whether the whole path is right on it; or what is wrong with data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoseg.cli.terminal import (
    BAD_INPUT,
    OWN_FAILURE,
    DeviceOption,
    JsonOption,
    print_facts,
    print_json,
    print_table,
    workspace_root,
)
from autoseg.core.errors import BadInput

if TYPE_CHECKING:
    from autoseg.pipeline.doctor_data import Diagnosis
    from autoseg.pipeline.self_test import Check

MAX_LISTED = 20


def doctor(
    paths: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="[PATH]...",
            help="Data to examine: BIDS datasets, folders of images, images, datasets of the workspace.",
        ),
    ] = None,
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Segment a known phantom through the whole path, in every orientation.")
    ] = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine offers, or of each PATH what is found, made good silently, doubtful, and left out.

    All images are read; nothing is written. Status 2 if anything would be left out, with the remedy. --self-test tells
    whether sides, axes and millimetres are right here: no data, less than a minute, status 1 if anything is wrong.

    Example: autoseg doctor site-a new-images/sub-01_T2w.nii.gz

    Example: autoseg doctor --self-test
    """
    if not paths:
        _examine_machine(self_test, device, as_json)
    elif self_test or device is not None:
        raise BadInput("doctor: a PATH is examined alone; leave out --self-test and --device.")
    else:
        _examine_data(paths, as_json)


def _examine_data(paths: list[Path], as_json: bool) -> None:
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.doctor_data import diagnose

    workspace = Workspace(workspace_root())
    diagnoses = [diagnose(path, workspace) for path in paths]
    if as_json:
        print_json({"data": [one.document() for one in diagnoses]})
    else:
        for one in diagnoses:
            show_diagnosis(one)
    if any(one.left_out for one in diagnoses):
        raise typer.Exit(BAD_INPUT)


def show_diagnosis(one: Diagnosis) -> None:
    """What was found, then what is made good, doubtful and left out, then the verdict."""
    from autoseg.runtime.progress import counted

    print_facts(one.path, one.facts)
    if one.repairs:
        rows = [(repair.what, repair.how, str(len(repair.files)), repair.files[0].name) for repair in one.repairs]
        print_table("Made good silently", ("what is special", "what is done", "files", "such as"), rows)
    if one.doubts:
        print("To look at")
        for doubt in one.doubts[:MAX_LISTED]:
            print(f"- {doubt}")
    if one.left_out:
        left_out = [(str(problem.file), problem.sentence) for problem in one.left_out[:MAX_LISTED]]
        print_table(f"Left out ({len(one.left_out)})", ("file", "why, and what helps"), left_out)
    if max(len(one.doubts), len(one.left_out)) > MAX_LISTED:
        print(f"the first {MAX_LISTED} of each are listed; --json lists all")
    needed = f"{counted(len(one.left_out), 'file')} would be left out" if one.left_out else "nothing has to be done"
    print(f"{one.path}: {needed}\n")


def _examine_machine(self_test: bool, device: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from autoseg.pipeline import doctor as machine

    findings = machine.examine(workspace_root())
    document: dict[str, Any] = {"machine": [asdict(finding) for finding in findings]}
    if not as_json:
        rows = [(one.what, one.found, one.meaning) for one in findings]
        print_table("This machine", ("", "found", "what that means"), rows)
    checks: list[Check] = []
    if self_test:
        from autoseg.pipeline.self_test import self_test as run
        from autoseg.pipeline.self_test import standard_grids

        checks = run(device, *standard_grids())
        document["self_test"] = [asdict(check) for check in checks]
    wrong = [f"{check.name}: {problem}" for check in checks for problem in check.problems]
    if as_json:
        print_json(document)
    elif checks:
        show_checks(checks, wrong)
    if wrong:
        raise typer.Exit(OWN_FAILURE)


def show_checks(checks: list[Check], wrong: list[str]) -> None:
    """A row for each way through the path, then what is wrong."""
    rows = [
        (one.name, str(one.num_grids), f"{one.farthest_mm:.2f}", "wrong" if one.problems else "right") for one in checks
    ]
    print_table("Self-test", ("path", "grids", "farthest (mm)", ""), rows)
    for problem in wrong:
        print(problem)
    if wrong:
        print(f"{len(wrong)} grids are wrong: do not use results of this installation, and report what stands above.")
    else:
        print("Every blob was found where it is, on every grid.")
