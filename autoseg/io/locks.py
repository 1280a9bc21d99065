"""Two processes do not write the same thing at once.

The operating system holds a lock for as long as its process lives, so that nobody waits for a dead one, however it
died. Beside a thing called NAME lie ``.NAME.lock`` and, with who works on it, ``.NAME.holder.json``.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput
from autoseg.io.files import write_json

POLL_S = 0.2


@contextmanager
def held(path: Path, doing: str, waiting: Callable[[str], None] | None = None) -> Iterator[None]:
    """Inside the block no other process that asks works on ``path``, which need not exist.

    ``doing`` is what the others are told, such as "trained". Where another is at it, ``waiting`` is called with a
    sentence and the block begins when that is done; without ``waiting`` BadInput has the sentence.
    """
    from filelock import FileLock, Timeout

    path.parent.mkdir(parents=True, exist_ok=True)
    file = path.with_name(f".{path.name}.lock")
    holder = path.with_name(f".{path.name}.holder.json")
    lock = FileLock(file, poll_interval=POLL_S)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        sentence = f"{path}: is being {_known(holder)}"
        if waiting is None:
            raise BadInput(f"{sentence}; wait until that has ended.") from None
        waiting(f"{sentence}: waiting for that")
        lock.acquire()
    try:
        with suppress(OSError):  # of a full disk: the lock itself holds
            write_json(holder, {"doing": doing, "process": os.getpid(), "host": platform.node(), "since": _now()})
        yield
    finally:
        holder.unlink(missing_ok=True)
        file.unlink(missing_ok=True)  # while it is held: who waits for it sees that and makes a new one
        lock.release()


def _known(holder: Path) -> str:
    """Who does what since when, as far as can be read."""
    try:
        known: dict[str, Any] = json.loads(holder.read_text(encoding="utf-8"))
        return "{doing} by process {process} on {host} since {since}".format(**known)
    except (OSError, ValueError, KeyError, TypeError):
        return "worked on by another process"


def _now() -> str:
    return datetime.now().isoformat(" ", "seconds")
