"""The commands that made what is in a workspace: ``commands.jsonl``, a line for each that succeeded."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import autoseg

FILE = "commands.jsonl"


@dataclass(frozen=True)
class Command:
    """``arguments`` follow ``autoseg``; ``folder`` is where relative paths among them begin; ``ended`` is in UTC."""

    ended: str
    version: str
    folder: str
    arguments: tuple[str, ...]

    def __str__(self) -> str:
        return shlex.join(("autoseg", *self.arguments))


def remember(root: Path, arguments: Sequence[str]) -> None:
    """Append a command to the history of the workspace ``root``, where there is one.

    Work that is done is not failed by a disk that has no room for this line, or a folder that is gone.
    """
    if not root.is_dir():
        return
    ended = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    with suppress(OSError), (root / FILE).open("a", encoding="utf-8") as lines:
        command = Command(ended, autoseg.__version__, str(Path.cwd()), tuple(arguments))
        lines.write(json.dumps(asdict(command)) + "\n")


def remembered(root: Path) -> list[Command]:
    """The history of a workspace, oldest first; lines that are no commands are passed over."""
    path = root / FILE
    found = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.is_file() else ():
        with suppress(ValueError, TypeError, KeyError):
            one = json.loads(line)
            known = str(one["ended"]), str(one["version"]), str(one["folder"])
            found.append(Command(*known, tuple(map(str, one["arguments"]))))
    return found
