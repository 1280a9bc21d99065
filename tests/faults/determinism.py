"""The same seed on the same machine ends in the same bits, however many cores work."""

from collections.abc import Iterator
from pathlib import Path

from autoseg.runtime.jobs import num_cores
from tests.faults.row import Row
from tests.faults.stages import STAGES, Rehearsed, finished, rehearse


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` runs of each stage on each number of cores."""
    for stage in STAGES:
        yield repeated(rehearse(stage, folder / stage.name), size)


def repeated(rehearsed: Rehearsed, runs: int) -> Row:
    """Each run against the first, which had all cores."""
    name, failures, done = rehearsed.stage.name, [], 0
    for cores in sorted({1, 2, num_cores()} & set(range(1, num_cores() + 1))):
        for _ in range(runs):
            rehearsed.restore()
            done += 1
            status = finished(rehearsed.start(cores))
            problems = [f"ended with {status}"] if status else rehearsed.differences()
            failures += [f"{name} on {cores} cores: {problem}" for problem in problems]
    compared = f"{len(rehearsed.expected)} files of each, bit for bit"
    return Row(f"{name} on 1 to {num_cores()} cores", done, max(0, done - len(failures)), compared, tuple(failures))
