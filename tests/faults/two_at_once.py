"""Two processes at the same thing: one works, the other waits or says who does; nothing is made twice or torn."""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tests.faults.row import Row
from tests.faults.stages import STAGES, Rehearsed, finished, rehearse, said

REFUSALS = ("; wait until that has ended.", "exists already", "is trained already")  # at the same time, or just after


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` pairs of each stage."""
    for number, stage in enumerate(STAGES):
        yield twice(rehearse(stage, folder / stage.name), size, np.random.default_rng((seed, number)))


def twice(rehearsed: Rehearsed, pairs: int, random: np.random.Generator) -> Row:
    """The same command begun twice, the second time a random share of its time later."""
    name, failures, waited = rehearsed.stage.name, [], 0
    for pair in range(pairs):
        rehearsed.restore()
        first = rehearsed.start()
        time.sleep(random.uniform(0, rehearsed.takes_s))
        second = rehearsed.start()
        statuses = {process.pid: finished(process) for process in (first, second)}
        waited += list(statuses.values()) == [0, 0]
        for process, status in statuses.items():
            told = said(rehearsed.work, process)
            if status != 0 and not (status == 2 and any(refusal in told for refusal in REFUSALS)):
                failures.append(f"{name}, pair {pair}: ended with {status}: {told[-300:]}")
        if 0 not in statuses.values():
            failures.append(f"{name}, pair {pair}: neither did it")
        failures += [f"{name}, pair {pair}: {problem}" for problem in rehearsed.differences()]
    compared = f"{len(rehearsed.expected)} files, bit for bit; {waited} waited or came after, {pairs - waited} refused"
    return Row(f"{name} by two processes", pairs, max(0, pairs - len(failures)), compared, tuple(failures))
