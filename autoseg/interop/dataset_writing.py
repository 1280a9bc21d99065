"""Writing a raw dataset in the layout of nnU-Net, with the provenance of each case.

::

    imagesTr/CASE_0000.nii.gz   a link to the source, or its bytes compressed where the ending differs
    labelsTr/CASE.nii.gz        a link where the source already is the label map, else uint8 or uint16
    dataset.json                channel_names, labels, numTraining, file_ending
    cases.tsv                   columns CASES_COLUMNS; files relative to the source, several joined by ;
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.interop.bids_matching import PlannedCase, Problem, without_file
from autoseg.interop.label_merging import merge_labels
from autoseg.io.images import file_ending, read_channels, stored_as_integers, write_labels
from autoseg.io.workspace import atomic, write_json, write_text
from autoseg.runtime.jobs import map_threads

CASES_COLUMNS = (
    "case",
    "domain",
    "source",
    "subject",
    "session",
    "contrast",
    "image_files",
    "label_files",
    "image_sha256",
    "label_sha256",
)


@dataclass(frozen=True)
class Written:
    """The cases that were written, and what was left out."""

    cases: tuple[PlannedCase, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _CaseResult:
    row: tuple[str, ...]
    present: frozenset[int]
    problem: Problem | None


def write_dataset(
    cases: Sequence[PlannedCase],
    channels: Sequence[str],
    labels: dict[str, int],
    destination: Path,
    dataset: str,
    progress: Callable[[int, int, str], None],
) -> Written:
    """Write ``cases`` beside ``destination`` and put the folder in its place when it is whole."""
    endings = {file_ending(path) for case in cases for path in case.images}
    ending = endings.pop() if len(endings) == 1 else ".nii.gz"
    folder = destination.with_name(f".{destination.name}.{uuid.uuid4().hex[:8]}.partial")
    try:
        for name in ("imagesTr", "labelsTr"):
            (folder / name).mkdir(parents=True)
        results = []
        for result in map_threads(partial(_write_case, folder=folder, labels=labels, ending=ending), cases):
            results.append(result)
            progress(len(results), len(cases), cases[len(results) - 1].name)
        kept = tuple(case for case, result in zip(cases, results, strict=True) if result.problem is None)
        problems = tuple(result.problem for result in results if result.problem is not None)
        if not kept:
            first = "; ".join(f"{problem.file}: {problem.sentence.rstrip('.')}" for problem in problems[:3])
            raise BadInput(f"{destination}: none of {len(cases)} cases can be used ({first}); correct the files.")
        _write_documents(folder, dataset, channels, labels, ending, [r.row for r in results if r.problem is None])
        _put_in_place(folder, destination)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return Written(kept, problems, tuple(_absent(labels, [r for r in results if r.problem is None])))


def _write_case(case: PlannedCase, folder: Path, labels: dict[str, int], ending: str) -> _CaseResult:
    path = case.images[0]
    try:
        read_channels(case.images)  # the check for damage and NaN; the voxels are not kept
        path = case.labels.parts[0].path
        merged, identical = merge_labels(case.labels, labels)
        present = frozenset(int(value) for value in np.flatnonzero(np.bincount(merged.ravel(order="K"))) if value)
        target = folder / "labelsTr" / f"{case.name}{ending}"
        if identical and file_ending(path) == ending and stored_as_integers(path):
            _link(path, target)
        else:
            write_labels(target, merged, case.images[0])
        for i, image in enumerate(case.images):
            path = image
            _link_image(image, folder / "imagesTr" / f"{case.name}_{i:04d}{ending}")
        return _CaseResult(_row(case), present, None)
    except BadInput as error:
        for part in (*case.images, *(part.path for part in case.labels.parts)):
            if str(error).startswith(f"{part}: "):
                path = part
        return _CaseResult((), frozenset(), Problem(path, without_file(error, path)))


def _row(case: PlannedCase) -> tuple[str, ...]:
    labels = tuple(part.path for part in case.labels.parts)
    return (
        case.name,
        case.domain,
        str(case.source),
        case.subject,
        case.session,
        case.contrast,
        ";".join(path.relative_to(case.source).as_posix() for path in case.images),
        ";".join(path.relative_to(case.source).as_posix() for path in labels),
        ";".join(_sha256(path) for path in case.images),
        ";".join(_sha256(path) for path in labels),
    )


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _link_image(source: Path, target: Path) -> None:
    """Link, or compress the unchanged bytes of a ``.nii`` where the dataset is ``.nii.gz``."""
    if file_ending(source) == file_ending(target):
        _link(source, target)
        return
    with (
        atomic(target) as temporary,
        source.open("rb") as stored,
        temporary.open("wb") as file,
        gzip.GzipFile(target.name, "wb", compresslevel=1, fileobj=file, mtime=0) as compressed,
    ):
        shutil.copyfileobj(stored, compressed, 1 << 20)


def _link(source: Path, target: Path) -> None:
    try:
        target.symlink_to(source.absolute())
    except OSError:  # Windows without the right to make links
        shutil.copyfile(source, target)


def _write_documents(
    folder: Path,
    dataset: str,
    channels: Sequence[str],
    labels: dict[str, int],
    ending: str,
    rows: list[tuple[str, ...]],
) -> None:
    document = {
        "name": dataset,
        "channel_names": {str(i): channel for i, channel in enumerate(channels)},
        "labels": labels,
        "numTraining": len(rows),
        "file_ending": ending,
    }
    write_json(folder / "dataset.json", document)
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([CASES_COLUMNS, *rows])
    write_text(folder / "cases.tsv", text.getvalue())


def _put_in_place(folder: Path, destination: Path) -> None:
    """An older dataset is moved aside first and removed last: at any moment one of them is whole."""
    old = destination.with_name(f".{destination.name}.{uuid.uuid4().hex[:8]}.old")
    if destination.exists():
        os.replace(destination, old)
    try:
        os.replace(folder, destination)
    except OSError:
        if old.exists():
            os.replace(old, destination)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _absent(labels: dict[str, int], results: Sequence[_CaseResult]) -> list[str]:
    counts: Counter[int] = Counter(value for result in results for value in result.present)
    notes = [
        f"The label {name} has no voxel in any case." for name, value in labels.items() if value and not counts[value]
    ]
    empty = sum(not result.present for result in results)
    if empty:
        notes.append(f"{empty} of {len(results)} cases have no labelled voxel.")
    return notes
