"""SIGTERM, as of a cluster at the end of a time limit, at random moments: a quick end with status 0, and no loss."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.faults.row import Row
from tests.faults.stages import STAGES, Rehearsed, finished, rehearse, said


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` signals to each stage."""
    for number, stage in enumerate(STAGES):
        yield terminated(rehearse(stage, folder / stage.name), size, np.random.default_rng((seed, number)))


def terminated(rehearsed: Rehearsed, signals: int, random: np.random.Generator) -> Row:
    """The signal so often, the same command again each time, and to its end at last."""
    name, failures, done, slowest_s = rehearsed.stage.name, [], 0, 0.0
    rehearsed.restore()
    while done < signals:
        process = rehearsed.start()
        process.join(random.uniform(0, rehearsed.takes_s))
        if process.exitcode is not None:
            rehearsed.restore()
            continue
        process.terminate()
        sent, done = time.monotonic(), done + 1
        status = finished(process)
        slowest_s = max(slowest_s, time.monotonic() - sent)
        if status not in (0, -signal.SIGTERM):  # before the command line has begun, the signal itself ends it
            told = said(rehearsed.work, process.pid)
            failures.append(f"{name}, signal {done}: ended with {status}: {told[-300:]}")
    if (status := finished(rehearsed.start())) != 0:
        failures.append(f"{name}: ended with {status}")
    failures += [f"{name}: {problem}" for problem in rehearsed.differences()]
    compared = f"{len(rehearsed.expected)} files, bit for bit; ended within {slowest_s:.1f} s"
    return Row(f"{name} ended by SIGTERM", signals, max(0, signals - len(failures)), compared, tuple(failures))
