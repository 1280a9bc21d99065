"""Groups of subjects."""

from __future__ import annotations

from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed
from autoseg.interop.bids_matching import PlannedCase
from autoseg.interop.label_conventions import LabelSource
from autoseg.interop.participants import read_participants, with_groups


def cases(root: Path, *subjects: str) -> Packed[PlannedCase]:
    root.mkdir(exist_ok=True)
    source = LabelSource((), "", root.name)
    made = (
        PlannedCase(f"{root.name}_{one}_{contrast}", root.name, root, f"{root.name}/{one}", "", contrast, (), source)
        for one in subjects
        for contrast in ("T1w", "T2w")
    )
    return Packed(PlannedCase, made)


def groups(found: Packed[PlannedCase]) -> dict[str, str]:
    return {case.subject: case.group for case in found}


def test_equal_values_are_one_group_in_all_datasets(tmp_path: Path) -> None:
    both = cases(tmp_path / "a", "sub-1", "sub-2", "sub-3")
    for case in cases(tmp_path / "b", "sub-1", "sub-2"):
        both.append(case)
    (tmp_path / "a/participants.tsv").write_text("﻿participant_id\tage\tfamily\nsub-1\t3\tx\n2\t4\ty\nsub-3\t5\tn/a\n\n")
    (tmp_path / "b/participants.tsv").write_bytes(
        "participant_id\tfamily\tnote\nsub-1\t y \tMünchen\n".encode("latin-1")
    )
    found, notes = with_groups(both, "family")
    assert groups(found) == {
        "a/sub-1": "family=x",
        "a/sub-2": "family=y",
        "a/sub-3": "",
        "b/sub-1": "family=y",
        "b/sub-2": "",
    }
    assert [case.name for case in found] == [case.name for case in both]
    assert notes == (
        "Folds keep the cases of each family together (2 of them).",
        "2 of 5 subjects have no family in participants.tsv; each stays on its own.",
    )
    assert with_groups(both, "") == (both, ())


def test_one_value_leaves_nothing_to_validate_on(tmp_path: Path) -> None:
    both = cases(tmp_path / "a", "sub-1", "sub-2")
    (tmp_path / "a/participants.tsv").write_text("participant_id\tsite\nsub-1\tx\nsub-2\tx\n")
    assert "nothing to validate on" in with_groups(both, "site")[1][-1]


def test_what_cannot_be_grouped_is_refused(tmp_path: Path) -> None:
    both = cases(tmp_path / "a", "sub-1")
    with pytest.raises(BadInput, match=r"no participants.tsv has the column site \(there is: no readable"):
        with_groups(both, "site")
    (tmp_path / "a/participants.tsv").write_text("participant_id\tage\tfamily\nsub-1\t3\tx\nsub-1\t4\ty\n")
    with pytest.raises(BadInput, match=r"there is: age, family"):
        with_groups(both, "site")
    with pytest.raises(BadInput, match="two rows of sub-1 differ in family"):
        with_groups(both, "family")
    assert read_participants(tmp_path / "a", "") == {"sub-1": {"age": "3", "family": "x"}}


def test_a_quotation_mark_that_is_not_closed_swallows_no_rows(tmp_path: Path) -> None:
    some = cases(tmp_path / "a", "sub-1", "sub-2")
    (tmp_path / "a/participants.tsv").write_text('participant_id\tnote\tfamily\nsub-1\t"tall\tx\nsub-2\t\tx\n')
    with pytest.raises(BadInput, match=r"participants\.tsv: is no table \(.*\); correct its quotation marks"):
        with_groups(some, "family")
