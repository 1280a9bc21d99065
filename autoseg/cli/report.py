"""The verb report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoseg.cli.terminal import JsonOption, print_json, workspace_root
from autoseg.core.errors import BadInput

ALL = "all"


def report(
    name: Annotated[
        str, typer.Argument(metavar="NAME|FOLDER", help="A dataset or study of the workspace, or segmentations.")
    ],
    images: Annotated[
        list[Path] | None, typer.Option(metavar="INPUT", help="What the segmentations in FOLDER are of; repeatable.")
    ] = None,
    configuration: Annotated[
        str | None,
        typer.Option(help="Whose cases are shown.", show_default="what `select` chose, else the recommended"),
    ] = None,
    cases: Annotated[str, typer.Option(metavar="NUMBER|all", help="How many cases are in the viewer.")] = "9",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where the page goes.", show_default="reports/NAME.html")
    ] = None,
    figures: Annotated[Path | None, typer.Option(metavar="DIR", help="Also write every figure as SVG and PNG.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Write one HTML page that works offline: scores, cases to look at and to mark, data, plan, how to repeat it.

    Marks are exported as CSV; `autoseg convert-bids ... --exclude MARKS.csv` leaves out what failed.

    Example: autoseg report Cord
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.report import report as write_report

    number = None if cases == ALL else int(cases) if cases.isdecimal() and int(cases) else 0
    if number == 0:
        raise BadInput(f"--cases {cases}: give a number from 1, or {ALL}.")
    where = Workspace(workspace_root()), name, images or ()
    made = write_report(*where, configuration, number, output, figures)
    if as_json:
        print_json(
            {
                "name": name,
                "report": made.report,
                "num_cases": made.num_cases,
                "bytes": made.num_bytes,
                "figures": made.figures,
                "problems": made.problems,
            }
        )
        return
    shown = f" with {made.num_cases} cases to look at" if made.num_cases else ""
    print(f"{made.report} ({made.num_bytes / 1e6:.1f} MB){shown}: open it in a browser")
    for file in made.figures:
        print(f"figure: {file}")
