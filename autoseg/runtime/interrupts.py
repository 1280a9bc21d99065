"""Ending cleanly when asked to: SIGINT and SIGTERM become a question that the loop asks itself."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interrupts() -> Iterator[Callable[[], bool]]:
    """Inside the block SIGTERM, as SIGINT, raises KeyboardInterrupt: what is half written is then removed.

    The yielded function tells whether that happened, which a command line library may hide.
    """
    interrupted = threading.Event()

    def handle(number: int, frame: FrameType | None) -> None:
        interrupted.set()
        raise KeyboardInterrupt

    with _handled_by(handle):
        yield interrupted.is_set


@contextmanager
def stop_requests() -> Iterator[Callable[[], bool]]:
    """Inside the block the signals only set a flag; the yielded function tells whether one came.

    A second SIGINT interrupts at once.
    """
    requested = threading.Event()
    before = signal.getsignal(signal.SIGINT)

    def handle(number: int, frame: FrameType | None) -> None:
        if requested.is_set() and number == signal.SIGINT and callable(before):
            before(number, frame)  # raises KeyboardInterrupt
        requested.set()

    with _handled_by(handle):
        yield requested.is_set


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
