"""Injects every kind of fault and writes what came of it: ``bin/faults [--seed N] [--share X] [KIND...]``.

The table goes into ``docs/reliability.md``, in place of the one that is there, if all kinds are run in full. Status 1
if anything did not end as it must.
"""

import argparse
import datetime
import importlib.metadata
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import autoseg
from autoseg.runtime.jobs import num_cores
from tests.faults import (
    bad_input,
    determinism,
    flips,
    fuzz,
    hostile_models,
    kills,
    resources,
    terminations,
    two_at_once,
)
from tests.faults.row import Row

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"
BEGIN, END = "<!-- begin of the table -->", "<!-- end of the table -->"
Rows = Callable[[int, int, Path], Iterator[Row]]
KINDS: Mapping[str, tuple[Rows, int]] = {  # with how many faults of each are injected
    "kills": (kills.rows, 50),
    "terminations": (terminations.rows, 20),
    "two_at_once": (two_at_once.rows, 10),
    "determinism": (determinism.rows, 2),
    "resources": (resources.rows, 30),
    "hostile_models": (hostile_models.rows, 100),
    "flips": (flips.rows, len(flips.FAULTS)),
    "bad_input": (bad_input.rows, 1000),  # of each catalogue at most so many: all
    "fuzz": (fuzz.rows, 1000),
}


def main() -> int:
    """Run the kinds that are asked for; print a line for each row, then the table."""
    parser = argparse.ArgumentParser(prog="bin/faults", description=__doc__.splitlines()[0])
    parser.add_argument("kinds", nargs="*", metavar="KIND", help=f"of {', '.join(KINDS)}; all unless given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--share", type=float, default=1.0, help="of the faults of each kind (1)")
    asked = parser.parse_args()
    if unknown := set(asked.kinds) - KINDS.keys():
        parser.error(f"{min(unknown)}: there is {', '.join(KINDS)}")
    found: list[Row] = []
    began = time.monotonic()
    for kind in asked.kinds or KINDS:
        rows, size = KINDS[kind]
        with tempfile.TemporaryDirectory(prefix=f"faults-{kind}-") as folder:
            for row in rows(max(1, round(size * asked.share)), asked.seed, Path(folder)):
                found.append(row)
                print(f"{row.what}: {row.survived} of {row.injected} ({row.compared})", flush=True)
                for failure in row.failures:
                    print(f"  {failure}", flush=True)
    whole = not asked.kinds and asked.share == 1
    text = page_table(found, f"{described()}; seed {asked.seed}; {(time.monotonic() - began) / 60:.0f} minutes.")
    if whole:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest.split(END)[1]}", encoding="utf-8")
    print(text)
    return int(any(row.survived < row.injected for row in found))


def page_table(rows: Iterable[Row], title: str) -> str:
    """The rows in Markdown, under when and where they were made."""
    lines = [title, "", "| fault | injected | as it must be | compared |", "|---|---|---|---|"]
    return "\n".join([*lines, *(f"| {row.what} | {row.injected} | {row.survived} | {row.compared} |" for row in rows)])


def described() -> str:
    """Date, machine and versions."""
    versions = f"autoseg {autoseg.__version__}, torch {importlib.metadata.version('torch')}"
    place = f"{num_cores()} cores, {platform.system()} {platform.machine()}"
    return f"{datetime.date.today().isoformat()}, {place}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    sys.exit(main())
