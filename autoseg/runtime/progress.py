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


def printable(line: str) -> str:
    """``line`` in one line: file names may hold line breaks, and what else a terminal would obey."""
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in line)


@dataclass
class Progress:
    """A named step that runs from 0 to 1; ``update`` is cheap enough for every iteration."""

    name: str
    live: Live | None = None
    started: float = field(default_factory=time.monotonic)
    shown: float = field(default_factory=time.monotonic)

    def update(self, fraction: float, detail: str = "", left_s: float | None = None) -> None:
        """Show how far the step is, the time left (by extrapolation unless given) and ``detail``."""
        now = time.monotonic()
        interval = 0.2 if self.live else LOG_INTERVAL_S
        if now - self.shown < interval:
            return
        self.shown = now
        elapsed = now - self.started
        if left_s is None and fraction > 0:
            left_s = elapsed * (1 - fraction) / fraction
        left = "?" if left_s is None else duration(left_s)
        line = f"{self.name}  {100 * fraction:3.0f} %  {left} left"
        line += f"  {detail}" if detail else ""
        if self.live:
            self.live.update(Text(line, no_wrap=True, overflow="ellipsis"))
        else:
            print(line, file=sys.stderr, flush=True)


@contextmanager
def progress(name: str) -> Iterator[Progress]:
    """Show a step while the block runs, and how long it took when it ends."""
    if console.is_terminal:
        with Live(Text(name), console=console, transient=True, refresh_per_second=5) as live:
            step = Progress(name, live)
            yield step
    else:
        step = Progress(name)
        yield step
    say(f"{name}: done in {duration(time.monotonic() - step.started)}")
