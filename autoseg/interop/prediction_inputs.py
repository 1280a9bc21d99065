"""Which images a user means by the inputs of a prediction: files, DICOM series, folders of them, BIDS datasets."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.io.bids import index_dataset
from autoseg.io.dicom import series_folders
from autoseg.io.images import IMAGE_ENDINGS, count_channels, file_stem, label_file_name, list_images

_CHANNEL_NUMBER = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")


def find_inputs(inputs: Sequence[Path], channels: Sequence[str]) -> tuple[list[CaseFiles], list[str]]:
    """The cases to predict, each named by its (first) file, and sentences about those that lack a channel.

    The folder of a DICOM series is an image; a folder may hold several such folders. A case of several channels is
    one file that holds them all (RGB), or is put together from names that differ in the contrast
    (``sub-1_FLAIR``, ``sub-1_T1w``) or in nnU-Net's number (``case_0000``, ``case_0001``).
    ``channels`` are those of the model. BadInput: nothing there, or two cases for one output file.
    """
    loose: list[Path] = []
    groups: list[tuple[list[Path], str]] = []
    for path in inputs:
        if path.is_dir() and (series := series_folders(path)):
            loose += series if series == [path] else [*series, *list_images(path)]
        elif path.is_dir() and is_bids(path):
            groups.append((_bids_images(path, channels), path.resolve().name))
        elif path.is_dir():
            images = list_images(path)
            if not images:
                raise BadInput(
                    f"{path}: holds no images ({', '.join(IMAGE_ENDINGS)}), no DICOM and is no BIDS dataset."
                )
            loose += images
        elif path.exists():
            loose.append(path)
        else:
            raise BadInput(f"{path}: there is no such file or folder; check the path.")
    cases: list[CaseFiles] = []
    problems: list[str] = []
    for files, domain in (*groups, (loose, "")):
        found, incomplete = _group(files, channels, domain)
        cases += found
        problems += incomplete
    names: dict[str, Path] = {}
    for case in cases:
        first = case.channels[0]
        name = label_file_name(first)
        if name in names:
            raise BadInput(
                f"{first}: would be written to the same file as {names[name]}; predict them into different folders."
            )
        names[name] = first
    return cases, problems


def is_bids(folder: Path) -> bool:
    """Whether the folder is (or looks like) a BIDS dataset."""
    return (folder / "dataset_description.json").is_file() or any(
        child.is_dir() and child.name.startswith("sub-") for child in folder.iterdir()
    )


def _bids_images(root: Path, channels: Sequence[str]) -> list[Path]:
    """The images of the contrasts that the model knows; a channel ``T1w/T2w`` was trained on both."""
    wanted = {contrast for channel in channels for contrast in channel.split("/")}
    images = index_dataset(root).images
    chosen = [image.path for image in images if image.contrast in wanted]
    if not chosen:
        there = sorted({image.contrast for image in images if image.contrast})
        raise BadInput(
            f"{root}: has no image of the contrast {' or '.join(sorted(wanted))} (there is: {', '.join(there)}); "
            "give the files themselves to predict another contrast."
        )
    return chosen


def _group(files: Iterable[Path], channels: Sequence[str], domain: str) -> tuple[list[CaseFiles], list[str]]:
    if len(channels) == 1:
        return [CaseFiles(file_stem(file), (file,), None, domain, file_stem(file)) for file in files], []
    groups: dict[tuple[Path, str], dict[int, Path]] = defaultdict(dict)
    cases, problems = [], []
    for file in files:
        try:
            if count_channels(file) == len(channels):
                cases.append(CaseFiles(file_stem(file), (file,), None, domain, file_stem(file)))
                continue
        except BadInput as error:
            problems.append(str(error))
            continue
        key, channel = _channel_of(file, channels)
        groups[key][channel] = file
    for (folder, stem), group in groups.items():
        missing = [name for index, name in enumerate(channels) if index not in group]
        if missing:
            problems.append(
                f"{folder / stem}*: the channel {', '.join(missing)} is missing; the model needs "
                f"{', '.join(channels)} of every case."
            )
            continue
        ordered = tuple(group[index] for index in range(len(channels)))
        cases.append(CaseFiles(file_stem(ordered[0]), ordered, None, domain, stem))
    return cases, problems


def _channel_of(file: Path, channels: Sequence[str]) -> tuple[tuple[Path, str], int]:
    """((folder, stem without the channel), channel index)."""
    stem = file_stem(file)
    for index, channel in enumerate(channels):
        if stem == channel or stem.endswith(f"_{channel}"):
            return (file.parent, stem.removesuffix(channel).rstrip("_")), index
    numbered = _CHANNEL_NUMBER.match(stem)
    if numbered and int(numbered["channel"]) < len(channels):
        return (file.parent, numbered["case"]), int(numbered["channel"])
    raise BadInput(
        f"{file}: its name tells no channel; end it with one of "
        f"{', '.join(f'_{channel}' for channel in channels)} or _0000, _0001, ..."
    )
