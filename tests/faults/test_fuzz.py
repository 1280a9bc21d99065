"""A few mutants of each kind; and that what must not come through is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from tests.faults import command, fuzz, mutation
from tests.faults.good_input import Place
from tests.faults.readers import Reader, readers

SIZE, SEED = 40, 0


def test_mutants_are_read_or_refused(good: Place, tmp_path: Path) -> None:
    rows = list(fuzz.fuzz_all(good, SIZE, SEED, tmp_path))
    assert len(rows) > 25
    assert [failure for row in rows for failure in row.failures] == []
    assert all(row.survived == row.injected for row in rows)


def test_what_is_good_is_read(good: Place, tmp_path: Path) -> None:
    known = readers(Place(good.folder))
    assert len(known) > 25
    for number, reader in enumerate(known):
        path = tmp_path / str(number) / reader.name
        path.parent.mkdir(parents=True)
        path.write_bytes(reader.good)
        reader.read(path)


def test_mutants_differ_and_hang_on_the_seed(good: Place) -> None:
    for reader in readers(good):
        made = [reader.mutate(reader.good, np.random.default_rng([SEED, number])) for number in (0, 0, *range(20))]
        assert made[0] == made[1]
        assert len(set(made)) > 10
        assert sum(one != reader.good for one in made) > 15


@pytest.mark.parametrize(
    ("read", "said"),
    [
        (lambda path: 1 / 0, "ZeroDivisionError"),
        (lambda path: [0] * 10**10, "MemoryError"),
        (lambda path: endless(), "TooSlow"),
    ],
)
def test_what_comes_through_is_a_failure(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, read: object, said: str
) -> None:
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    reader = Reader("bad", "bad", b"bytes", mutation.mutate_bytes, read)  # type: ignore[arg-type]
    row = fuzz.fuzz(reader, 1, SEED, tmp_path)
    assert row.survived == 0
    assert said in row.failures[0]


def endless() -> None:
    while True:
        pass


def test_a_refusal_is_none(tmp_path: Path) -> None:
    def refuse(path: Path) -> None:
        raise BadInput("no: no.")

    assert fuzz.fuzz(Reader("bad", "bad", b"bytes", mutation.mutate_bytes, refuse), 3, SEED, tmp_path).survived == 3


def test_limits_are_taken_back() -> None:
    import resource

    before = resource.getrlimit(resource.RLIMIT_AS)
    with command.bounded(1.0):
        assert resource.getrlimit(resource.RLIMIT_AS) != before
    assert resource.getrlimit(resource.RLIMIT_AS) == before
