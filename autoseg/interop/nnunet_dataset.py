"""Taking a raw dataset of nnU-Net over into the workspace (layout: ``raw_layout``)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_raw import PeerCase, PeerRawDataset
from autoseg.interop.raw_layout import (
    CaseResult,
    Problem,
    absent_labels,
    checksums,
    dataset_document,
    place,
    place_images,
    problem_of,
    write_cases,
)
from autoseg.io.files import write_json
from autoseg.io.grids import grid_difference
from autoseg.io.images import (
    file_ending,
    read_channels,
    read_geometry,
    read_label_map,
    stored_as_integers,
    write_labels,
)

NIFTI = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Imported:
    """The names of the cases that were taken over, what was left out, and what the user should read."""

    cases: tuple[str, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def import_cases(
    raw: PeerRawDataset, name: str, folder: Path, destination: Path, progress: Callable[[int, int, str], None]
) -> Imported:
    """Write the dataset ``name`` into ``folder``, which will become ``destination``.

    Every image and label map is read once. A case that cannot be used is left out: damage, NaN, other grids, other
    channels, label values without a name. BadInput if none remains.
    """
    write = partial(_write_case, raw=raw, folder=folder, dataset=name)
    written = write_cases(raw.cases, write, folder, destination, progress)
    kept = [case for place, case in enumerate(raw.cases) if place not in written.problems]
    grid = read_geometry(kept[0].images[0])
    document = dataset_document(name, raw.channels, raw.labels, len(kept), raw.file_ending, grid)
    write_json(folder / "dataset.json", document)
    notes = (*raw.notes, *absent_labels(raw.labels, written))
    problems = (*raw.problems.values(), *written.problems.values())
    return Imported(tuple(case.name for case in kept), problems, notes)


def _write_case(case: PeerCase, raw: PeerRawDataset, folder: Path, dataset: str) -> CaseResult:
    try:
        present, label_map = _checked(case, raw)
        target = folder / "labelsTr" / f"{case.name}{raw.file_ending}"
        if label_map is None:
            place(case.labels, target, case.name)
        else:
            write_labels(target, label_map, case.images[0])
        place_images(case.images, folder / "imagesTr", case.name, raw.file_ending)
        return CaseResult(_row(case, raw, dataset), present, None)
    except BadInput as error:
        return CaseResult((), frozenset(), problem_of(error, case.files, case.images[0]))


def _checked(case: PeerCase, raw: PeerRawDataset) -> tuple[frozenset[int], npt.NDArray[np.int32] | None]:
    """The label values but 0; and the label map where it has to be written anew, as whole numbers."""
    for path in case.files:
        if file_ending(path) != raw.file_ending and (raw.file_ending, file_ending(path)) != NIFTI:
            raise BadInput(f"{path}: is no {raw.file_ending} file, as file_ending of dataset.json says; convert it.")
    image = read_channels(case.images)
    if len(image.voxels) != len(raw.channels):
        raise BadInput(
            f"{case.images[0]}: the files of {case.name} hold {len(image.voxels)} channels and the dataset has "
            f"{len(raw.channels)} ({', '.join(raw.channels)}); add or remove files."
        )
    label_map, affine = read_label_map(case.labels)
    difference = grid_difference(image.shape, image.affine, label_map.shape, affine)
    if difference:
        raise BadInput(f"{case.labels}: {difference} {case.images[0].name}; resample it to the grid of the image.")
    try:
        counts = np.bincount(raw.labels.encode(label_map).ravel(order="K"))
    except ValueError as error:
        raise BadInput(f"{case.labels}: {error}; add the value to dataset.json or correct the map.") from None
    values = (*raw.labels.stored_values, raw.labels.ignore)
    present = frozenset(value for value, count in zip(values, counts, strict=False) if count and value)
    rewritten = file_ending(case.labels) in NIFTI and not stored_as_integers(case.labels)
    return present, label_map if rewritten else None


def _row(case: PeerCase, raw: PeerRawDataset, dataset: str) -> tuple[str, ...]:
    origin = raw.origins.get(case.name, {})
    return (
        case.name,
        origin.get("domain", dataset),
        str(raw.folder),
        origin.get("subject", case.name),
        origin.get("group", ""),
        origin.get("session", ""),
        origin.get("contrast", ",".join(raw.channels)),
        ";".join(_from(raw.folder, path) for path in case.images),
        _from(raw.folder, case.labels),
        checksums(case.images),
        checksums([case.labels]),
    )


def _from(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else str(path)
