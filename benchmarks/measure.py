"""Run a command: how long it takes, and how much memory its processes hold."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

ROOT = Path(__file__).resolve().parents[1]
SAMPLE_INTERVAL_S = 0.05
TAIL_CHARACTERS = 3000


class Failed(Exception):
    """A command that did not end well."""


@dataclass(frozen=True)
class Ran:
    """What a command took."""

    seconds: float
    output: str  # its stdout
    largest_bytes: int  # peak resident memory of its largest process
    peak_bytes: int | None  # peak of the memory of all its processes together, if it was sampled

    @property
    def document(self) -> Any:
        """The JSON document that it printed: all of stdout, or its last line."""
        try:
            return json.loads(self.output)
        except ValueError:
            return json.loads(self.output.strip().splitlines()[-1])


def run(command: Sequence[str], environment: Mapping[str, str] | None = None, sample: bool = False) -> Ran:
    """Run to the end, in the root of the checkout; raises Failed with the end of its messages.

    With ``sample`` the memory of all its processes is added up every 50 ms, shared pages once.
    """
    with TemporaryFile("w+") as stdout, TemporaryFile("w+") as stderr:
        started = time.perf_counter()
        process = subprocess.Popen(
            list(command),
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            cwd=ROOT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
        try:
            peak = watch(process.pid) if sample else None
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # its own session: nothing else is in the group
            raise
        seconds = time.perf_counter() - started
        process.returncode = os.waitstatus_to_exitcode(status)
        output = content(stdout)
        if process.returncode:
            told = f"{output}\n{content(stderr)}"[-TAIL_CHARACTERS:]
            raise Failed(f"status {process.returncode} from {' '.join(command)}\n{told}")
    return Ran(seconds, output, usage.ru_maxrss * 1024, peak)


def content(file: IO[str]) -> str:
    """All that was written to it."""
    file.seek(0)
    return file.read()


def watch(leader: int) -> int:
    """The largest memory of the session that ``leader`` leads, until it ends; it is left to be waited for."""
    peak = 0
    while os.waitid(os.P_PID, leader, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        peak = max(peak, session_bytes(leader))
        time.sleep(SAMPLE_INTERVAL_S)
    return peak


def session_bytes(session: int) -> int:
    """Memory of all processes of a session, pages that they share counted once (PSS)."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after_name = (folder / "stat").read_text().rpartition(")")[2].split()
            if int(after_name[3]) == session:
                lines = (folder / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))
        except (OSError, StopIteration):  # it ended meanwhile
            continue
    return total


def alternate(pairs: int, sides: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Every side once, then every side again, ``pairs`` times; what each returned, in order."""
    measured: dict[str, list[float]] = {name: [] for name in sides}
    for _ in range(pairs):
        for name, side in sides.items():
            measured[name].append(side())
            print(f"   {name}: {measured[name][-1]:.4g}", flush=True)
    return measured
