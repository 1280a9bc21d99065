"""``predictions.tsv`` beside segmentations: how good each is expected to be, and where its image is unlike the others.

One row for each segmentation and label. It is only ever replaced as a whole, and rows of kept segmentations stay as
they are.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from autoseg.io.files import atomic, read_text
from autoseg.runtime.progress import printable

TABLE = "predictions.tsv"
COLUMNS = (
    "segmentation",
    "label",
    "certainty",
    "expected_dice",
    "expected_dice_low",
    "expected_dice_high",
    "calibration_cases",
    "unlike_training",
)
MISSING = "n/a"
SECONDS_BETWEEN_WRITES = 1.0  # a table of thousands of rows is not written anew after each

Row = tuple[str, ...]  # one value for each of ``COLUMNS`` but the first
UNKNOWN: Row = (MISSING,) * (len(COLUMNS) - 1)


@dataclass
class PredictionTable:
    """The rows of each segmentation, by its path from the folder of the table; on disk now and then, and at the end.

    They are held as lines of the table, without the name: a fifth of what tuples of text take.
    """

    path: Path
    lines: dict[str, str]
    existed: bool
    written_s: float = field(default_factory=monotonic)
    changed: bool = False

    @property
    def rows(self) -> dict[str, list[Row]]:
        """All of them."""
        return {name: [tuple(line.split("\t")) for line in lines.split("\n")] for name, lines in self.lines.items()}

    def name(self, segmentation: Path) -> str:
        """What a segmentation is called in the table: tabs, line breaks and the like as in Python."""
        relative = Path(os.path.relpath(segmentation, self.path.parent)).as_posix()
        return printable(relative.replace("\\", "\\\\"))

    def has(self, segmentation: Path) -> bool:
        """Whether there is a row of it."""
        return self.name(segmentation) in self.lines

    def put(self, segmentation: Path, rows: Sequence[Row]) -> None:
        """Replace the rows of a segmentation."""
        self.lines[self.name(segmentation)] = "\n".join(map(_line, rows))
        self.changed = True
        if monotonic() - self.written_s > SECONDS_BETWEEN_WRITES:
            self.flush()

    def keep(self, segmentations: Iterable[Path]) -> None:
        """A row without numbers for each that was there before the table."""
        for segmentation in segmentations:
            if not self.has(segmentation):
                self.put(segmentation, [UNKNOWN])

    def begin(self) -> None:
        """Write the table before the first segmentation: where it is, what has no row in it is not finished."""
        if not self.existed:
            self.changed = self.existed = True
            self.flush()

    def flush(self) -> None:
        """Write the table if it has changed."""
        if self.changed:
            with atomic(self.path) as temporary, temporary.open("w", encoding="utf-8") as file:
                file.write("\t".join(COLUMNS) + "\n")
                for name in sorted(self.lines):
                    file.writelines(f"{name}\t{line}\n" for line in self.lines[name].split("\n"))
            self.changed, self.written_s = False, monotonic()


def read_table(path: Path) -> PredictionTable:
    """The table of a folder; empty where there is none. Lines of another kind are passed over."""
    lines: dict[str, str] = {}
    if path.is_file():
        for whole in read_text(path).split("\n")[1:]:
            name, *row = whole.split("\t")
            if len(row) == len(UNKNOWN):
                line = _line(row)
                lines[name] = f"{lines[name]}\n{line}" if name in lines else line
    return PredictionTable(path, lines, path.is_file())


def _line(row: Sequence[str]) -> str:
    """Without tabs and line breaks in the values."""
    return "\t".join(" ".join(value.split()) for value in row)


@contextmanager
def recording(path: Path) -> Iterator[PredictionTable]:
    """The table of a folder, written when the block ends or fails."""
    table = read_table(path)
    try:
        yield table
    finally:
        table.flush()


def certainties(path: Path) -> dict[str, dict[str, float]]:
    """Segmentation -> label -> certainty, where it is known."""
    place = COLUMNS.index("certainty") - 1
    return {
        name: {row[0]: float(row[place]) for row in rows if row[place] != MISSING}
        for name, rows in read_table(path).rows.items()
    }
