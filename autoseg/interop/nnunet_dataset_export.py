"""A dataset of the workspace as a raw dataset of nnU-Net: links, and label maps written anew only to renumber them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.raw_layout import STORED_READERS, dataset_document, place
from autoseg.io.files import write_json
from autoseg.io.images import read_geometry, read_labels, write_labels
from autoseg.io.workspace import RawDataset
from autoseg.runtime.jobs import map_threads


def export_cases(dataset: RawDataset, folder: Path, name: str, progress: Callable[[int, int, str], None]) -> list[str]:
    """Write ``imagesTr``, ``labelsTr``, dataset.json and cases.tsv into ``folder``, as the dataset ``name``.

    Returns sentences that the user should read. BadInput: a format that nnU-Net does not read, files that are not
    there, label values that dataset.json does not name.
    """
    if dataset.file_ending not in STORED_READERS:
        raise BadInput(f"{dataset.folder}: nnU-Net does not read {dataset.file_ending} files; convert them to .nii.gz.")
    labels = consecutive(dataset.labels)
    renumbered = labels != dataset.labels

    def write_case(case: CaseFiles) -> None:
        for i, path in enumerate(case.channels):
            _place(path, folder / "imagesTr" / f"{case.name}_{i:04d}{dataset.file_ending}", case.name)
        stored = case.labels or dataset.folder / "labelsTr" / f"{case.name}{dataset.file_ending}"
        target = folder / "labelsTr" / f"{case.name}{dataset.file_ending}"
        if not renumbered:
            _place(stored, target, case.name)
            return
        try:
            indices = dataset.labels.encode(read_labels(stored))
        except ValueError as error:
            raise BadInput(f"{stored}: {error}; correct the map.") from None
        write_labels(target, indices, case.channels[0])

    for number, (case, _) in enumerate(zip(dataset.cases, map_threads(write_case, dataset.cases), strict=True), 1):
        progress(number, len(dataset.cases), case.name)
    grid = read_geometry(dataset.cases[0].channels[0])
    number, ending = len(dataset.cases), dataset.file_ending
    write_json(folder / "dataset.json", dataset_document(name, dataset.channels, labels, number, ending, grid))
    shutil.copyfile(dataset.folder / "cases.tsv", folder / "cases.tsv")
    if not renumbered:
        return []
    changed = [(before, after) for before, after in _renumbering(dataset.labels).items() if before != after]
    listed = ", ".join(f"{before} became {after}" for before, after in changed)
    return [f"nnU-Net needs labels without gaps: {listed}; the maps were written anew."]


def consecutive(labels: Labels) -> Labels:
    """``labels`` with the values 0, 1, 2, ... in the same order, as ``Labels.encode`` numbers them."""
    new = _renumbering(labels)
    values = {
        name: new[members] if isinstance(members, int) else tuple(new[value] for value in members)
        for name, members in labels.values.items()
    }
    return Labels(values=values, region_order=tuple(new[value] for value in labels.region_order))


def _renumbering(labels: Labels) -> dict[int, int]:
    known = [*labels.stored_values, *(() if labels.ignore is None else (labels.ignore,))]
    return {value: index for index, value in enumerate(known)}


def _place(path: Path, target: Path, case: str) -> None:
    """Link to what a link of the workspace points to, so that the workspace may go."""
    if not path.exists():
        raise BadInput(f"{path}: the file is not there ({os.path.realpath(path)}); fetch or restore it.")
    place(path.parent / path.readlink() if path.is_symlink() else path, target, case)
