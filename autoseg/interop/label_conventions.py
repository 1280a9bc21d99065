"""How the labels of a BIDS dataset are written, found out file by file from the names.

| name | convention | structures |
|---|---|---|
| ``*dseg`` or ``*seg-manual`` or ``*_seg`` with a table of names | label map | ``index`` and ``name`` of the table |
| ``*_label-NAME_mask``, ``*_label-NAME_seg``, ``*_label-NAME_dseg`` | one mask a structure | NAME |
| ``*_NAME-manual`` (seg-manual, gmseg-manual, lesion-manual) | one mask a structure | NAME |
| ``*_seg``, ``*_lesion``, ``*_desc-NAME_mask``, ``*_mask`` | one mask a structure | seg, lesion, NAME, mask |

Several raters' files (``rater-1``, ``desc-rater1``, ``seg-rater1``, ``mask-r1``) are one label by majority vote.
The table of a label is the ``.tsv`` whose name holds only parts of the label's name and ends like it,
in the folder of the label or the nearest parent up to the derivative (BIDS inheritance principle).
Soft labels (``*_label-NAME_probseg``, ``*_softseg``) are used where a dataset has no others, or a recipe names them.
Point labels (``dlabel``, ``labels-*``) are not used.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.io.bids import BidsFile, BidsIndex, is_label_suffix, parse_name

_RATER = re.compile(r"(?:desc-|(?:mask|lesion|[a-z]*seg)-)?(?:rater-?|r(?=\d))(\w+)")
_UNUSED = frozenset({"dlabel", "label", "labels"})
_SOFT = frozenset({"probseg", "softseg"})
SOFT_THRESHOLD = 0.5

Names = tuple[tuple[int, str], ...]  # (stored value, structure)


@dataclass(frozen=True)
class LabelPart:
    """One label file; the ``names`` of a binary mask are ``((1, name),)``."""

    file: str  # as that of a BidsFile
    names: Names
    binary: bool
    has_table: bool = False
    rater: str = ""  # who drew it, where several did
    threshold: float | None = None  # of a soft label: how ``label_merging`` makes a mask of it

    @property
    def path(self) -> Path:
        """The path of the file."""
        return Path(self.file)


@dataclass(frozen=True)
class LabelSource:
    """The label files of one image, to be merged into one map."""

    parts: tuple[LabelPart, ...]
    convention: str
    domain: str

    @property
    def structures(self) -> tuple[str, ...]:
        """The names in all parts, in file and value order."""
        return tuple(name for part in self.parts for _, name in part.names)


def structure_key(name: str) -> str:
    """Names that agree in this are one structure: case, ``_``, ``-`` and blanks do not count."""
    return "".join(character for character in name.casefold() if character not in "_- ")


def describe_label(
    label: BidsFile,
    table: Path | None,
    threshold: float = SOFT_THRESHOLD,
    names_in: Callable[[Path], Names] | None = None,
) -> LabelPart | None:
    """What a label file holds, from its name and its table of names; None when it is not used.

    ``threshold`` is that of soft labels; ``names_in`` reads a table (``read_label_table``, or one that keeps what was
    read: many labels share a table). BadInput: an unreadable table.
    """
    rater = rater_of(label.label_part)
    tokens = [token for token in label.label_part.split("_") if rater == "" or not _only_names_rater(token)]
    word, _, author = tokens[-1].partition("-") if tokens else ("", "", "")  # it only names its rater
    if word in _UNUSED or not (is_label_suffix(word) or author.startswith("manual")):
        return None
    if author.endswith("-manual"):  # seg-axon-manual
        return LabelPart(label.file, ((1, author.removesuffix("-manual")),), binary=True, rater=rater)
    soft = threshold if word in _SOFT else None
    if table is not None and word != "mask" and soft is None:
        names = (names_in or read_label_table)(table)
        return LabelPart(label.file, names, binary=False, has_table=True, rater=rater)
    entities = dict(token.split("-", 1) for token in tokens[:-1] if "-" in token)
    name = entities.get("label", "manual")
    if name.startswith("manual") and (word == "mask" or soft is not None):
        name = entities.get("desc", "manual")
    if name.startswith("manual"):
        name = word if soft is None else "seg"
    return LabelPart(label.file, ((1, name),), binary=True, rater=rater, threshold=soft)


def is_soft(label: BidsFile) -> bool:
    """Whether a label file holds probabilities, as its name says."""
    return label.label_part.rpartition("_")[2] in _SOFT


def rater_of(label_part: str) -> str:
    """Who drew a label, from the part of its name that follows the contrast; empty where it does not say."""
    matches = (_RATER.fullmatch(token) for token in label_part.split("_"))
    return next((match[1] for match in matches if match), "")


def _only_names_rater(token: str) -> bool:
    return token.startswith(("rater", "desc-rater"))


def convention_of(parts: Iterable[LabelPart]) -> str:
    """The convention of one case in words, for tables."""
    words = []
    for part in parts:
        file = parse_name(part.file)
        written = file.label_part if file else ""
        if part.binary:
            for _, name in part.names:
                written = written.replace(f"label-{name}", "label-NAME")
        else:
            written += " with names"
        if part.threshold is not None:
            written += f" (threshold {part.threshold:g})"
        words.append(f"*_{written}")
    return ", ".join(dict.fromkeys(words))


def one_per_structure(parts: Iterable[LabelPart]) -> tuple[tuple[LabelPart, ...], str]:
    """Drop files of which a manual version exists; a sentence if two files still name one structure.

    Files of several raters may name one structure; where a file is nobody's in particular (a consensus), it is used
    instead of them.
    """
    parts = tuple(parts)
    agreed = {structure_key(name) for part in parts if not part.rater for _, name in part.names}
    parts = [part for part in parts if not (part.rater and {structure_key(name) for _, name in part.names} <= agreed)]
    chosen: dict[tuple[str, str], LabelPart] = {}
    for part in parts:
        for _, name in part.names:
            other = chosen.setdefault((structure_key(name), part.rater), part)
            if other is part:
                continue
            manual, other_manual = "manual" in part.path.name, "manual" in other.path.name
            if manual == other_manual:
                return (), f"{_both(other.path, part.path)} both give {name}; choose one with a recipe."
            if manual:
                chosen[structure_key(name), part.rater] = part
    kept = tuple(sorted(set(chosen.values()), key=lambda part: part.file.split(os.sep)))
    drawn = {
        part.rater: {structure_key(name) for one in kept if one.rater == part.rater for _, name in one.names}
        for part in kept
    }
    if len(set(map(frozenset, drawn.values()))) > 1:
        listed = "; ".join(
            f"{rater or 'no rater'}: {', '.join(sorted(names))}" for rater, names in sorted(drawn.items())
        )
        return (), f"its raters drew different structures ({listed}); complete them or choose one with a recipe."
    for part in kept:
        for _, name in part.names:
            if chosen[structure_key(name), part.rater] is not part:
                return (), f"{part.path.name} gives {name}, which a manual file gives too; choose one with a recipe."
    return kept, ""


def _both(one: Path, other: Path) -> str:
    """Two files by name, with the folders that differ where the names are equal."""
    if one.name == other.name:
        common = os.path.commonpath((one, other))
        return " and ".join(path.relative_to(common).as_posix() for path in (one, other))
    return f"{one.name} and {other.name}"


def read_label_table(path: Path) -> Names:
    """Read ``(index, name)`` of a BIDS label table (``*_dseg.tsv``), background 0 left out."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            rows = list(csv.DictReader(lines, delimiter="\t", strict=True))
        names = {int(row["index"]): row["name"].strip() for row in rows}
    except OSError:
        raise BadInput(f"{path}: the table of label names cannot be read; restore it (`datalad get`).") from None
    except (KeyError, ValueError, TypeError, AttributeError, csv.Error):
        raise BadInput(f"{path}: a label table needs the columns index (whole numbers) and name; correct it.") from None
    keys = [structure_key(name) for value, name in names.items() if value != 0]
    if not keys:
        raise BadInput(f"{path}: the table names no label; fill or remove it.")
    if not all(keys) or len(set(keys)) < len(keys) or len(names) < len(rows) or min(names, default=0) < 0:
        raise BadInput(f"{path}: each index from 0 on and each name may stand once and not be empty; correct it.")
    return tuple(sorted((value, name) for value, name in names.items() if value != 0))


def table_finder(root: Path, index: BidsIndex) -> Callable[[BidsFile], Path | None]:
    """A function from a label of ``index`` to its table of names, searched up to ``root``, which may lie around it."""
    around = [folder for folder in index.root.parents if folder.is_relative_to(root)]
    listed = {str(folder): tuple(path.name for path in folder.glob("*.tsv")) for folder in around} | {**index.tables}
    tables = {
        folder: [(name.removesuffix(".tsv").split("_"), Path(folder, name)) for name in sorted(names)]
        for folder, names in listed.items()
    }

    def find(label: BidsFile) -> Path | None:
        tokens = label.stem.split("_")
        folder, above = label.file, os.path.dirname(label.file)
        while folder not in (str(root), above):
            folder, above = above, os.path.dirname(above)
            fitting = [table for table in tables.get(folder, ()) if _applies(table[0], tokens)]
            if fitting:
                return max(fitting, key=lambda table: len(table[0]))[1]
        return None

    return find


def _applies(table: list[str], label: list[str]) -> bool:
    return table[-1] == label[-1] and set(table) <= set(label)
