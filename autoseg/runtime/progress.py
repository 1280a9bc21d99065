"""What a long step shows: a live line in a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.text import Text

from autoseg.runtime.repeating import repeatedly

# Results go to stdout; everything that a person watches goes to stderr.
console = Console(stderr=True, highlight=False)

LOG_INTERVAL_S = 30.0


def duration(seconds: float) -> str:
    """``75`` -> ``1m 15s``; ``4000`` -> ``1h 06m``."""
    seconds = max(0, round(seconds))
    if seconds < 60:
        return f"{seconds}s"
    if seconds < 3600:
        return f"{seconds // 60}m {seconds % 60:02d}s"
    return f"{seconds // 3600}h {seconds % 3600 // 60:02d}m"


def counted(number: int, noun: str) -> str:
    """``1 case``, ``2 cases``."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def say(text: str, style: str | None = None) -> None:
    """One line for the person who watches."""
    console.print(printable(text), style=style, markup=False, soft_wrap=True)


def silence() -> None:
    """From now on this process shows nothing: another one speaks for it."""
    console.quiet = True


def printable(line: str) -> str:
    """``line`` in one line: file names may hold line breaks, and what else a terminal would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)


@dataclass(eq=False)
class Progress:
    """A named step that runs from 0 to 1; ``update`` is cheap enough for every iteration.

    ``parts`` is the number of equal parts (cases) whose own progress ``part_done`` tells; 0 if there is none.
    """

    name: str
    live: bool = False
    parts: int = 0
    started: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)
    fraction: float | None = None
    detail: str = ""
    ends: float | None = None  # on the clock of ``started``

    def update(self, fraction: float, detail: str = "", left_s: float | None = None) -> None:
        """Show how far the step is, the time left (by extrapolation unless given) and ``detail``."""
        now = time.monotonic()
        if left_s is None and fraction > 0:
            left_s = (now - self.started) * (1 - fraction) / fraction
        self.fraction, self.detail = fraction, detail
        self.ends = None if left_s is None else now + left_s
        self.log()

    def line(self) -> str:
        """Such as ``train   53 %  4m 40s left  step 415``; as long as nothing is known, the time so far."""
        now = time.monotonic()
        if not self.fraction:
            return "  ".join(filter(None, (self.name, f"{duration(now - self.started)} so far", self.detail)))
        left = "?" if self.ends is None else duration(self.ends - now)
        return "  ".join(filter(None, (self.name, f"{100 * self.fraction:3.0f} %", f"{left} left", self.detail)))

    def log(self) -> None:
        """A line in a log file, unless the last one is young."""
        now = time.monotonic()
        if not self.live and not console.quiet and now - self.shown >= LOG_INTERVAL_S:
            self.shown = now
            print(printable(self.line()), file=sys.stderr, flush=True)


_running: list[Progress] = []  # the innermost step last


def part_done(share: float) -> None:
    """How far the current part of the innermost step is, 0 to 1, where that step has parts."""
    step = _running[-1] if _running else None
    if step is None or step.parts == 0:
        return
    before = step.fraction or 0.0
    done = (int(before * step.parts + 1e-6) + min(share, 0.99)) / step.parts
    if done > before:
        step.update(done, step.detail)


@contextmanager
def progress(name: str, parts: int = 0) -> Iterator[Progress]:
    """Show a step while the block runs, and how long it took when it ends.

    In a log file a step that is silent tells now and then that it still runs.
    """
    step = Progress(name, console.is_terminal and not console.quiet, parts)
    _running.append(step)
    try:
        with _live(step) if step.live else repeatedly(step.log, max(1.0, LOG_INTERVAL_S)):
            yield step
    finally:
        _running.remove(step)
    say(f"{name}: done in {duration(time.monotonic() - step.started)}")


def _live(step: Progress) -> Live:
    def line() -> Text:
        return Text(printable(step.line()), no_wrap=True, overflow="ellipsis")

    return Live(get_renderable=line, console=console, transient=True, refresh_per_second=5)
