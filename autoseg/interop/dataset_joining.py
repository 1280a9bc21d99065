"""Cases of several raw datasets as one more raw dataset (layout: ``raw_layout``), by links."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.interop.raw_layout import CASES_COLUMNS, dataset_document, new_folder, place, write_rows
from autoseg.io.files import naming_full_disk, write_json
from autoseg.io.images import read_geometry
from autoseg.io.workspace import RawDataset

_COMPRESSED = {".nii", ".nii.gz"}


@dataclass(frozen=True)
class Part:
    """Some cases of a dataset, which are the domain ``name`` of the joint one."""

    name: str
    dataset: RawDataset
    cases: tuple[CaseFiles, ...]


def join(parts: Sequence[Part], destination: Path, dataset: str) -> None:
    """Write the cases of the parts as the dataset ``dataset`` to the folder ``destination``, replacing what is there.

    BadInput: labels, numbers of channels or kinds of files that differ, a case without labels, or names that occur
    twice.
    """
    first, ending = parts[0], _common_ending(parts)
    for part in parts[1:]:
        require_alike(first.name, first.dataset, part.name, part.dataset)
    names = Counter(joint_name(part, case) for part in parts for case in part.cases)
    if twice := [name for name, times in names.items() if times > 1]:
        raise BadInput(f"{dataset}: {names[twice[0]]} cases are called {twice[0]}; rename one of the datasets.")
    rows = []
    with naming_full_disk(destination), new_folder(destination, "imagesTr", "labelsTr") as folder:
        for part in parts:
            known = _rows(part.dataset)
            for case in part.cases:
                name = joint_name(part, case)
                if case.labels is None:
                    raise BadInput(f"{case.name}: has no labels; convert the dataset {part.dataset.name} again.")
                for number, image in enumerate(case.channels):
                    place(image, folder / "imagesTr" / f"{name}_{number:04d}{ending}", name)
                place(case.labels, folder / "labelsTr" / f"{name}{ending}", name)
                row = {**known[case.name], "case": name, "domain": part.name}
                rows.append(tuple(row.get(column, "") for column in CASES_COLUMNS))
        grid = read_geometry(first.cases[0].channels[0])
        channels = _common_channels([part.dataset for part in parts])
        document = dataset_document(dataset, channels, first.dataset.labels, len(rows), ending, grid)
        write_json(folder / "dataset.json", document)
        write_rows(folder, rows)


def joint_name(part: Part, case: CaseFiles) -> str:
    """The name of a case in the joint dataset: it begins with that of its part."""
    return case.name if case.name.startswith(f"{part.name}_") else f"{part.name}_{case.name}"


def require_alike(name: str, dataset: RawDataset, other_name: str, other: RawDataset) -> None:
    """Refuse two datasets that no model can be trained on together."""
    if len(dataset.channels) != len(other.channels):
        channels = ", ".join(dataset.channels), ", ".join(other.channels)
        raise BadInput(f"{other_name}: has the channels {channels[1]}, and {name} has {channels[0]}; convert it alike.")
    if dataset.labels != other.labels:
        labels = dict(dataset.labels.values), dict(other.labels.values)
        raise BadInput(
            f"{other_name}: its labels are {labels[1]}, and those of {name} {labels[0]}; "
            "convert them alike, or give the BIDS folders, whose labels are unified."
        )


def _common_channels(datasets: Sequence[RawDataset]) -> list[str]:
    """The name of each channel; where the datasets call it otherwise, all of its names."""
    by_channel = zip(*(dataset.channels for dataset in datasets), strict=True)
    return ["/".join(dict.fromkeys(part for name in names for part in name.split("/"))) for names in by_channel]


def _common_ending(parts: Sequence[Part]) -> str:
    endings = {part.dataset.file_ending: part.name for part in parts}
    if len(endings) == 1:
        return next(iter(endings))
    if set(endings) <= _COMPRESSED:
        return ".nii.gz"
    listed = ", ".join(f"{name} has {ending}" for ending, name in endings.items())
    raise BadInput(f"datasets: their files are of several kinds ({listed}); convert the images to one kind.")


def _rows(dataset: RawDataset) -> dict[str, dict[str, str]]:
    """Case -> its row of ``cases.tsv``."""
    with (dataset.folder / "cases.tsv").open(encoding="utf-8", newline="") as lines:
        return {row["case"]: row for row in csv.DictReader(lines, delimiter="\t")}
