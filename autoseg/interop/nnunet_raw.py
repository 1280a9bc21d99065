"""What a raw dataset of nnU-Net holds, by its dataset.json and the names of its files.

The cases are those of ``imagesTr`` and ``labelsTr``, or of the entry ``dataset`` of dataset.json: case ->
``{"images": [...], "label": ...}``, paths absolute or from the folder, with environment variables. Facts: nnunetv2
2.8.1, ``utilities/utils.py``. Version 1 wrote ``modality``, the names of labels by value, and no file ending.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, Field

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.nnunet_documents import FOREIGN, Text, check, parse, read_dataset
from autoseg.interop.raw_layout import CASES_COLUMNS, STORED_READERS, Problem
from autoseg.io.workspace import parse_labels

_CASE_NAME = r"[^./\\\x00-\x1f][^/\\\x00-\x1f]*"


@dataclass(frozen=True)
class PeerCase:
    """The files of one case; they need not exist."""

    name: str
    images: tuple[Path, ...]
    labels: Path

    @property
    def files(self) -> tuple[Path, ...]:
        """Images, then labels."""
        return (*self.images, self.labels)


@dataclass(frozen=True)
class PeerRawDataset:
    """dataset.json and the names of files; no image has been opened.

    ``problems`` are by the name of the case; ``origins`` are rows of a cases.tsv that autoseg has written.
    """

    folder: Path
    channels: tuple[str, ...]
    labels: Labels
    file_ending: str
    cases: tuple[PeerCase, ...]
    origins: Mapping[str, Mapping[str, str]]
    problems: Mapping[str, Problem]
    notes: tuple[str, ...]


class _ListedCase(BaseModel):
    model_config = FOREIGN
    images: Annotated[list[Text], Field(min_length=1, max_length=1000)]
    label: Text


class _ListedCases(BaseModel):
    model_config = FOREIGN
    dataset: Annotated[dict[str, _ListedCase], Field(min_length=1)]


def is_raw_dataset(source: Path) -> bool:
    """Whether a folder is a raw dataset rather than a model, whose dataset.json lies beside its plans.json."""
    if any((source / name).is_dir() for name in ("imagesTr", "labelsTr")):
        return True
    plans = [*source.glob("plans.json"), *source.glob("*/plans.json")]
    return (source / "dataset.json").is_file() and not plans


def read_raw_dataset(folder: Path) -> PeerRawDataset:
    """What a raw dataset holds, without opening images; BadInput where dataset.json cannot be used."""
    folder = Path(os.path.abspath(folder))
    path = folder / "dataset.json"
    if not path.is_file():
        raise BadInput(f"{path}: the file is missing; give the whole folder DatasetNNN_NAME.")
    document = _of_present_version(parse(path.read_bytes(), str(path)), path)
    known = read_dataset(document, str(path))
    channels = tuple(known.channel_names.get(str(i), "") for i in range(len(known.channel_names)))
    if "" in channels:
        listed = ", ".join(known.channel_names)
        raise BadInput(f'{path}: the channels are numbered {listed}; number channel_names "0", "1", "2".')
    ending = known.file_ending.lower()
    if ending not in STORED_READERS:
        raise BadInput(f"{path}: {ending} files cannot be taken over; use one of {', '.join(STORED_READERS)}.")
    if "dataset" in document:
        cases, problems = _listed_cases(document, folder, path)
    else:
        cases, problems = _found_cases(folder, known.file_ending)
    expected = document.get("numTraining")
    notes = [f"dataset.json says {expected} cases, and there are {len(cases)}."] if expected != len(cases) else []
    others = len([*(folder / "imagesTs").glob(f"[!.]*{known.file_ending}")])
    if others:
        notes.append(
            f"{folder / 'imagesTs'} holds {others} files of images without labels, which are not taken over; "
            "`autoseg predict` segments them where they are."
        )
    labels = parse_labels(document, path)
    return PeerRawDataset(folder, channels, labels, ending, tuple(cases), _origins(folder), problems, tuple(notes))


def _of_present_version(document: dict[str, Any], path: Path) -> dict[str, Any]:
    labels = document.get("labels")
    if "modality" not in document or "channel_names" in document or not isinstance(labels, dict):
        return document
    if all(isinstance(name, str) and value.isdecimal() for value, name in labels.items()):
        turned = {name: int(value) for value, name in labels.items()}
        if len(turned) < len(labels):
            raise BadInput(f"{path}: two labels have the same name; give each its own.")
        labels = turned
    return {"file_ending": ".nii.gz", **document, "labels": labels}


def _listed_cases(document: dict[str, Any], folder: Path, path: Path) -> tuple[list[PeerCase], dict[str, Problem]]:
    cases, problems = list[PeerCase](), dict[str, Problem]()
    for name, listed in check(_ListedCases, document, str(path)).dataset.items():
        images = tuple(_resolved(folder, image) for image in listed.images)
        if re.fullmatch(_CASE_NAME, name):
            cases.append(PeerCase(name, images, _resolved(folder, listed.label)))
        else:
            sentence = f"its case {name[:80]!r} is no file name; rename it in dataset.json."
            problems[name] = Problem(images[0], sentence)
    if not cases:
        raise BadInput(f"{path}: no case under dataset has a name that can be used; rename them.")
    return cases, problems


def _resolved(folder: Path, written: str) -> Path:
    return Path(os.path.abspath(folder / os.path.expandvars(written)))


def _found_cases(folder: Path, ending: str) -> tuple[list[PeerCase], dict[str, Problem]]:
    """Cases by the names of images, sorted."""
    for name in ("imagesTr", "labelsTr"):
        if not (folder / name).is_dir():
            raise BadInput(f"{folder}: has no folder {name} and no entry `dataset` in dataset.json; add one of them.")
    images: dict[str, dict[int, Path]] = {}
    problems = dict[str, Problem]()
    for path in sorted((folder / "imagesTr").glob(f"[!.]*{ending}")):
        match = re.fullmatch(rf"({_CASE_NAME})_(\d{{4}})", path.name.removesuffix(ending))
        if match:
            images.setdefault(match.group(1), {})[int(match.group(2))] = path
        else:
            sentence = f"its name does not end in a channel, as in CASE_0000{ending}; rename it."
            problems[path.name] = Problem(path, sentence)
    if not images:
        raise BadInput(f"{folder / 'imagesTr'}: holds no image CASE_0000{ending}; correct the names or file_ending.")
    labels = {path.name.removesuffix(ending): path for path in (folder / "labelsTr").glob(f"[!.]*{ending}")}
    cases = []
    for name, files in sorted(images.items()):
        missing = next((number for number in range(len(files)) if number not in files), None)
        if missing is None:
            own = folder / "labelsTr" / f"{name}{ending}"
            cases.append(PeerCase(name, tuple(files[number] for number in range(len(files))), own))
        else:
            path = next(iter(files.values()))
            problems[name] = Problem(path, f"the channel {name}_{missing:04d}{ending} is missing; add its file.")
    for name in sorted(set(labels) - set(images)):
        problems[name] = Problem(labels[name], "no image belongs to it; add its image.")
    if not cases:
        first = next(iter(problems.values()))
        raise BadInput(f"{first.file}: {first.sentence}")
    return cases, problems


def _origins(folder: Path) -> dict[str, dict[str, str]]:
    """Domain, subject, group, session and contrast of cases that autoseg has written."""
    table = folder / "cases.tsv"
    if not table.is_file():
        return {}
    with table.open(encoding="utf-8", newline="", errors="replace") as lines:
        reader = csv.DictReader(lines, delimiter="\t")
        if not set(CASES_COLUMNS) - {"group"} <= set(reader.fieldnames or ()):  # older tables have no groups
            return {}
        return {row["case"]: row for row in reader if None not in row and None not in row.values()}
