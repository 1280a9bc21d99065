"""What every verb shares: the workspace, the result on stdout, and errors as one sentence."""

from __future__ import annotations

import errno
import json
import re
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from autoseg.core.errors import BadInput
from autoseg.runtime.interrupts import interrupts
from autoseg.runtime.launching import speaks_through_another
from autoseg.runtime.memory import is_shortage

BAD_INPUT, OWN_FAILURE, INTERRUPTED = 2, 1, 130
CONTINUE = "interrupted; what was finished is saved, and the same command continues (train: with --resume)."
FULL = (errno.ENOSPC, errno.EDQUOT)
WRONG_PATH = {
    errno.ENAMETOOLONG: "the name is too long; shorten it",
    errno.ELOOP: "is a link that leads to itself; remove it or choose another path",
    errno.EISDIR: "is a folder, and a file is needed; check the path",
}

DatasetArgument = Annotated[str, typer.Argument(help="Name of the dataset in the workspace.")]
CONFIGURATION_HELP = "2d, 3d_fullres, 3d_lowres, 3d_cascade_fullres or full_volume, as the plan has them."
ConfigurationsArgument = Annotated[
    list[str] | None, typer.Argument(help=CONFIGURATION_HELP, show_default="all in the plan")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one machine-readable result on stdout.")]
DeviceOption = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:N or mps.", show_default="the best there is")]
ProfileOption = Annotated[
    Path | None, typer.Option(metavar="FILE.csv", help="Sample CPU, memory and GPU to this file, by phase.")
]

_chosen_workspace: list[Path | None] = [None]


def choose_workspace(folder: Path | None) -> None:
    """What ``--workspace`` says, if it is given."""
    _chosen_workspace[:] = [folder]


def workspace_root() -> Path:
    """The workspace of this call."""
    from autoseg.io.workspace import usual_workspace

    return usual_workspace(_chosen_workspace[0]).root


def print_json(document: Any) -> None:
    """The one result of a verb with ``--json``."""
    print(json.dumps(document, indent=1, allow_nan=False, default=str))


def print_table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, for people; never wider than the terminal."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    table = Table(title=title, title_justify="left", title_style="bold", header_style="bold")
    for index, column in enumerate(header):
        numeric = bool(rows) and all(re.fullmatch(r"[-+0-9.,/% ]*|-", row[index]) for row in rows)
        table.add_column(column, justify="right" if numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell.replace("[", r"\[") for cell in row))
    console.print(table)


def print_facts(title: str, rows: Sequence[tuple[str, str]]) -> None:
    """What is said of one thing on stdout, for people: a line for each (what, found)."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False, width=None if sys.stdout.isatty() else 160)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for what, found in rows:
        facts.add_row(Text(f"  {what}"), Text(found))
    console.print(Text(title, style="bold"))
    console.print(facts)


def comma_separated(text: str | None) -> list[str] | None:
    """``"a, b"`` -> ``["a", "b"]``; None stays None."""
    return [part.strip() for part in text.split(",") if part.strip()] if text is not None else None


def seconds(text: str) -> float:
    """``90``, ``90s``, ``10m``, ``1.5h`` or ``1h30m`` in seconds."""
    match = re.fullmatch(r"(?:([\d.]+)h)?(?:([\d.]+)m(?:in)?)?(?:([\d.]+)s?)?", text.strip())
    try:
        hours, minutes, rest = (float(part) if part else 0.0 for part in match.groups()) if match else (0.0,) * 3
    except ValueError:
        hours = minutes = rest = 0.0
    total = 3600 * hours + 60 * minutes + rest
    if total <= 0:
        raise BadInput(f"--time-budget {text}: is no duration; write for example 10m, 1.5h or 1h30m.")
    return total


def gigabytes(text: str) -> float:
    """``8GB``, ``8G``, ``8`` or ``500MB`` in gigabytes."""
    match = re.fullmatch(r"([\d.]+)\s*(MB|M|GB|G|)", text.strip(), re.IGNORECASE)
    try:
        amount = float(match.group(1)) if match else 0.0
    except ValueError:
        amount = 0.0
    if not match or amount <= 0:
        raise BadInput(f"--memory {text}: is no amount of memory; write for example 8GB.")
    return amount / 1000 if match.group(2).upper().startswith("M") else amount


def run_guarded(action: Callable[[], Any]) -> int:
    """Run a command line; the exit status. What the user can mend is one sentence, not a traceback.

    Asked to end by SIGTERM, as clusters do at the end of a time limit, nothing failed: what can be is saved.
    """
    with interrupts() as interrupted:
        try:
            action()
        except (SystemExit, KeyboardInterrupt) as end:
            if interrupted() is None and isinstance(end, SystemExit):
                return end.code if isinstance(end.code, int) else 0
            status = 0 if interrupted() == signal.SIGTERM else INTERRUPTED
            return status if speaks_through_another() else _fail(CONTINUE, status)
        except Exception as error:
            outcome = _sentence_and_status(error)
            if outcome is None:
                raise
            return _fail(*outcome)
    return 0


def _sentence_and_status(error: Exception) -> tuple[str, int] | None:
    """What to say about an error that a user can mend; None for one of ours."""
    match error:
        case BadInput():
            return str(error), BAD_INPUT
        case FloatingPointError() | ChildProcessError():
            return str(error), OWN_FAILURE
        case MemoryError() | RuntimeError() if is_shortage(error):
            return _no_memory(error), OWN_FAILURE
        case RuntimeError() if str(error).startswith("Symlink loop"):  # what pathlib says, before Python 3.13
            return f"{_shortened(str(error).split(chr(39))[1])}: {WRONG_PATH[errno.ELOOP]}.", BAD_INPUT
        case UnicodeEncodeError():
            return f"{error.object!r}: the name holds bytes that are no UTF-8; rename it.", BAD_INPUT
        case FileExistsError() | NotADirectoryError():
            return f"{_no_folder(error)}: a file stands where a folder is needed; choose another name.", BAD_INPUT
        case OSError() if error.errno in WRONG_PATH:
            return f"{_shortened(error.filename)}: {WRONG_PATH[error.errno]}.", BAD_INPUT
        case OSError() if error.errno in (*FULL, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO):
            return _no_room(error), OWN_FAILURE
    return None


def _no_folder(error: OSError) -> Path:
    """The part of the path that is no folder, of what could not be made below it."""
    path = Path(error.filename)
    return next((part for part in reversed(path.parents) if part.exists() and not part.is_dir()), path)


def _shortened(path: str | None) -> str:
    return f"{path[:60]}...{path[-20:]}" if path and len(path) > 200 else str(path)


def _no_room(error: OSError) -> str:
    if error.errno in FULL:
        return f"{error.filename or 'a file'}: the disk is full; make room and run the same command again to continue."
    return f"{error.filename}: cannot be written ({error.strerror}); choose another --workspace or output folder."


def _no_memory(error: BaseException) -> str:
    """Ours say what to do; those of allocators do not."""
    if type(error) is MemoryError and str(error):
        return str(error)
    said = (str(error).strip().splitlines() or ["no more could be had"])[0][:120].rstrip(".")
    return f"the memory did not suffice ({said}); free memory, or use a machine with more, and run the command again."


def _fail(sentence: str, status: int) -> int:
    from autoseg.runtime.progress import printable

    print(f"autoseg: {printable(sentence)}", file=sys.stderr)
    return status
