"""A process that ends when the one that started it does, however that ends: they hold the two ends of a pipe."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

LOST = 75  # the exit status of a process that ends because another one has
GRACE_S = 10.0  # from being asked to end until being killed
VARIABLE = "AUTOSEG_LIFELINE"  # the descriptor of its end of the pipe


@dataclass(frozen=True)
class Lifeline:
    """What a process to be started is given: variables, and descriptors that it keeps open.

    ``let_go`` ends those that were started, as the end of this process would; it may be called again.
    """

    variables: dict[str, str]
    descriptors: tuple[int, ...]
    let_go: Callable[[], None]


@contextmanager
def lifeline() -> Iterator[Lifeline]:
    """For processes that are started, and have ended, inside the block; systems other than POSIX have none."""
    if os.name != "posix":
        yield Lifeline({}, (), lambda: None)
        return
    given, kept = os.pipe()
    with ExitStack() as ends:
        ends.callback(os.close, given)
        own_end = ends.enter_context(ExitStack())  # closed once, by whoever comes first
        own_end.callback(os.close, kept)
        yield Lifeline({VARIABLE: str(given)}, (given,), own_end.close)


def has_lifeline() -> bool:
    """Whether this process was started with one."""
    return VARIABLE in os.environ


def end_with_parent() -> None:
    """In a process with a lifeline: from now on end, as by SIGTERM, when the other one is gone."""
    if not has_lifeline():
        return
    descriptor = int(os.environ[VARIABLE])

    def watch() -> None:
        os.read(descriptor, 1)  # nothing is ever written: it returns when the other end is closed
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(GRACE_S)
        os._exit(LOST)

    threading.Thread(target=watch, name="lifeline", daemon=True).start()
