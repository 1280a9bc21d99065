"""Groups of subjects from ``participants.tsv``: what folds keep together beyond a subject (family, site, scanner)."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed
from autoseg.interop.bids_matching import PlannedCase

_UNKNOWN = frozenset({"", "n/a", "na", "nan", "none"})


def with_groups(cases: Packed[PlannedCase], column: str) -> tuple[Packed[PlannedCase], tuple[str, ...]]:
    """The cases with their ``group``, ``COLUMN=VALUE``, and notes; an empty ``column`` gives no groups.

    Equal values are one group in whichever dataset they are, so that a person or family in two of them stays on
    one side. A subject without a value stays a group of its own. BadInput: no dataset has the column, or a table
    says two things of a subject.
    """
    if not column:
        return cases, ()
    roots = dict.fromkeys(case.source for case in cases)
    tables = {root: read_participants(root, column) for root in roots}
    columns = dict.fromkeys(name for rows in tables.values() for row in rows.values() for name in row)
    if column not in columns:
        listed = ", ".join(columns) or "no readable participants.tsv"
        raise BadInput(f"recipe: no participants.tsv has the column {column} (there is: {listed}); correct the group.")
    grouped = Packed(PlannedCase, (replace(case, group=_group(case, tables[case.source], column)) for case in cases))
    subjects = {case.subject: case.group for case in grouped}
    groups = {group for group in subjects.values() if group}
    notes = [f"Folds keep the cases of each {column} together ({len(groups)} of them)."]
    if alone := sum(not group for group in subjects.values()):
        notes.append(
            f"{alone} of {len(subjects)} subjects have no {column} in participants.tsv; each stays on its own."
        )
    if len(groups) == 1 and not alone:
        notes.append(f"All subjects have one {column}: there is nothing to validate on but the training cases.")
    return grouped, tuple(notes)


def read_participants(root: Path, column: str = "") -> dict[str, dict[str, str]]:
    """Subject (``sub-X``) -> column -> value; empty where a dataset has no readable ``participants.tsv``.

    The prefix ``sub-`` may be missing in the table. Of several rows (sessions) of a subject the first counts.
    BadInput: they differ in ``column``, or what is there is no table.
    """
    path = root / "participants.tsv"
    try:
        text = path.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:  # none, or a git-annex link without content
        return {}
    found: dict[str, dict[str, str]] = {}
    try:
        lines = list(csv.DictReader(text.splitlines(), delimiter="\t", strict=True))
    except csv.Error as error:  # a quotation mark that is not closed would swallow the rows that follow
        raise BadInput(f"{path}: is no table ({error}); correct its quotation marks.") from None
    for line in lines:
        row = {key.strip(): (value or "").strip() for key, value in line.items() if isinstance(key, str)}
        name = row.pop("participant_id", "")
        if not name:
            continue
        subject = name if name.startswith("sub-") else f"sub-{name}"
        if found.setdefault(subject, row).get(column) != row.get(column):
            raise BadInput(f"{path}: two rows of {subject} differ in {column}; correct one.")
    return found


def _group(case: PlannedCase, rows: dict[str, dict[str, str]], column: str) -> str:
    subject = case.subject.rpartition("/")[2]
    value = rows.get(subject, {}).get(column, "")
    return "" if value.casefold() in _UNKNOWN else f"{column}={value}"
