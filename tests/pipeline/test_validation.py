"""Held-out cases that two processes share out end in the same files, rows and scores."""

import json

import pytest

from autoseg.interop.prediction_table import TABLE, read_table
from autoseg.pipeline import validation
from autoseg.pipeline.segmenting import InWork
from autoseg.pipeline.validation import segment_share, validate_fold
from autoseg.planning.folds import Fold
from autoseg.runtime import ranks

NAMES = "3d_fullres", "fold1"


def of_two(monkeypatch, number):
    monkeypatch.setattr(ranks, "_own", [ranks._Rank(number, 2)])


@pytest.fixture
def apart(validated, monkeypatch):
    """Validate fold1 (four cases) in two processes, one after the other in this one; what was told."""
    dataset = validated.read_dataset("Tiny")
    cases = tuple(case.name for case in dataset.cases)
    messages, parts = [], [[]]

    def gathered(document):
        if not ranks.number():  # it waits for the other
            with monkeypatch.context() as patch:
                of_two(patch, 1)
                segment_share(validated, json.loads(json.dumps(messages[-1])), "cpu")
            return parts
        parts[1:] = [json.loads(json.dumps(document))]
        return []

    def run():
        with monkeypatch.context() as patch:
            patch.setattr(ranks, "tell", messages.append)
            patch.setattr(ranks, "gathered", gathered)
            of_two(patch, 0)
            summary = validate_fold(validated, dataset, *NAMES, Fold(cases[:2], cases[2:]), "cpu")
        return summary, messages[-1], parts

    return run


def contents(folder):
    """Name -> bytes; what differs from run to run is left out."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.name != "evaluation.json"}


def test_two_processes_leave_what_one_does(validated, apart):
    folder = validated.model_folder("Tiny", *NAMES) / "validation"
    alone = contents(folder)
    for path in folder.iterdir():
        path.unlink()
    summary, message, _ = apart()
    assert [len(share) for share in message["shares"]] == [2, 2]
    assert contents(folder) == alone
    assert summary["mean"]["num_cases"] == 4


def test_what_is_finished_is_not_shared_out(validated, apart):
    folder = validated.model_folder("Tiny", *NAMES) / "validation"
    before = contents(folder)
    _, message, parts = apart()
    assert message["shares"] == [[], []]
    assert parts[1] == []
    assert contents(folder) == before


def test_the_first_process_tells_what_another_could_not_do(validated, apart, monkeypatch, capsys):
    folder = validated.model_folder("Tiny", *NAMES) / "validation"
    for path in folder.iterdir():
        path.unlink()
    original = validation.pass_through

    def short(line, todo, outputs):
        failing = todo[0] if ranks.number() else None
        if failing:
            yield InWork(failing, failed=f"{failing.name}: the memory did not suffice.", short_of_memory=True)
        yield from original(line, [case for case in todo if case != failing], outputs)

    monkeypatch.setattr(validation, "pass_through", short)
    with pytest.raises(MemoryError, match=r"is trained and not validated: .*: the memory did not suffice"):
        apart()
    assert len(read_table(folder / TABLE).rows) == 3
    assert "left out: " in capsys.readouterr().err
