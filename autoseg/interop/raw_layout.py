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
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.packed import Packed
from autoseg.io.files import atomic, require_short_name
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


@dataclass(frozen=True)
class WrittenCases:
    """What became of ``num_cases``: problems by the place of the case; of the others how many have each label value."""

    num_cases: int
    problems: Mapping[int, Problem]
    present: Mapping[int, int]
    num_empty: int  # without any label value

    @property
    def num_written(self) -> int:
        """The cases without problem."""
        return self.num_cases - len(self.problems)


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
    cases: Sequence[Case] | Packed[Case],
    write: Callable[[Case], CaseResult],
    folder: Path,
    destination: Path,
    progress: Callable[[int, int, str], None],
) -> WrittenCases:
    """``write`` of every case, in threads, and ``cases.tsv`` in ``folder``, which will become ``destination``.

    ``progress(done, total, case)``. BadInput if no case can be used.
    """
    problems: dict[int, Problem] = {}
    present: Counter[int] = Counter()
    num_empty = 0

    def rows() -> Iterator[tuple[str, ...]]:
        nonlocal num_empty
        results = map_threads(lambda case: (case.name, write(case)), cases)
        for place, (name, result) in enumerate(results):
            progress(place + 1, len(cases), name)
            if result.problem is None:
                present.update(result.present)
                num_empty += not result.present
                yield result.row
            else:
                problems[place] = result.problem

    write_rows(folder, rows())
    if len(problems) == len(cases):
        some = islice(problems.values(), 3)
        first = "; ".join(f"{problem.file}: {problem.sentence.rstrip('.')}" for problem in some)
        raise BadInput(f"{destination}: none of {len(cases)} cases can be used ({first}); correct the files.")
    return WrittenCases(len(cases), problems, present, num_empty)


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


def write_rows(folder: Path, rows: Iterable[tuple[str, ...]]) -> None:
    """``cases.tsv`` with ``rows``, each written as it comes."""
    with (folder / "cases.tsv").open("w", encoding="utf-8") as table:
        csv.writer(table, delimiter="\t", lineterminator="\n").writerows(chain([CASES_COLUMNS], rows))


def absent_labels(labels: Labels, written: WrittenCases) -> list[str]:
    """Sentences about labels without voxels and cases without labels."""
    notes = [
        f"The label {name} has no voxel in any case."
        for name, values in labels.foreground.items()
        if not any(value in written.present for value in values)
    ]
    if written.num_empty:
        notes.append(f"{written.num_empty} of {written.num_written} cases have no labelled voxel.")
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
