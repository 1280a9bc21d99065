"""Injects every kind of fault and writes what came of it: ``bin/faults [--seed N] [--share X] [KIND...]``.

What is run in full goes into the table of ``docs/reliability.md``, in place of the rows of the same name, with the day
and the commit. Status 1 if anything did not end as it must.
"""

import argparse
import datetime
import importlib.metadata
import platform
import subprocess
import sys
import tempfile
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
HEADER = ["fault", "injected", "as it must be", "compared", "made"]
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
    for kind in asked.kinds or KINDS:
        rows, size = KINDS[kind]
        with tempfile.TemporaryDirectory(prefix=f"faults-{kind}-") as folder:
            for row in rows(max(1, round(size * asked.share)), asked.seed, Path(folder)):
                found.append(row)
                print(f"{row.what}: {row.survived} of {row.injected} ({row.compared})", flush=True)
                for failure in row.failures:
                    print(f"  {failure}", flush=True)
    if asked.share == 1:
        before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
        table, rest = rest.split(END)
        text = f"{described()}; seed {asked.seed}.\n\n{renewed(table, found, when())}"
        PAGE.write_text(f"{before}{BEGIN}\n{text}\n{END}{rest}", encoding="utf-8")
    return int(any(row.survived < row.injected for row in found))


def renewed(table: str, rows: Iterable[Row], made: str) -> str:
    """The Markdown table with ``rows`` in place of those of the same name, or after the others."""
    cells = [line.strip("|").split("|") for line in table.splitlines() if line.startswith("| ")]
    known = {line[0].strip(): [cell.strip() for cell in line] for line in cells[1:] if line[0].strip("- ")}
    known |= {row.what: [row.what, str(row.injected), str(row.survived), row.compared, made] for row in rows}
    lines = [HEADER, ["---"] * len(HEADER), *known.values()]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def when() -> str:
    """The day, and the commit of this checkout."""
    command = ["git", "-C", str(PAGE.parent), "rev-parse", "--short", "HEAD"]
    commit = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    return f"{datetime.date.today().isoformat()}, {commit}"


def described() -> str:
    """Machine and versions."""
    versions = f"autoseg {autoseg.__version__}, torch {importlib.metadata.version('torch')}"
    place = f"{num_cores()} cores, {platform.system()} {platform.machine()}"
    return f"{place}, Python {platform.python_version()}, {versions}"


if __name__ == "__main__":
    sys.exit(main())
