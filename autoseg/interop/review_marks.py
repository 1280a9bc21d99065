"""What a reviewer marked in a report: ``CASE,...,MARK,COMMENT`` rows, which a conversion obeys.

The columns are those that the page of a report exports. A case is named as in the dataset; one of a report of
predictions by its image, as the segmentation is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.interop.bids_matching import PlannedCase
from autoseg.io.files import read_text
from autoseg.io.images import file_stem
from autoseg.io.workspace import nearest_name

COLUMNS = ("case", "domain", "subject", "session", "mark", "comment")
PASS, FAIL, NEEDS_EDIT = "pass", "fail", "needs-edit"
MARKS = (PASS, FAIL, NEEDS_EDIT)
MOST_LISTED = 5


@dataclass(frozen=True)
class Mark:
    """One row; ``mark`` is one of MARKS, or empty where there is but a comment."""

    case: str
    domain: str
    mark: str


def read_marks(path: Path) -> list[Mark]:
    """The rows of a file of marks; BadInput where it is none, or a mark is unknown."""
    try:
        rows = list(csv.DictReader(io.StringIO(read_text(path).removeprefix("\ufeff"), newline="")))
    except csv.Error as error:
        raise BadInput(f"{path}: is no table ({error}); export the marks again.") from None
    marks = []
    for number, row in enumerate(rows, start=2):
        if row.get("case") is None or row.get("mark") is None:
            raise BadInput(f"{path}: line {number} has no case and mark; the columns are {', '.join(COLUMNS)}.")
        mark = Mark(row["case"].strip(), (row.get("domain") or "").strip(), row["mark"].strip().lower())
        if mark.mark not in ("", *MARKS):
            raise BadInput(f"{path}: line {number} has the mark {row['mark']!r}; use {', '.join(MARKS)}.")
        marks.append(mark)
    return marks


def obey_marks(cases: Sequence[PlannedCase], path: Path) -> tuple[tuple[PlannedCase, ...], list[str]]:
    """The cases without those that failed, and a note of these and of those that need an edit.

    BadInput: a row names no case, or nothing is left.
    """
    failed, unedited = set(), []
    for row in read_marks(path):
        found = [case for case in cases if _means(row, case)]
        if not found:
            known = nearest_name(row.case, (case.name for case in cases))
            raise BadInput(f"{path}: there is no case {row.case} in these datasets ({known}); correct the file.")
        if row.mark == FAIL:
            failed |= {case.name for case in found}
        elif row.mark == NEEDS_EDIT:
            unedited += found
    notes = []
    if failed:
        notes.append(f"left out, marked {FAIL} in {path}: {_listed(sorted(failed))}")
    if unedited:
        files = [str(part.path) for case in unedited for part in case.labels.parts]
        notes.append(f"marked {NEEDS_EDIT} in {path} and used as they are now: {_listed(files)}")
    kept = tuple(case for case in cases if case.name not in failed)
    if not kept:
        raise BadInput(f"{path}: every case is marked {FAIL}; there is nothing to convert.")
    return kept, notes


def _means(row: Mark, case: PlannedCase) -> bool:
    if row.domain not in ("", case.domain):
        return False
    return row.case in (case.name, *map(file_stem, case.images))


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
