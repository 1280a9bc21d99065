"""Something done every so often while something else goes on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event, Thread


@contextmanager
def repeatedly(call: Callable[[], None], interval_s: float) -> Iterator[None]:
    """Inside the block, ``call`` every ``interval_s`` seconds in a thread of its own, which ends with the block."""
    ended = Event()

    def repeat() -> None:
        while not ended.wait(interval_s):
            call()

    thread = Thread(target=repeat, name="repeatedly", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()
