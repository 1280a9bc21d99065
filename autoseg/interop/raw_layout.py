"""The folder of a raw dataset in the layout of nnU-Net, with the provenance of each case.

::

    imagesTr/CASE_0000.nii.gz   a link to the source, or its bytes compressed where the ending differs; of a 4D
                                source each volume
    labelsTr/CASE.nii.gz        a link where the source already is the label map, else uint8 or uint16
    dataset.json                channel_names, labels, numTraining, file_ending, and the reader that turns images
                                to one orientation as autoseg does, where nnU-Net has one
    cases.tsv                   columns CASES_COLUMNS; files relative to the source, several joined by ;
                                group: what folds keep together beyond a subject
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.io.files import atomic, require_short_name, write_json, write_text
from autoseg.io.grids import FLAT, Grid
from autoseg.io.images import count_channels, file_ending, files_of
from autoseg.io.locks import held
from autoseg.io.nifti import is_nifti, write_volumes
from autoseg.runtime.jobs import map_threads

CASES_COLUMNS = (
    "case",
    "domain",
    "source",
    "subject",
    "group",
    "session",
    "contrast",
    "image_files",
    "label_files",
    "image_sha256",
    "label_sha256",
)

# nnU-Net's readers: those that turn images to one orientation, and those that leave them as stored.
REORIENTING_READERS = {
    **dict.fromkeys((".nii.gz", ".nii"), "NibabelIOWithReorient"),
    **dict.fromkeys((".nrrd", ".mha", ".gipl"), "SimpleITKIOWithReorient"),
}
STORED_READERS = {
    **dict.fromkeys((".nii.gz", ".nrrd", ".mha", ".gipl"), "SimpleITKIO"),
    ".nii": "NibabelIO",
    **dict.fromkeys((".png", ".bmp", ".tif"), "NaturalImage2DIO"),
    ".tiff": "Tiff3DIO",
}


@dataclass(frozen=True)
class Problem:
    """A file that was left out, and one sentence saying why and what helps."""

    file: Path
    sentence: str


@dataclass(frozen=True)
class CaseResult:
    """A case that was written: its row of CASES_COLUMNS and the label values in it. Or why it was not."""

    row: tuple[str, ...]
    present: frozenset[int]
    problem: Problem | None


class _Named(Protocol):
    @property
    def name(self) -> str: ...


Case = TypeVar("Case", bound=_Named)


@contextmanager
def new_folder(destination: Path, *subfolders: str) -> Iterator[Path]:
    """A folder to write that becomes ``destination`` when the block ends, and vanishes if it fails.

    BadInput while another process writes it; what a killed one left is removed.
    """
    folder, old = (destination.with_name(f".{destination.name}.{kind}") for kind in ("partial", "old"))
    with held(destination, "written"):
        shutil.rmtree(folder, ignore_errors=True)
        if old.exists() and not destination.exists():  # killed between two renames
            os.replace(old, destination)
        try:
            for name in subfolders:
                (folder / name).mkdir(parents=True)
            yield folder
            _put_in_place(folder, destination, old)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def write_cases(
    cases: Sequence[Case],
    write: Callable[[Case], CaseResult],
    destination: Path,
    progress: Callable[[int, int, str], None],
) -> list[CaseResult]:
    """``write`` of every case, in threads; BadInput if none can be used. ``progress(done, total, case)``."""
    results: list[CaseResult] = []
    for case, result in zip(cases, map_threads(write, cases), strict=True):
        results.append(result)
        progress(len(results), len(cases), case.name)
    problems = [result.problem for result in results if result.problem is not None]
    if len(problems) == len(cases):
        first = "; ".join(f"{problem.file}: {problem.sentence.rstrip('.')}" for problem in problems[:3])
        raise BadInput(f"{destination}: none of {len(cases)} cases can be used ({first}); correct the files.")
    return results


def problem_of(error: BadInput, files: Iterable[Path], otherwise: Path) -> Problem:
    """``error`` as the problem of the file whose name it begins with."""
    path = next((file for file in files if str(error).startswith(f"{file}: ")), otherwise)
    return Problem(path, without_file(error, path))


def without_file(error: BadInput, path: Path) -> str:
    """The sentence of an error without the file name in front."""
    return str(error).removeprefix(f"{path}: ")


def place(source: Path, target: Path, case: str) -> None:
    """Link an image or label map of ``case``, or compress the unchanged bytes of a ``.nii`` into a ``.nii.gz``.

    The voxel size of a TIFF stack goes beside it, as ``CASE.json``.
    """
    for sidecar in files_of(source)[1:]:
        beside = target.with_name(f"{case}.json")
        if not os.path.lexists(beside):  # all channels have the same
            _link(sidecar, beside)
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


def place_images(images: Iterable[Path], folder: Path, case: str, ending: str) -> None:
    """Image files as ``CASE_0000``, ``CASE_0001`` and so on; each volume of a 4D NIfTI file becomes a file."""
    number = 0
    for image in images:
        volumes = count_channels(image) if is_nifti(image) else 1
        targets = [folder / f"{case}_{index:04d}{ending}" for index in range(number, number + volumes)]
        if volumes > 1:
            write_volumes(image, targets)
        else:
            place(image, targets[0], case)
        number += volumes


def checksums(paths: Iterable[Path]) -> str:
    """The SHA-256 of each file, joined by ;."""
    digests = []
    for path in paths:
        with path.open("rb") as stream:
            digests.append(hashlib.file_digest(stream, "sha256").hexdigest())
    return ";".join(digests)


def dataset_document(
    name: str, channels: Sequence[str], labels: Labels, num_training: int, ending: str, grid: Grid
) -> dict[str, Any]:
    """dataset.json; ``grid`` is that of an image.

    nnU-Net's readers that turn images read volumes only.
    """
    (_, _, slices), affine = grid
    sides_mm = (affine[:3, :3] ** 2).sum(axis=0) ** 0.5
    flat = slices == 1 and sides_mm[2] > 0.99 * FLAT * max(sides_mm[:2])
    reader = None if flat else REORIENTING_READERS.get(ending)
    return {
        "name": name,
        "channel_names": {str(i): channel for i, channel in enumerate(channels)},
        **labels.document(),
        "numTraining": num_training,
        "file_ending": ending,
        **({"overwrite_image_reader_writer": reader} if reader else {}),
    }


def write_documents(folder: Path, document: dict[str, Any], rows: Sequence[tuple[str, ...]]) -> None:
    """dataset.json, and cases.tsv with ``rows``."""
    write_json(folder / "dataset.json", document)
    text = io.StringIO()
    csv.writer(text, delimiter="\t", lineterminator="\n").writerows([CASES_COLUMNS, *rows])
    write_text(folder / "cases.tsv", text.getvalue())


def absent_labels(labels: Labels, results: Sequence[CaseResult]) -> list[str]:
    """Sentences about labels without voxels and cases without labels."""
    written = [result for result in results if result.problem is None]
    counts: Counter[int] = Counter(value for result in written for value in result.present)
    notes = [
        f"The label {name} has no voxel in any case."
        for name, values in labels.foreground.items()
        if not any(counts[value] for value in values)
    ]
    empty = sum(not result.present for result in written)
    if empty:
        notes.append(f"{empty} of {len(written)} cases have no labelled voxel.")
    return notes


def _link(source: Path, target: Path) -> None:
    require_short_name(target)
    try:
        target.symlink_to(source.absolute())
    except OSError:  # Windows without the right to make links
        shutil.copyfile(source, target)


def _put_in_place(folder: Path, destination: Path, old: Path) -> None:
    """An older dataset is moved aside first and removed last: at any moment one of them is whole."""
    shutil.rmtree(old, ignore_errors=True)
    if destination.exists():
        os.replace(destination, old)
    try:
        os.replace(folder, destination)
    except OSError:
        if old.exists():
            os.replace(old, destination)
        raise
    shutil.rmtree(old, ignore_errors=True)
