"""What a reviewer marked in a report: ``CASE,...,MARK,COMMENT`` rows, which a conversion obeys.

The columns are those that the page of a report exports. A case is named as in the dataset; one of a report of
predictions by its image, as the segmentation is.
"""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed
from autoseg.interop.bids_matching import PlannedCase, without
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


def obey_marks(cases: Packed[PlannedCase], path: Path) -> tuple[Packed[PlannedCase], list[str]]:
    """The cases without those that failed, and a note of these and of those that need an edit.

    BadInput: a row names no case, or nothing is left.
    """
    rows = read_marks(path)
    failed: set[int] = set()
    unedited: list[int] = []
    for row, places in zip(rows, _meant(rows, cases), strict=True):
        if not places:
            known = nearest_name(row.case, (case.name for case in cases))
            raise BadInput(f"{path}: there is no case {row.case} in these datasets ({known}); correct the file.")
        if row.mark == FAIL:
            failed.update(places)
        elif row.mark == NEEDS_EDIT:
            unedited += places
    notes = []
    if failed:
        names = sorted(cases[place].name for place in sorted(failed))
        notes.append(f"left out, marked {FAIL} in {path}: {_listed(names)}")
    if unedited:
        files = [str(part.path) for place in unedited for part in cases[place].labels.parts]
        notes.append(f"marked {NEEDS_EDIT} in {path} and used as they are now: {_listed(files)}")
    if len(failed) == len(cases):
        raise BadInput(f"{path}: every case is marked {FAIL}; there is nothing to convert.")
    return without(cases, failed), notes


def _meant(rows: Sequence[Mark], cases: Packed[PlannedCase]) -> list[list[int]]:
    """The places of the cases that each row means."""
    numbers: dict[str, list[int]] = defaultdict(list)
    for number, row in enumerate(rows):
        numbers[row.case].append(number)
    places: list[list[int]] = [[] for _ in rows]
    for place, case in enumerate(cases):
        for name in {case.name, *map(file_stem, case.images)}:
            for number in numbers.get(name, ()):
                if rows[number].domain in ("", case.domain):
                    places[number].append(place)
    return places


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - MOST_LISTED} more" if len(names) > MOST_LISTED else ""
    return ", ".join(names[:MOST_LISTED]) + more
