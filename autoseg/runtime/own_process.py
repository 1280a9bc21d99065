"""A module run in a process of its own, for what is to be measured apart from everything else."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import autoseg
from autoseg.runtime.lifeline import Lifeline, lifeline
from autoseg.runtime.repeating import repeatedly

POLL_S = 1.0
STOPPED = "stopped"  # in place of a result: by the system, or by its own failure to get memory
_OF_MEMORY = (-signal.SIGKILL, -signal.SIGABRT)  # the kernel kills what takes too much; a library aborts that gets none


def run_module(module: str, request: Mapping[str, Any], wanted: Callable[[], bool] = lambda: True) -> Any:
    """``python -m module`` with ``request`` as JSON on its stdin; the last line of its stdout, which is JSON.

    It may end with this process (``lifeline.end_with_parent``), and when it is not ``wanted`` any more.
    ``STOPPED`` if it was ended for its memory.
    ChildProcessError, one sentence: another signal ended it, or it failed.
    """
    package = str(Path(autoseg.__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [package, os.environ.get("PYTHONPATH")]))
    with lifeline() as line, repeatedly(partial(_let_go_unless, wanted, line), POLL_S):
        finished = subprocess.run(
            [sys.executable, "-m", module],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONPATH": path} | line.variables,
            pass_fds=line.descriptors,
        )
    if finished.returncode in (-signal.SIGINT, -signal.SIGTERM):
        raise KeyboardInterrupt
    if finished.returncode in _OF_MEMORY:
        return STOPPED
    if finished.returncode < 0:
        raise ChildProcessError(
            f"{module}: its process was ended by {signal.Signals(-finished.returncode).name} while it worked on "
            f"{json.dumps(request)[:200]}; run the command again."
        )
    lines = finished.stdout.splitlines()
    if finished.returncode > 0 or not lines:
        last = (finished.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise ChildProcessError(f"{module}: failed in its own process ({last}); run the command again.")
    return json.loads(lines[-1])


def _let_go_unless(wanted: Callable[[], bool], line: Lifeline) -> None:
    if not wanted():
        line.let_go()
