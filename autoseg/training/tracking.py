"""The figures of a training: ``progress.jsonl``, one line an epoch."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autoseg.io.files import naming_full_disk, write_text

Record = Callable[[dict[str, Any]], None]


def tracker(folder: Path, epochs_done: int) -> Record:
    """A function that appends one epoch's figures; lines after ``epochs_done`` of an earlier run are dropped.

    An epoch is a flat dictionary with ``epoch`` and numbers, or a dictionary of numbers by label.
    """
    path = folder / "progress.jsonl"
    kept = path.read_text(encoding="utf-8").splitlines()[:epochs_done] if path.is_file() else []
    write_text(path, "".join(line + "\n" for line in kept))

    def record(epoch: dict[str, Any]) -> None:
        with naming_full_disk(path), path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(epoch) + "\n")

    return record
