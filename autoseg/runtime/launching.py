"""Starting the processes of one training on this machine, as ``torchrun`` does, and ending them together."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress

from autoseg.runtime.interrupts import deferred_interrupts
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.lifeline import GRACE_S, LOST, has_lifeline, lifeline

POLL_S = 0.1


def planned_count() -> int:
    """How many processes share this training, as ``torchrun`` or ``start`` says in the environment; else 1."""
    known = {"RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"} <= os.environ.keys()
    return int(os.environ["WORLD_SIZE"]) if known else 1


def planned_rank() -> int:
    """Which of them this is; 0 of a single one."""
    return int(os.environ["RANK"]) if planned_count() > 1 else 0


def speaks_through_another() -> bool:
    """Whether another process tells what happens to all of them: the launcher if it is ours, else the first."""
    return has_lifeline() or planned_rank() > 0


def start(arguments: Sequence[str], count: int) -> int:
    """Run ``python -m autoseg`` with ``arguments`` in ``count`` processes; the exit status of the first that failed.

    Where one process ends badly the others are ended within seconds. ChildProcessError, one sentence: one of them was
    killed.
    """
    with lifeline() as line, deferred_interrupts() as requested:
        place: dict[str, object] = {"WORLD_SIZE": count, "LOCAL_WORLD_SIZE": count, **line.variables}
        place |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()}
        processes = [_process(arguments, rank, place, line.descriptors) for rank in range(count)]
        try:
            return _watch(processes, requested)
        finally:
            _end(processes)


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
    return port


def _process(
    arguments: Sequence[str], rank: int, place: Mapping[str, object], descriptors: Sequence[int]
) -> subprocess.Popen[bytes]:
    """In a session of its own: an interruption at the keyboard reaches it once, through the launcher."""
    threads = {"OMP_NUM_THREADS": str(max(1, num_cores() // int(str(place["WORLD_SIZE"]))))}
    own = {name: str(value) for name, value in {**place, "RANK": rank, "LOCAL_RANK": rank}.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "autoseg", *arguments],
        env=threads | os.environ | own,
        pass_fds=descriptors,
        start_new_session=True,
    )


def _watch(processes: Sequence[subprocess.Popen[bytes]], requested: Callable[[], int]) -> int:
    """Wait until all have ended, or one badly; the exit status.

    Only the first is told of a signal: within a step it stops all others, and has then saved the state.
    """
    told, patience_s = False, GRACE_S  # of waiting for the first when another has ended well
    while True:
        first, *others = [process.poll() for process in processes]
        if first is not None and (told or not any([first, *others])):
            return first  # the signal takes effect in this process too
        if (any([first, *others]) and not told) or patience_s < 0:
            time.sleep(5 * POLL_S)  # the others may have noticed first that one is gone
            return _judged([process.poll() for process in processes])
        if requested() and not told:
            told = True
            _signal(processes[:1], requested())
        time.sleep(POLL_S)
        patience_s -= POLL_S if 0 in others else 0


def _judged(ended: Sequence[int | None]) -> int:
    """The status of the process that failed by itself, which has said why; ChildProcessError if it cannot have."""
    for rank, status in enumerate(ended):
        if status is not None and status < 0:
            raise ChildProcessError(
                f"process {rank} of {len(ended)} of the training was ended by {signal.Signals(-status).name}, so the "
                "others were stopped; the same command with --resume continues from the last saved state."
            )
    own = [status for status in ended if status not in (None, 0, LOST)]
    if not own:
        raise ChildProcessError(
            f"one of the {len(ended)} processes of the training ended before the others, which were stopped; "
            "the same command with --resume continues from the last saved state."
        )
    return int(str(own[0]))


def _signal(processes: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            process.send_signal(number)


def _end(processes: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask what still runs to end; what does not is killed."""
    left = [process for process in processes if process.poll() is None]
    _signal(left, signal.SIGTERM)
    until = time.monotonic() + GRACE_S
    while any(process.poll() is None for process in left) and time.monotonic() < until:
        time.sleep(POLL_S)
    for process in left:
        process.kill()
        process.wait()
