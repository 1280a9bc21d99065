"""Ending cleanly when asked to: SIGINT and SIGTERM become a question that the loop asks itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts() -> Iterator[Callable[[], int | None]]:
    """Inside the block SIGTERM, as SIGINT, raises KeyboardInterrupt: what is half written is then removed.

    The yielded function tells which signal that was, None if there was none: a command line library may hide it.
    """
    received: list[int] = []

    def handle(number: int, frame: FrameType | None) -> None:
        received.append(number)
        raise KeyboardInterrupt

    with _handled_by(handle):
        yield lambda: received[0] if received else None


@contextmanager
def deferred_interrupts() -> Iterator[Callable[[], int]]:
    """Inside the block the signals do nothing; the yielded function gives the first one (0: none).

    They take effect at its end, so a loop can stop at a good place and save what it has. A second SIGINT interrupts at
    once.
    """
    requested: list[int] = []
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        if requested and number == signal.SIGINT and callable(before):
            before(number, frame)  # raises KeyboardInterrupt
        requested.append(number)

    with _handled_by(handle):
        yield lambda: requested[0] if requested else 0
    if requested:
        signal.raise_signal(requested[0])


@contextmanager
def _handled_by(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Outside the main thread Python allows no handlers: nothing happens."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
