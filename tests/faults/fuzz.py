"""Random changes of everything that is read: read, or refused with one sentence; in time, and in little memory."""

from __future__ import annotations

import os
import resource
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from autoseg.core.errors import BadInput
from tests.faults.command import TooSlow, bounded
from tests.faults.good_input import Place, make_good
from tests.faults.readers import Reader, readers
from tests.faults.row import Row

SECONDS = 5.0  # of the processor, for one mutant
MOST_GROWTH_BYTES = 2**30
MOST_SHOWN = 5


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` mutants of each kind; a row for each kind, and one for the memory of all."""
    (folder / "good").mkdir()
    yield from fuzz_all(make_good(folder / "good"), size, seed, folder)


def fuzz_all(good: Place, size: int, seed: int, folder: Path) -> Iterator[Row]:
    """The rows, made of what is good."""
    total, before = 0, peak_bytes()
    for reader in readers(good):
        row = fuzz(reader, size, seed, folder)
        total += row.injected
        yield row
    growth = peak_bytes() - before
    wrong = (f"the peak grew by {growth} bytes",) if growth > MOST_GROWTH_BYTES else ()
    yield Row("memory while mutants are read", total, 0 if wrong else total, "growth of the peak below 1 GB", wrong)


def fuzz(reader: Reader, size: int, seed: int, folder: Path) -> Row:
    """The mutants of one kind. A mutant hangs on the seed, the kind and its number alone."""
    path = folder / reader.name
    path.parent.mkdir(parents=True, exist_ok=True)
    failures = []
    with silent():
        for number in range(size):
            random = np.random.default_rng([seed, zlib.crc32(reader.kind.encode()), number])
            path.write_bytes(reader.mutate(reader.good, random))
            if problem := problem_of(reader, path):
                failures.append(f"{reader.kind}, seed {seed}, mutant {number}: {problem}")
    wrong = tuple(failures[:MOST_SHOWN])
    return Row(f"fuzz: {reader.kind}", size, size - len(failures), "read, or refused in a sentence", wrong)


def problem_of(reader: Reader, path: Path) -> str:
    """What came through instead of a refusal; empty if nothing did."""
    try:
        with bounded(SECONDS):
            reader.read(path)
    except BadInput as error:
        return "" if str(error).strip() else "refused without a word"
    except (Exception, TooSlow) as error:
        return f"{type(error).__name__}: {str(error)[:300]}"
    return ""


@contextmanager
def silent() -> Iterator[None]:
    """Nothing reaches the error stream: libraries in C++ and torch say something about each mutant."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere, warnings.catch_warnings(action="ignore"):
            os.dup2(nowhere.fileno(), 2)
            yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def peak_bytes() -> int:
    """The largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
