"""The same seed on the same machine ends in the same bits, however many threads read, augment and write."""

from collections.abc import Iterator
from pathlib import Path

from autoseg.runtime.jobs import num_cores
from tests.faults.row import Row
from tests.faults.stages import STAGES, Rehearsed, finished, rehearse

WORKERS = (1, 2, 5)


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` runs of each stage with each number of threads."""
    for stage in STAGES:
        yield repeated(rehearse(stage, folder / stage.name), size)


def repeated(rehearsed: Rehearsed, runs: int) -> Row:
    """Each run against the first, which had as many threads as cores."""
    name, failures = rehearsed.stage.name, []
    for workers in WORKERS:
        for _ in range(runs):
            rehearsed.restore()
            status = finished(rehearsed.start(workers))
            problems = [f"ended with {status}"] if status else rehearsed.differences()
            failures += [f"{name} with {workers} threads: {problem}" for problem in problems]
    done = len(WORKERS) * runs
    compared = f"{len(rehearsed.expected)} files of each, bit for bit, with those of {num_cores()}"
    what = f"{name} again, with {', '.join(map(str, WORKERS))} threads"
    return Row(what, done, max(0, done - len(failures)), compared, tuple(failures))
