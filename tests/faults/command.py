"""The command line, run in this process with bounds on its time and memory."""

from __future__ import annotations

import contextlib
import io
import resource
import signal
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

from autoseg.cli import main

PROCESSOR_LIMIT_S = 20.0
WALL_LIMIT_S = 120.0  # for what waits for ever without computing; generous, as the machine may be busy
BEGINNINGS = ("autoseg: ", "Error: ")  # the second of what typer refuses
ADDRESS_LIMIT_BYTES = 6 * 2**30  # beyond what is mapped already: threads and allocators reserve much and use little


class TooSlow(BaseException):
    """Raised in whatever does not end; no handler for errors catches it."""


@dataclass(frozen=True)
class Outcome:
    """Exit status, what was printed, and in place of a status what came through: a traceback or a hang."""

    status: int | None
    output: str
    error: str
    raised: str = ""

    @property
    def sentence(self) -> str:
        """What follows ``autoseg: ``, or ``Error: `` of wrong usage, in the one line that begins so; else empty."""
        lines = [line for line in self.error.splitlines() if line.startswith(BEGINNINGS)]
        return lines[0].split(": ", 1)[1] if len(lines) == 1 else ""


def call(workspace: Path, *arguments: str) -> Outcome:
    """``autoseg --workspace WORKSPACE ARGUMENTS...``; nothing comes through."""
    output, error = io.StringIO(), io.StringIO()
    line = ["autoseg", "--workspace", str(workspace), *arguments]
    with (
        mock.patch.object(sys, "argv", line),
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(error),
    ):
        try:
            with bounded():
                status, raised = main(), ""
        except (Exception, TooSlow) as failure:
            status, raised = None, f"{type(failure).__name__}: {failure}"
    return Outcome(status, output.getvalue(), error.getvalue(), raised)


@contextlib.contextmanager
def bounded(processor_s: float | None = None) -> Iterator[None]:
    """Inside the block ``TooSlow`` ends what takes too long, and memory far beyond what is mapped is refused."""

    def stop(number: int, frame: object) -> None:
        raise TooSlow(f"did not end ({signal.Signals(number).name})")

    limits = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    mapped = pages * resource.getpagesize()
    handlers = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    try:
        resource.setrlimit(resource.RLIMIT_AS, (mapped + ADDRESS_LIMIT_BYTES, limits[1]))
        signal.setitimer(signal.ITIMER_PROF, processor_s or PROCESSOR_LIMIT_S)
        signal.setitimer(signal.ITIMER_REAL, WALL_LIMIT_S)
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, limits)
        for number, handler in handlers.items():
            signal.signal(number, handler)
