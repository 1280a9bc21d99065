"""Writing what was matched in BIDS datasets as a raw dataset (layout: ``raw_layout``)."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.packed import Packed
from autoseg.interop.bids_matching import PlannedCase, without
from autoseg.interop.label_merging import merge_labels
from autoseg.interop.raw_layout import (
    CaseResult,
    Problem,
    absent_labels,
    checksums,
    dataset_document,
    new_folder,
    place,
    place_images,
    problem_of,
    write_cases,
)
from autoseg.io import nifti
from autoseg.io.files import read_json, write_json
from autoseg.io.images import (
    file_ending,
    read_channels,
    read_geometry,
    read_labels,
    stored_as_integers,
    write_labels,
)
from autoseg.runtime.jobs import map_threads


@dataclass(frozen=True)
class Written:
    """The cases that were written, and what was left out."""

    cases: Packed[PlannedCase]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    """A row of ``cases.tsv``."""

    columns: tuple[str, ...]


def write_dataset(
    cases: Packed[PlannedCase],
    channels: Sequence[str],
    labels: dict[str, int],
    destination: Path,
    dataset: str,
    progress: Callable[[int, int, str], None],
) -> Written:
    """Write ``cases`` beside ``destination`` and put the folder in its place when it is whole."""
    endings = {file_ending(file) for case in cases for file in case.image_files}
    if len(endings) > 1 and not endings <= set(nifti.ENDINGS):
        listed = ", ".join(sorted(endings))
        raise BadInput(f"{destination}: the images are of several formats ({listed}); make one dataset of each.")
    ending = endings.pop() if len(endings) == 1 else ".nii.gz"
    meaning = Labels(values=dict(labels))
    with new_folder(destination, "imagesTr", "labelsTr") as folder:
        write = partial(_write_case, folder=folder, labels=labels, ending=ending)
        written = write_cases(cases, write, folder, destination, progress)
        kept = without(cases, written.problems)
        grid = read_geometry(kept[0].images[0])
        document = dataset_document(dataset, channels, meaning, len(kept), ending, grid)
        write_json(folder / "dataset.json", document)
    return Written(kept, tuple(written.problems.values()), tuple(absent_labels(meaning, written)))


def already_written(
    cases: Packed[PlannedCase], channels: Sequence[str], labels: dict[str, int], destination: Path
) -> bool:
    """Whether ``destination`` holds these cases, of files with the same content, and what would be made of them now.

    So a conversion that was killed when it had just ended may be run again. The label maps are compared too: what a
    recipe does to labels, such as a threshold, is in no table.
    """
    try:
        document = read_json(destination / "dataset.json")
        with (destination / "cases.tsv").open(encoding="utf-8", newline="") as table:
            lines = csv.reader(table, delimiter="\t")
            next(lines, None)
            rows = Packed(_Row, (_Row(tuple(line)) for line in lines))
    except (BadInput, OSError, ValueError, csv.Error):
        return False
    if not isinstance(document, dict):
        return False
    meaning = Labels(values=dict(labels)).document() | {"channel_names": {str(i): c for i, c in enumerate(channels)}}
    if any(document.get(key) != value for key, value in meaning.items()) or len(rows) != len(cases):
        return False  # what takes a moment is compared first
    if any(row.columns[:1] != (case.name,) for row, case in zip(rows, cases, strict=True)):
        return False
    if any(row.columns != now for row, now in zip(rows, map_threads(_row, cases), strict=True)):
        return False

    def is_as_now(case: PlannedCase) -> bool:
        try:
            stored = read_labels(destination / "labelsTr" / f"{case.name}{document['file_ending']}")
            return np.array_equal(merge_labels(case.labels, labels)[0], stored)
        except (BadInput, KeyError):
            return False

    return all(map_threads(is_as_now, cases))


def _write_case(case: PlannedCase, folder: Path, labels: dict[str, int], ending: str) -> CaseResult:
    images, parts = case.images, [part.path for part in case.labels.parts]
    try:
        read_channels(images)  # the check for damage and NaN; the voxels are not kept
        merged, identical = merge_labels(case.labels, labels)
        present = frozenset(int(value) for value in np.flatnonzero(np.bincount(merged.ravel(order="K"))) if value)
        target = folder / "labelsTr" / f"{case.name}{ending}"
        stored = parts[0]
        if identical and file_ending(stored) == ending and stored_as_integers(stored):
            place(stored, target, case.name)
        else:
            write_labels(target, merged, images[0])
        place_images(images, folder / "imagesTr", case.name, ending)
        return CaseResult(_row(case), present, None)
    except BadInput as error:
        return CaseResult((), frozenset(), problem_of(error, (*images, *parts), images[0]))


def _row(case: PlannedCase) -> tuple[str, ...]:
    images, labels = case.images, tuple(part.path for part in case.labels.parts)
    return (
        case.name,
        case.domain,
        str(case.source),
        case.subject,
        case.group,
        case.session,
        case.contrast,
        ";".join(path.relative_to(case.source).as_posix() for path in images),
        ";".join(path.relative_to(case.source).as_posix() for path in labels),
        checksums(images),
        checksums(labels),
    )
