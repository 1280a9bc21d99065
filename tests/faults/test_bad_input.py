"""Each kind of bad and odd input, by itself."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from tests.faults import kinds, odd_input
from tests.faults.bad_input import BAD
from tests.faults.good_input import Place, copy_of
from tests.faults.kinds import Kind
from tests.faults.odd_input import ODD, Odd


@pytest.fixture
def place(good: Place, tmp_path: Path) -> Place:
    return copy_of(good, tmp_path / "place")


@pytest.mark.parametrize("kind", BAD, ids=lambda kind: kind.name)
def test_bad_input_is_told_in_one_sentence(place: Place, kind: Kind) -> None:
    assert kinds.failure(place, kind) == ""


@pytest.mark.parametrize("odd", ODD, ids=lambda odd: odd.name)
def test_odd_input_is_served(place: Place, odd: Odd) -> None:
    assert odd_input.failure(place, odd) == ""


def test_kinds_are_distinct_and_many() -> None:
    assert [name for name, times in Counter(kind.name for kind in BAD).items() if times > 1] == []
    assert len(BAD) >= 60


def test_another_sentence_is_a_failure(place: Place) -> None:
    meeting = kinds.Meeting(("plan", "Tny"), "$workspace: something else.")
    assert "and not" in kinds.failure(place, Kind("wrong", id, (meeting,)))


def test_a_traceback_is_a_failure(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("autoseg.io.workspace.read_json", lambda path: 1 / 0)
    meeting = kinds.Meeting(("plan", "Tiny"), "$workspace: something else.")
    assert "ZeroDivisionError" in kinds.failure(place, Kind("wrong", id, (meeting,)))


def test_a_change_of_the_source_is_a_failure(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(self: object, dataset: str) -> None:
        (place.site / "left.txt").write_text("")
        raise BadInput("no: no.")

    monkeypatch.setattr("autoseg.io.workspace.Workspace.read_dataset", write)
    meeting = kinds.Meeting(("plan", "Tiny"), "no: no.")
    assert "written into the BIDS dataset" in kinds.failure(place, Kind("wrong", id, (meeting,)))
