"""Every stage killed at random moments, again and again, ends in the same bits as one that nobody disturbed.

The stage is killed with SIGKILL after a random share of the time that it takes, then the same command runs again. What
is not hidden may be read by others at any moment: it is whole after every kill.
"""

import gzip
import json
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from tests.faults.row import Row
from tests.faults.stages import STAGES, Rehearsed, finished, rehearse


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` kills of each stage."""
    for number, stage in enumerate(STAGES):
        yield killed(rehearse(stage, folder / stage.name), size, np.random.default_rng((seed, number)))


def killed(rehearsed: Rehearsed, kills: int, random: np.random.Generator) -> Row:
    """Kill the stage so often, begin anew where it got to its end, and let it end at last."""
    name, failures, done, rounds = rehearsed.stage.name, [], 0, 0
    while done < kills:
        rehearsed.restore()
        rounds += 1
        status = None
        while status is None:
            process = rehearsed.start()
            if done == kills:
                status = finished(process) or 0
            elif (status := finished(process, random.uniform(0, rehearsed.takes_s))) is None:
                done += 1
                failures += [f"{name}, kill {done}: {problem}" for problem in unreadable(rehearsed.work)]
        problems = [f"ended with status {status}"] if status else rehearsed.differences()
        failures += [f"{name}, after kill {done}: {problem}" for problem in problems]
    compared = f"{len(rehearsed.expected)} files after each of {rounds} rounds, bit for bit"
    return Row(f"{name} killed", kills, max(0, kills - len(failures)), compared, tuple(failures))


def unreadable(work: Path) -> Iterator[str]:
    """The files that a reader may find and that are not whole."""
    for path in sorted(work.rglob("*")):
        check = CHECKS.get(path.suffix)
        hidden = any(part.startswith(".") for part in path.relative_to(work).parts)
        if check is None or hidden or not path.is_file():
            continue
        try:
            check(path)
        except Exception as error:
            yield f"{path.relative_to(work)} is half written ({error!r})"


def _read_json_lines(path: Path) -> None:
    """The last line of a file that grows may be cut; a resumed training drops it."""
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            json.loads(line)


def _read_weights(path: Path) -> None:
    from safetensors.numpy import load_file

    load_file(path)


def _read_stored(path: Path) -> None:
    import blosc2

    blosc2.open(str(path), mode="r")[...]


CHECKS: dict[str, Callable[[Path], object]] = {
    ".json": lambda path: json.loads(path.read_text()),
    ".jsonl": _read_json_lines,
    ".gz": lambda path: gzip.decompress(path.read_bytes()),
    ".safetensors": _read_weights,
    ".b2nd": _read_stored,
}
