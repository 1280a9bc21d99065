"""The verb doctor: what the machine offers, and whether the whole path is right on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from autoseg.cli.terminal import OWN_FAILURE, DeviceOption, JsonOption, print_json, print_table, workspace_root

if TYPE_CHECKING:
    from autoseg.pipeline.self_test import Check


def doctor(
    self_test: Annotated[
        bool, typer.Option("--self-test", help="Segment a known phantom through the whole path, in every orientation.")
    ] = False,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what this machine offers; with --self-test, whether sides, axes and millimetres are right on it.

    The self-test needs no data, trains nothing, takes less than a minute and ends with status 1 if anything is wrong.

    Example: autoseg doctor --self-test
    """
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
