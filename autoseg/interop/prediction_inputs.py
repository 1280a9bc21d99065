"""Which images a user means by the inputs of a prediction: files, DICOM series, folders of them, BIDS datasets."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from operator import attrgetter
from pathlib import Path

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.io.bids import BidsFile, has_contrast, index_dataset, parse_name, stem_without_contrast
from autoseg.io.dicom import series_folders
from autoseg.io.images import IMAGE_ENDINGS, count_channels, file_stem, list_images
from autoseg.io.nifti import is_nifti

_CHANNEL_NUMBER = re.compile(r"^(?P<case>.+)_(?P<channel>\d{4})$")


@dataclass(frozen=True)
class Subset:
    """Participants and sessions of a BIDS dataset, with or without ``sub-`` and ``ses-``; none means all."""

    participants: tuple[str, ...] = ()
    sessions: tuple[str, ...] = ()

    @property
    def wanted(self) -> tuple[frozenset[str], frozenset[str]]:
        """Participants and sessions with their prefixes."""
        return _prefixed("sub-", self.participants), _prefixed("ses-", self.sessions)

    def of(self, files: Iterable[BidsFile], root: Path) -> list[BidsFile]:
        """The files of these participants and sessions; BadInput that names those that ``root`` has not."""
        everyone = chosen = list(files)
        for wanted, label_of in zip(self.wanted, (attrgetter("subject"), attrgetter("session")), strict=True):
            if not wanted:
                continue
            there = sorted({label_of(file) for file in everyone} - {""})
            if missing := sorted(wanted.difference(there)):
                raise BadInput(
                    f"{root}: has no {', '.join(missing)} (there is: {', '.join(there[:8]) or 'none'}"
                    f"{', ...' if len(there) > 8 else ''}); correct the labels."
                )
            chosen = [file for file in chosen if label_of(file) in wanted]
        if everyone and not chosen:
            raise BadInput(f"{root}: has none of these participants in these sessions; correct the labels.")
        return chosen


def _prefixed(prefix: str, names: Iterable[str]) -> frozenset[str]:
    return frozenset(prefix + name.removeprefix(prefix) for name in names)


EVERYONE = Subset()


def find_inputs(
    inputs: Sequence[Path], channels: Sequence[str], subset: Subset = EVERYONE
) -> tuple[list[CaseFiles], list[str]]:
    """The cases to predict, each named by its (first) file, and sentences about what cannot be used.

    The folder of a DICOM series is an image; a folder may hold several such folders. A case of several channels is
    one file that holds them all (RGB, 4D NIfTI), or is put together from names that differ in the contrast
    (``sub-1_FLAIR``, ``sub-1_T1w``) or in nnU-Net's number (``case_0000``, ``case_0001``).
    ``channels`` are those of the model; ``subset`` is taken of BIDS datasets. BadInput: nothing there.
    """
    loose: list[Path] = []
    groups: list[tuple[list[Path], str]] = []
    problems: list[str] = []
    for path in inputs:
        if path.is_dir() and (series := series_folders(path)):
            loose += series if series == [path] else [*series, *list_images(path)]
        elif path.is_dir() and is_bids(path):
            images, unusable = _bids_images(path, channels, subset)
            groups.append((images, path.resolve().name))
            problems += unusable
        elif path.is_dir():
            images = list_images(path)
            if not images:
                raise BadInput(
                    f"{path}: holds no images ({', '.join(IMAGE_ENDINGS)}), no DICOM and is no BIDS dataset."
                )
            loose += images
        elif path.exists() or path.is_symlink():  # what a link lacks is told where it is read
            loose.append(path)
        else:
            raise BadInput(f"{path}: there is no such file or folder; check the path.")
    cases: list[CaseFiles] = []
    for files, domain in (*groups, (loose, "")):
        found, incomplete = _group(files, channels, domain)
        cases += found
        problems += incomplete
    return cases, problems


def is_bids(folder: Path) -> bool:
    """Whether the folder is (or looks like) a BIDS dataset."""
    return (folder / "dataset_description.json").is_file() or any(
        child.is_dir() and child.name.startswith("sub-") for child in folder.iterdir()
    )


def single_bids_dataset(inputs: Sequence[Path]) -> Path | None:
    """The BIDS dataset (resolved) that the inputs are; None if they are anything else or more than one."""
    if len(inputs) != 1 or not inputs[0].is_dir() or series_folders(inputs[0]) or not is_bids(inputs[0]):
        return None
    return inputs[0].resolve()


def _bids_images(root: Path, channels: Sequence[str], subset: Subset) -> tuple[list[Path], list[str]]:
    """The images of the contrasts that the model knows, and sentences about those that cannot be used.

    A channel ``T1w/T2w`` was trained on both.
    """
    named = {contrast for channel in channels for contrast in channel.split("/")}
    wanted = named | {re.sub(r"_\d+$", "", contrast) for contrast in named}  # MPM_1, MPM_2: volumes of MPM
    index = index_dataset(root)
    images = subset.of(index.images, root)
    chosen = [image.path for image in images if any(has_contrast(image, contrast) for contrast in wanted)]
    concerns = partial(_concerns, root=index.root, contrasts=wanted, subset=subset)
    problems = [f"{path}: {sentence}" for path, sentence in index.problems if concerns(path)]
    if not chosen and problems:
        raise BadInput(problems[0])
    if not chosen:
        there = sorted({image.contrast for image in images if image.contrast})
        raise BadInput(
            f"{root}: has no image of the contrast {' or '.join(sorted(wanted))} (there is: {', '.join(there)}); "
            "give the files themselves to predict another contrast."
        )
    return chosen, problems


def _concerns(path: Path, root: Path, contrasts: Iterable[str], subset: Subset) -> bool:
    """Whether a file of a dataset is an image to predict, as its name says, or a folder may hold some."""
    inside = path.relative_to(root)
    labels = inside.parts[0], next((part for part in inside.parts if part.startswith("ses-")), "")
    if any(wanted and label and label not in wanted for wanted, label in zip(subset.wanted, labels, strict=True)):
        return False
    image = parse_name(inside)
    if image is None:
        return inside.parts[0].startswith("sub-") and not inside.suffix
    return not image.label_part and any(has_contrast(image, contrast) for contrast in contrasts)


def _group(files: Iterable[Path], channels: Sequence[str], domain: str) -> tuple[list[CaseFiles], list[str]]:
    def of_one_file(file: Path) -> CaseFiles:
        return CaseFiles(file_stem(file), (file,), None, domain, file_stem(file))

    if len(channels) == 1:
        return [of_one_file(file) for file in files], []
    groups: dict[tuple[Path, str], dict[int, Path]] = defaultdict(dict)
    cases, problems = [], []
    for file in files:
        named = _channel_of(file, channels)
        try:
            if is_nifti(file):
                # One that is named as a channel is nearly always that, and opening it takes time.
                whole = named is None and _holds(len(channels), file)
            else:
                whole = count_channels(file) == len(channels)
        except BadInput as error:
            problems.append(str(error))
            continue
        if whole:
            cases.append(of_one_file(file))
            continue
        if named is None:
            raise BadInput(
                f"{file}: its name tells no channel; end it with one of "
                f"{', '.join(f'_{channel}' for channel in channels)} or _0000, _0001, ..."
            )
        key, channel = named
        groups[key][channel] = file
    for (folder, stem), group in groups.items():
        missing = [name for index, name in enumerate(channels) if index not in group]
        if not missing:
            ordered = tuple(group[index] for index in range(len(channels)))
            cases.append(CaseFiles(file_stem(ordered[0]), ordered, None, domain, stem))
        elif len(group) == 1 and _holds(len(channels), *group.values()):
            cases.append(of_one_file(*group.values()))
        elif contradiction := _contradiction(stem, group, channels):
            problems.append(contradiction)
        else:
            problems.append(
                f"{folder / stem}*: the channel {', '.join(missing)} is missing; the model needs "
                f"{', '.join(channels)} of every case."
            )
    return cases, problems


def _contradiction(stem: str, group: Mapping[int, Path], channels: Sequence[str]) -> str:
    """A sentence where the name of a numbered file tells another channel than its number; empty where none does."""
    for index, file in group.items():
        said = [channel for channel in channels if channel in stem.split("_") and channel != channels[index]]
        if said:
            return f"{file}: its name says {said[0]} and its number {channels[index]}; correct the name."
    return ""


def _holds(number: int, file: Path) -> bool:
    try:
        return count_channels(file) == number
    except BadInput:
        return False


def _channel_of(file: Path, channels: Sequence[str]) -> tuple[tuple[Path, str], int] | None:
    """((folder, stem without the channel), channel index); None if the name tells no channel."""
    stem = file_stem(file)
    named = parse_name(file)
    for index, channel in enumerate(channels):
        if named and not named.label_part and has_contrast(named, channel):
            return (file.parent, stem_without_contrast(named, channel)), index
        if stem == channel or stem.endswith(f"_{channel}"):
            return (file.parent, stem.removesuffix(channel).rstrip("_")), index
    numbered = _CHANNEL_NUMBER.match(stem)
    if numbered and int(numbered["channel"]) < len(channels):
        return (file.parent, numbered["case"]), int(numbered["channel"])
    return None
