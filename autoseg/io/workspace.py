"""Where every document of a workspace lies, and the datasets in it."""

from __future__ import annotations

import csv
import difflib
import os
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from autoseg.core.case import NAME, CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.packed import Packed
from autoseg.io.files import read_json, read_lines

WORKSPACE_VARIABLE, DEFAULT_WORKSPACE = "AUTOSEG_WORKSPACE", "autoseg-workspace"
_NEEDED_COLUMNS = ("case", "domain", "subject", "source")
_FACTS = ("domain", "subject", "group", "session")  # of ``CaseFiles``, in its order
LABELS_FILE = "labels.json"  # beside predictions with overlapping regions or ignored voxels, which dseg.tsv cannot name


def nearest_name(name: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` or a list of what exists, for error sentences."""
    known = sorted(known)
    if not known:
        return "there is none yet"
    close = difflib.get_close_matches(name.lower(), [k.lower() for k in known], n=1, cutoff=0.5)
    listed = ", ".join(known[:8]) + (", ..." if len(known) > 8 else "")
    if close:
        return f"did you mean {next(k for k in known if k.lower() == close[0])}? There is: {listed}"
    return f"there is: {listed}"


def parse_labels(document: Mapping[str, Any], source: Path) -> Labels:
    """The labels of a ``dataset.json``; BadInput with everything that is wrong about them.

    As in nnU-Net the order of regions is passed over where none consists of several values.
    """
    try:
        values = document["labels"]
        overlap = any(isinstance(members, list | tuple) and len(members) > 1 for members in values.values())
        return Labels(values=values, region_order=tuple(document.get("regions_class_order") or ()) if overlap else ())
    except (KeyError, AttributeError, TypeError):
        raise BadInput(f"{source}: has no labels; add them as name and value, background 0.") from None
    except ValidationError as error:
        problems = "; ".join(item["msg"].removeprefix("Value error, ") for item in error.errors())
        raise BadInput(f"{source}: the labels cannot be used ({problems}); correct them.") from None


def usual_workspace(root: Path | str | None = None) -> Workspace:
    """The one in ``root``, else in ``$AUTOSEG_WORKSPACE``, else in ``./autoseg-workspace``."""
    return Workspace(Path(root or os.environ.get(WORKSPACE_VARIABLE) or DEFAULT_WORKSPACE).absolute())


def checked_name(dataset: str) -> str:
    """``dataset`` if it can be one folder name, which a dataset's is; else BadInput."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*", dataset):
        raise BadInput(f"--dataset {dataset!r}: use letters, digits, '-', '_' and '.' only.")
    return dataset


@dataclass(frozen=True)
class RawDataset:
    """A dataset of the workspace: ``dataset.json`` and ``cases.tsv`` as read."""

    name: str
    folder: Path
    channels: tuple[str, ...]
    labels: Labels
    file_ending: str
    cases: Packed[CaseFiles]
    sources: frozenset[Path]  # the BIDS datasets that it was converted from


@dataclass(frozen=True)
class Workspace:
    """The folders of a workspace (layout: README, "The workspace")."""

    root: Path

    def dataset_folder(self, dataset: str) -> Path:
        """The raw dataset with its fingerprint, plan and splits."""
        return self.root / "datasets" / dataset

    def preprocessed_folder(self, dataset: str, configuration: str) -> Path:
        """The prepared cases of one configuration."""
        return self.root / "preprocessed" / dataset / configuration

    def model_folder(self, dataset: str, configuration: str, fold: str) -> Path:
        """Weights, progress and validation of one fold."""
        return self.root / "models" / dataset / configuration / fold

    def selection_file(self, dataset: str) -> Path:
        """What ``select`` decided."""
        return self.root / "models" / dataset / "selection.json"

    def ensemble_folder(self, dataset: str, members: str) -> Path:
        """Held-out cases as a pair of configurations segments them."""
        return self.root / "models" / dataset / "ensembles" / members

    def profile_folder(self, dataset: str) -> Path:
        """What ``profile`` measured."""
        return self.root / "profiles" / dataset

    def trained_configurations(self, dataset: str) -> dict[str, list[str]]:
        """Configuration -> folds that finished training."""
        found: dict[str, list[str]] = {}
        for weights in sorted((self.root / "models" / dataset).glob("*/*/final.safetensors")):
            found.setdefault(weights.parent.parent.name, []).append(weights.parent.name)
        return found

    def require_dataset(self, dataset: str) -> Path:
        """The folder of an existing dataset, else a sentence with the nearest name."""
        folder = self.dataset_folder(dataset)
        if not (folder / "dataset.json").is_file():
            known = [path.parent.name for path in (self.root / "datasets").glob("*/dataset.json")]
            raise BadInput(
                f"{folder}: there is no dataset of this name in the workspace ({nearest_name(dataset, known)}); "
                "`autoseg convert-bids` makes one."
            )
        return folder

    def read_dataset(self, dataset: str) -> RawDataset:
        """Read ``dataset.json`` and ``cases.tsv``."""
        folder = self.require_dataset(dataset)
        document = read_json(folder / "dataset.json")
        try:
            names = document["channel_names"]
            channels = tuple(names[str(i)] for i in range(len(names)))
            labels = parse_labels(document, folder / "dataset.json")
            ending, num_cases = str(document["file_ending"]), int(document["numTraining"])
            if not channels or not all(isinstance(channel, str) for channel in channels):
                raise ValueError("channel_names are no names")
        except (ValueError, KeyError, TypeError, OverflowError) as error:
            raise BadInput(
                f"{folder / 'dataset.json'}: cannot be read ({error!r}); convert the dataset again."
            ) from None
        cases, sources = _read_cases(folder, num_cases, len(channels), ending)
        return RawDataset(dataset, folder, channels, labels, ending, cases, sources)


def _read_cases(
    folder: Path, num_cases: int, num_channels: int, ending: str
) -> tuple[Packed[CaseFiles], frozenset[Path]]:
    """What ``cases.tsv`` tells: the cases and their sources; BadInput unless it tells of ``num_cases`` different ones.

    It is read row by row: of many cases nothing is held but what is needed.
    """
    table = folder / "cases.tsv"
    if not table.is_file():
        raise BadInput(f"{table}: the table of cases is missing; convert the dataset again.")
    names = folder / "imagesTr" / NAME, folder / "labelsTr" / NAME
    channels, labels = tuple(f"{names[0]}_{i:04d}{ending}" for i in range(num_channels)), f"{names[1]}{ending}"
    cases, sources, whole = Packed(CaseFiles), set(), True
    try:
        lines = filter(None, csv.reader(read_lines(table), delimiter="\t"))
        header = next(lines, [])
        for line in lines:
            whole = whole and len(line) == len(header)
            if whole:
                cells = defaultdict(str, zip(header, line, strict=True))
                files = _present(channels, cells["case"])
                cases.append(CaseFiles(cells["case"], files, labels, *(cells[column] for column in _FACTS)))
                sources.add(cells["source"])
    except csv.Error as error:
        raise BadInput(f"{table}: is no table ({error}); convert the dataset again.") from None
    if not whole or len(cases) != num_cases:
        raise BadInput(f"{table}: does not hold the {num_cases} cases of dataset.json; convert the dataset again.")
    missing = [column for column in _NEEDED_COLUMNS if cases and column not in header]
    if missing:
        raise BadInput(f"{table}: has no column {missing[0]}; convert the dataset again.")
    for name, times in Counter(case.name for case in cases).items():
        if name in ("", ".", "..") or "/" in name or "\0" in name:
            raise BadInput(f"{table}: {name!r} is no name of a case; convert the dataset again.")
        if times > 1:
            raise BadInput(f"{table}: names the case {name} twice; convert the dataset again.")
    return cases, frozenset(map(Path, sources))


def _present(channels: tuple[str, ...], name: str) -> tuple[str, ...]:
    """The files that a case has: one may hold several channels (RGB), so there may be fewer."""
    if len(channels) == 1:
        return channels
    return tuple(file for file in channels if os.path.lexists(file.replace(NAME, name))) or channels
