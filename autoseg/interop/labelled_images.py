"""The images of a BIDS dataset, one subject after the other, each with the label files that belong to it.

Files come out of folders in order of subjects; so a subject is all that is looked at, whatever the size of the dataset.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from heapq import merge
from itertools import groupby, pairwise
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.core.packed import BLOCK, Packed
from autoseg.interop.conversion_recipe import DatasetRecipe, described_by_recipe
from autoseg.interop.image_of_label import image_of_label
from autoseg.interop.label_conventions import LabelPart, Names, describe_label, read_label_table, table_finder
from autoseg.interop.raw_layout import Problem
from autoseg.io.bids import BidsFile, BidsIndex, name_endings, parse_name


@dataclass(frozen=True)
class Labelled:
    """An image with what the label files that belong to it hold."""

    image: BidsFile
    parts: tuple[LabelPart, ...]


def used_labels(
    index: BidsIndex, dataset: str, recipe: DatasetRecipe, problems: list[Problem]
) -> tuple[Packed[LabelPart], list[str]]:
    """What the label files of ``dataset`` hold, and notes about those that are not used; ``problems`` takes conflicts.

    Without a recipe ``derivatives/labels`` goes before other derivatives, and soft labels count where all are soft.
    """
    used, unused = Packed(LabelPart), Packed(BidsFile)
    find_table, names_in = table_finder(index.root, index), cache(read_label_table)
    for label in index.labels:
        if recipe.labels:
            part, conflict = described_by_recipe(label, index.root, recipe)
        else:
            part, conflict = _described(label, find_table(label), recipe.threshold, names_in)
        if conflict:
            problems.append(Problem(label.path, conflict))
        elif part is None:
            unused.append(label)
        else:
            used.append(part)
    notes: list[str] = []
    if not recipe.labels:
        used = _preferred(used, index.root, dataset, notes)
    if unused:
        notes.append(f"{dataset}: label files that are not used: {name_endings(unused)}; a recipe can name them.")
    return used, notes


def labelled_images(
    images: Packed[BidsFile], parts: Packed[LabelPart], preferred: Sequence[str], unmatched: dict[str, str]
) -> Iterator[list[Labelled]]:
    """The images of one subject after the other; ``unmatched`` takes the label files without one, and why."""
    files = merge(((image, None) for image in images), _in_order_of_subjects(parts), key=_subject)
    for _, group in groupby(files, _subject):
        mine = list(group)
        own = [file for file, part in mine if part is None]
        found: dict[str, list[LabelPart]] = defaultdict(list)
        for label, part in mine:
            if part is None:
                continue
            image_or_reason = image_of_label(label, own, preferred)
            if isinstance(image_or_reason, str):
                unmatched[label.file] = image_or_reason
            else:
                found[image_or_reason.stem].append(part)
        yield [Labelled(image, tuple(found.get(image.stem, ()))) for image in own]


def _subject(pair: tuple[BidsFile, LabelPart | None]) -> str:
    return pair[0].subject


def _in_order_of_subjects(parts: Packed[LabelPart]) -> Iterator[tuple[BidsFile, LabelPart]]:
    """Label files with what they hold, those of a subject as they come in ``parts``.

    As every derivative is in this order already, few ranges of places are merged.
    """

    def files(start: int, stop: int) -> Iterator[tuple[BidsFile, LabelPart]]:
        for first in range(start, stop, BLOCK):  # that many at once, as they are packed together
            for part in [parts[place] for place in range(first, min(first + BLOCK, stop))]:
                if file := parse_name(part.file):
                    yield file, part

    bounds, last = [0], ""
    for place, (file, _) in enumerate(files(0, len(parts))):
        if file.subject < last:
            bounds.append(place)
        last = file.subject
    return merge(*(files(*two) for two in pairwise([*bounds, len(parts)])), key=_subject)


def _preferred(used: Packed[LabelPart], root: Path, name: str, notes: list[str]) -> Packed[LabelPart]:
    """Those of other derivatives than ``labels`` only where there are no such, soft ones only where all are."""
    derivatives = os.path.join(root, "derivatives", "")
    main = os.path.join(derivatives, "labels", "")
    places = [part.file.startswith(derivatives) + part.file.startswith(main) for part in used]
    if 2 in places and 1 in places:
        notes.append(
            f"{name}: {places.count(1)} label files outside derivatives/labels are not used; name them in a recipe."
        )
        used = Packed(LabelPart, (part for part, place in zip(used, places, strict=True) if place != 1))
    num_soft = sum(part.threshold is not None for part in used)
    if 0 < num_soft < len(used):
        notes.append(f"{name}: {num_soft} soft label files are not used, as there are others; name them in a recipe.")
        used = Packed(LabelPart, (part for part in used if part.threshold is None))
    return used


def _described(
    label: BidsFile, table: Path | None, threshold: float, names_in: Callable[[Path], Names]
) -> tuple[LabelPart | None, str]:
    """As described_by_recipe, from the name and the table, which may be wrong."""
    try:
        return describe_label(label, table, threshold, names_in), ""
    except BadInput as error:
        return None, str(error)
