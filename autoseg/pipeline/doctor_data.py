"""What is in data that is to be used: what is found, made good silently, doubtful, and what would be left out and why.

Everything is read as ``convert-bids``, ``plan`` and ``predict`` read it, and nothing is written.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from autoseg.core.case import CaseFiles, Image
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import CaseMeasurement, Sizes, sizes_of
from autoseg.core.labels import Labels
from autoseg.interop.bids_conversion import plan_conversion
from autoseg.interop.bids_matching import PlannedCase
from autoseg.interop.label_merging import merge_labels
from autoseg.interop.prediction_inputs import is_bids
from autoseg.interop.raw_layout import Problem, problem_of, without_file
from autoseg.io.bids import index_dataset
from autoseg.io.dicom import series_folders
from autoseg.io.header_facts import handled_geometry, header_facts
from autoseg.io.images import list_images, read_channels, read_labels, stored_as_integers
from autoseg.io.stored_facts import Handled
from autoseg.io.workspace import RawDataset, Workspace, nearest_name
from autoseg.pipeline.description import enumerated, number, times
from autoseg.pipeline.info_image import handled, look_at
from autoseg.pipeline.info_plan import labels_in_words
from autoseg.pipeline.preparation import read_image, require_labels
from autoseg.planning import measure
from autoseg.planning.checks import check_fingerprint
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.progress import counted, progress

_NUMBERS = re.compile(r"[\d.]*\d")
_AXES = ("left-right", "back-front", "down-up")
Measured = tuple[CaseMeasurement, measure.Samples]


@dataclass(frozen=True)
class Repair:
    """Something that is made good on reading, and the files that have it."""

    what: str
    how: str
    files: tuple[Path, ...]


@dataclass(frozen=True)
class Diagnosis:
    """What was found at ``path``: ``facts`` are (what, found); ``left_out`` would not be used, with remedies."""

    path: str
    kind: str
    num_cases: int
    facts: tuple[tuple[str, str], ...]
    repairs: tuple[Repair, ...]
    doubts: tuple[str, ...]
    left_out: tuple[Problem, ...]

    def document(self) -> dict[str, Any]:
        """As plain values."""
        return {
            "path": self.path,
            "kind": self.kind,
            "num_cases": self.num_cases,
            "facts": dict(self.facts),
            "repairs": [{"what": one.what, "how": one.how, "files": [*map(str, one.files)]} for one in self.repairs],
            "doubts": list(self.doubts),
            "left_out": [{"file": str(one.file), "problem": one.sentence} for one in self.left_out],
        }


@dataclass(frozen=True)
class _Case:
    """How to read a case: its image and its labels ``(X, Y, Z)`` with what is made good in them."""

    name: str
    domain: str
    subject: str
    images: tuple[Path, ...]
    labels: tuple[Path, ...]
    read_image: Callable[[], Image]
    read_labels: Callable[[], tuple[npt.NDArray[np.int32], list[Handled]]]


AsRead = Callable[[Any], _Case]


@dataclass(frozen=True)
class _Examined:
    """What came of a case, or of an image without labels."""

    repairs: tuple[tuple[Handled, Path], ...]
    doubts: tuple[str, ...]
    problem: Problem | None
    measured: Measured | None = None


def diagnose(path: Path, workspace: Workspace) -> Diagnosis:
    """Examine a BIDS dataset, a dataset of the workspace (its name or folder), a folder of images, or an image.

    BadInput: it is none of them.
    """
    named = workspace.dataset_folder(str(path)) if len(path.parts) == 1 else path
    if not path.exists() and (named / "dataset.json").is_file():
        return _diagnose_dataset(workspace.read_dataset(str(path)), str(path))
    if path.is_dir() and (path / "dataset.json").is_file():
        folder = path.absolute()
        return _diagnose_dataset(Workspace(folder.parent.parent).read_dataset(folder.name), str(path))
    if path.is_dir() and (series := series_folders(path)):
        return _diagnose_images(series, path, "images")
    if path.is_dir() and is_bids(path):
        return _diagnose_bids(path)
    if path.is_dir() and (images := list_images(path)):
        return _diagnose_images(images, path, "images")
    if path.is_dir():
        raise BadInput(f"{path}: holds no image, no DICOM series and no sub-* folder; give the folder of one of them.")
    if not (path.exists() or path.is_symlink()):
        known = [file.parent.name for file in (workspace.root / "datasets").glob("*/dataset.json")]
        raise BadInput(
            f"{path}: is neither a file, nor a folder, nor a dataset of the workspace {workspace.root} "
            f"({nearest_name(str(path), known)}); correct it."
        )
    return _diagnose_images([path], path, "image")


def _diagnose_bids(path: Path) -> Diagnosis:
    try:
        conversion = plan_conversion([path])
    except BadInput as error:  # without labels its images can still be segmented
        images = [image.path for image in index_dataset(path).images]
        found = _diagnose_images(images, path, "bids")
        return replace(found, num_cases=0, left_out=(Problem(path, without_file(error, path)), *found.left_out))
    planned, meaning = partial(_planned, conversion.labels), Labels(values=dict(conversion.labels))
    found = _diagnosis(str(path), "bids", conversion.cases, planned, conversion.channels, meaning)
    facts = (
        (f"domain {name}", f"{counted(images, 'image')}, {counted(files, 'label file')}")
        for name, (images, files) in conversion.counts.items()
    )
    doubts, left_out = (*found.doubts, *conversion.notes), (*conversion.problems, *found.left_out)
    return replace(found, facts=(*found.facts, *facts), doubts=doubts, left_out=left_out)


def _diagnose_dataset(dataset: RawDataset, path: str) -> Diagnosis:
    return _diagnosis(path, "dataset", dataset.cases, partial(_stored, dataset), dataset.channels, dataset.labels)


def _diagnose_images(files: Sequence[Path], path: Path, kind: str) -> Diagnosis:
    """Images alone, as ``predict`` takes them."""
    seen = list(_watched("image", _examine_image, files))
    facts = (("images", counted(len(files), "image")),)
    left_out = tuple(one.problem for one in seen if one.problem)
    doubts = tuple(doubt for one in seen for doubt in one.doubts)
    return Diagnosis(str(path), kind, len(files) - len(left_out), facts, _grouped(seen), doubts, left_out)


def _planned(labels: dict[str, int], case: PlannedCase) -> _Case:
    parts = tuple(part.path for part in case.labels.parts)

    def read() -> tuple[npt.NDArray[np.int32], list[Handled]]:
        merged, identical = merge_labels(case.labels, labels)
        found = []
        soft = {part.threshold for part in case.labels.parts} - {None}
        if soft:
            found.append(Handled("labels are soft", f"they become masks from {max(filter(None, soft)):g} on"))
        elif len(parts) > 1:
            found.append(Handled("labels are in several files", "they become one label map"))
        elif not identical:
            found.append(Handled("labels have other values than the dataset", "they are written in those"))
        elif not stored_as_integers(parts[0]):
            found.append(Handled("labels are not stored as plain integers", "they are written as uint8 or uint16"))
        return merged, found

    return _Case(case.name, case.domain, case.subject, case.images, parts, lambda: read_channels(case.images), read)


def _stored(dataset: RawDataset, case: CaseFiles) -> _Case:
    def read() -> tuple[npt.NDArray[np.int32], list[Handled]]:
        path = require_labels(case)
        stored = read_labels(path)
        try:
            dataset.labels.encode(stored)
        except ValueError as error:
            raise BadInput(f"{path}: {error}; correct it or convert the dataset again.") from None
        return stored, []

    labels = () if case.labels is None else (case.labels,)
    image = partial(read_image, case, dataset.channels)
    return _Case(case.name, case.domain, case.subject, case.channels, labels, image, read)


def _diagnosis(
    path: str, kind: str, cases: Collection[Any], as_read: AsRead, channels: Sequence[str], labels: Labels
) -> Diagnosis:
    """Read every case, then say what the whole looks like; of a case without remark its measurement is kept only."""
    seen: list[_Examined] = []
    orientations: Counter[str] = Counter()

    def measured() -> Iterator[Measured]:
        for one in _watched("case", lambda case: _examine_case(as_read(case), labels), cases):
            if one.repairs or one.doubts or one.problem:
                seen.append(replace(one, measured=None))
            if one.measured is not None:
                orientations[one.measured[0].orientation] += 1
                yield one.measured

    fingerprint = measure.combine(path, tuple(channels), labels, measured())
    facts = [
        ("cases", f"{len(fingerprint.cases)} of {counted(len(cases), 'case')} can be used"),
        ("channels", enumerated(channels)),
        ("labels", labels_in_words(labels)),
    ]
    doubts = [doubt for one in seen for doubt in one.doubts]
    if fingerprint.cases:
        facts += _ranges(orientations, sizes_of(fingerprint.cases))
        doubts += check_fingerprint(fingerprint)
    left_out = [one.problem for one in seen if one.problem]
    return Diagnosis(path, kind, len(fingerprint.cases), tuple(facts), _grouped(seen), tuple(doubts), tuple(left_out))


def _examine_case(case: _Case, labels: Labels) -> _Examined:
    try:
        repairs, doubts = _headers((*case.images, *case.labels))
        image = case.read_image()
        repairs += [(one, case.images[0]) for one in handled_geometry(image.affine)]
        label_map, found = case.read_labels()
        repairs += [(one, case.labels[0]) for one in found]
        if label_map.shape != image.shape:
            raise BadInput(
                f"{case.labels[0]}: its {times(label_map.shape)} voxels are not the {times(image.shape)} of its image; "
                "resample it to the grid of the image."
            )
        measured = measure.measure_case(case.name, case.domain, case.subject, image, label_map, labels)
    except BadInput as error:
        return _Examined((), (), problem_of(error, (*case.images, *case.labels), case.images[0]))
    return _Examined(tuple(repairs), tuple(doubts), None, measured)


def _headers(files: Iterable[Path]) -> tuple[list[tuple[Handled, Path]], list[str]]:
    repairs: list[tuple[Handled, Path]] = []
    doubts: list[str] = []
    for file in files:
        facts = header_facts(file)
        repairs += [(one, file) for one in facts.handled]
        doubts += [f"{file}: {doubt}." for doubt in facts.doubts]
    return repairs, doubts


def _examine_image(path: Path) -> _Examined:
    try:
        seen = look_at(path)
    except BadInput as error:
        return _Examined((), (), Problem(path, without_file(error, path)))
    repairs = tuple((one, path) for one in handled(seen))
    doubts = tuple(f"{path}: {doubt}." for doubt in seen.facts.doubts)
    problem = None if seen.refused is None else Problem(path, seen.refused.removeprefix(f"{path}: "))
    return _Examined(repairs, doubts, problem)


def _watched(what: str, examine: Callable[[Any], _Examined], things: Collection[Any]) -> Iterator[_Examined]:
    with progress(f"read {counted(len(things), what)}") as shown:
        for done, one in enumerate(map_threads(examine, things), start=1):
            yield one
            shown.update(done / len(things))


def _grouped(seen: Iterable[_Examined]) -> tuple[Repair, ...]:
    """What differs in its numbers only is one repair, told by the first file that has it; the most frequent first."""
    groups: dict[tuple[str, str], list[tuple[Handled, Path]]] = {}
    for one, file in (pair for examined in seen for pair in examined.repairs):
        groups.setdefault((_NUMBERS.sub("#", one.what), _NUMBERS.sub("#", one.how)), []).append((one, file))
    repairs = []
    for pairs in groups.values():
        first = pairs[0][0]
        alike = "" if all(one == first for one, _ in pairs) else " (or alike)"
        repairs.append(Repair(first.what + alike, first.how, tuple(file for _, file in pairs)))
    return tuple(sorted(repairs, key=lambda repair: -len(repair.files)))


def _ranges(orientations: Counter[str], sizes: Sizes) -> list[tuple[str, str]]:
    """Spacing and size over the cases, along the axes of the body."""
    facts = [("stored as", enumerated([f"{code} ({count})" for code, count in orientations.most_common()]))]
    for what, unit, values in (("spacing", "mm", sizes.spacing_mm), ("size", "voxels", sizes.shape)):
        lowest, highest = np.min(values, axis=0), np.max(values, axis=0)
        spans = [
            f"{axis} {number(low)}" + ("" if low == high else f" to {number(high)}")
            for axis, low, high in zip(_AXES, lowest, highest, strict=True)
        ]
        facts.append((what, f"{', '.join(spans)} {unit}"))
    return facts
