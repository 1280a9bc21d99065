"""What a training leaves to look at: ``progress.jsonl`` (one line an epoch) and TensorBoard events."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from autoseg.io.workspace import naming_full_disk, write_text

Record = Callable[[dict[str, Any]], None]


@contextmanager
def tracker(folder: Path, epochs_done: int) -> Iterator[Record]:
    """A function that appends one epoch's figures; lines after ``epochs_done`` of an earlier run are dropped.

    An epoch is a flat dictionary with ``epoch`` and numbers, or a dictionary of numbers by label.
    Without the tensorboard package only the JSON lines are written.
    """
    path = folder / "progress.jsonl"
    kept = path.read_text(encoding="utf-8").splitlines()[:epochs_done] if path.is_file() else []
    write_text(path, "".join(line + "\n" for line in kept))
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        writer = None
    else:
        writer = SummaryWriter(str(folder), purge_step=epochs_done)

    def record(epoch: dict[str, Any]) -> None:
        with naming_full_disk(path), path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(epoch) + "\n")
        if writer is not None:
            for name, value in epoch.items():
                for key, number in value.items() if isinstance(value, dict) else [(None, value)]:
                    if number is not None:
                        tag = name if key is None else f"{name}/{key}"
                        writer.add_scalar(tag, number, epoch["epoch"])
            writer.flush()

    try:
        yield record
    finally:
        if writer is not None:
            writer.close()
