"""The verb info: what is in a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from autoseg.cli.terminal import BAD_INPUT, JsonOption, print_facts, print_json, print_table
from autoseg.core.errors import BadInput

if TYPE_CHECKING:
    from autoseg.pipeline.description import Description


def info(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Images (or DICOM folders), models, plans, recipes, studies, fingerprints, datasets (BIDS too).",
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Say what is in a file, in words and numbers, and what autoseg makes of it. Nothing is written.

    Example: autoseg info sub-01_T2w.nii.gz Cord.autoseg.zip
    """
    entries = []
    problems = []
    for file in files:
        try:
            found = describe(file)
        except BadInput as error:
            problems.append(str(error))
            entries.append({"file": str(file), "kind": "unknown", "problem": str(error)})
            continue
        entries.append(found.document)
        if not as_json:
            if len(entries) > 1:
                print()
            show(found)
    if as_json:
        print_json(entries)
    if problems:
        from autoseg.runtime.progress import say

        for problem in problems:
            say(f"autoseg: {problem}")
        raise typer.Exit(BAD_INPUT)


def describe(path: Path) -> Description:
    """The description of one file; only the module for its kind is imported, so that an image is told at once."""
    from autoseg.pipeline.info_kind import kind_of

    kind = kind_of(path)
    if kind == "image":
        from autoseg.pipeline.info_image import describe_image

        return describe_image(path)
    if kind == "model":
        from autoseg.pipeline.info_model import describe_model

        return describe_model(path)
    if kind == "plan":
        from autoseg.pipeline.info_plan import describe_plan

        return describe_plan(path)
    from autoseg.pipeline import info_dataset, info_documents

    others = {
        "dataset": info_dataset.describe_dataset,
        "cases": info_dataset.describe_cases,
        "fingerprint": info_dataset.describe_fingerprint,
        "bids": info_dataset.describe_bids,
        "recipe": info_documents.describe_recipe,
        "conversion_recipe": info_documents.describe_conversion_recipe,
        "study": info_documents.describe_study,
        "selection": info_documents.describe_selection,
    }
    return others[kind](path)


def show(found: Description) -> None:
    """Its tables."""
    print_facts(found.title, found.rows)
    for table in found.tables:
        print_table(table.title, table.header, table.rows)
