"""The verb that compares methods: compare."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from autoseg.cli.terminal import JsonOption, print_json, print_table
from autoseg.core.errors import BadInput


def compare(
    methods: Annotated[
        list[str],
        typer.Argument(metavar="NAME=EVALUATION...", help="Two or more evaluation.json, or the folders of them."),
    ],
    output: Annotated[Path, typer.Option("-o", "--output", help="Folder for the tables and figures.")],
    score: Annotated[str, typer.Option(help="What is compared: a column of evaluation.csv.")] = "dice",
    baseline: Annotated[
        str | None, typer.Option(metavar="NAME", help="The others are tested against it.", show_default="the first")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Compare methods that were evaluated on the same cases; writes comparison.md, .csv, .json and box plots.

    Mean, standard deviation and bootstrap interval of each label and overall; paired t-tests and Wilcoxon signed-rank
    tests against the baseline, two-tailed, Holm-corrected.

    Example: autoseg compare U-Net=runs/unet VoxHRNet=runs/voxhrnet -o comparison
    """
    from autoseg.evaluation.comparison import document
    from autoseg.evaluation.scores import SCORES
    from autoseg.pipeline.comparison import compare_evaluations
    from autoseg.reporting.comparison_tables import marks_rule, score_rows

    comparison = compare_evaluations(named_paths(methods), output, score, baseline)
    if as_json:
        print_json(document(comparison))
        return
    title = f"{SCORES[score].title}: mean ± standard deviation of {len(comparison.cases)} cases"
    print_table(title, ("label", *comparison.methods), list(score_rows(comparison)))
    print(marks_rule(comparison.baseline))
    print(f"details: {output / 'comparison.md'}")


def named_paths(arguments: list[str]) -> dict[str, Path]:
    """``NAME=PATH`` -> name: path, in order."""
    paths: dict[str, Path] = {}
    for argument in arguments:
        name, separator, path = argument.partition("=")
        if not (name and separator and path):
            raise BadInput(f"compare: {argument!r} is not NAME=EVALUATION; write for example U-Net=runs/unet.")
        if name in paths:
            raise BadInput(f"compare: two methods are called {name!r}; give each a name of its own.")
        paths[name] = Path(path)
    return paths
