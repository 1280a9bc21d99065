"""A plain index of one BIDS dataset: file names are parsed, no image is read.

A file name is ``sub-X[_ses-X][_key-value...]_CONTRAST``; a label adds a *label part*, either after the
contrast (``sub-1_T2w_seg-manual``, ``sub-1_T2w_label-SC_seg``: common, though not strictly BIDS) or
instead of it (``sub-1_desc-manual_dseg``, ``sub-1_space-T2w_label-SC_mask``: strict BIDS).
bidsschematools is not needed: only the eight derivative entities have to be known by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.errors import BadInput

LABEL_SUFFIXES = frozenset({"mask", "lesion", "lesions", "roi", "label", "labels", "dlabel"})  # and every *seg
DERIVATIVE_ENTITIES = frozenset({"space", "atlas", "seg", "scale", "res", "den", "label", "desc"})
SKIPPED_FOLDERS = frozenset({"code", "sourcedata", "stimuli"})
_ENDINGS = (".nii.gz", ".nii")


@dataclass(frozen=True)
class BidsFile:
    """One NIfTI file. ``label_part`` is empty for an image; ``contrast`` is empty where the name has none.

    ``image_stem`` is the stem without the label part; ``entities`` are the (key, value) pairs before the
    label part, ``sub`` and ``ses`` included, derivative entities left out; ``space`` may name a contrast.
    """

    path: Path
    stem: str
    subject: str
    session: str
    entities: frozenset[tuple[str, str]]
    contrast: str
    image_stem: str
    label_part: str
    space: str


@dataclass(frozen=True)
class BidsIndex:
    """The images (in the subject folders) and labels (in ``derivatives``, or beside the images).

    ``problems`` are (file, sentence) pairs about files that were left out.
    """

    root: Path
    images: tuple[BidsFile, ...]
    labels: tuple[BidsFile, ...]
    problems: tuple[tuple[Path, str], ...]


def index_dataset(root: Path) -> BidsIndex:
    """Index the BIDS dataset at ``root``, sorted by path; BadInput when it holds no ``sub-*`` folder."""
    root = Path(root).resolve()
    if not root.is_dir():
        raise BadInput(f"{root}: there is no such folder; give the folder of a BIDS dataset.")
    subjects = sorted(entry.name for entry in os.scandir(root) if entry.is_dir() and entry.name.startswith("sub-"))
    if not subjects:
        raise BadInput(_no_subjects(root))
    images: list[BidsFile] = []
    labels: list[BidsFile] = []
    problems: list[tuple[Path, str]] = []
    for subject in subjects:
        for path in _walk(root / subject):
            found = parse_name(path)
            if found is None or (wrong := _misplaced(found, root)):
                problems.append((path, wrong if found else "its name is not sub-X_..._CONTRAST; rename it."))
            else:
                (labels if found.label_part else images).append(found)
    if (root / "derivatives").is_dir():
        derived = index_labels(root / "derivatives")
        labels += derived.labels
        problems += derived.problems
    return BidsIndex(root, *_without_twins(images, labels, problems))


def index_labels(root: Path) -> BidsIndex:
    """Index the labels anywhere under ``root`` (a derivatives folder); images there are passed over."""
    root = Path(root).resolve()
    labels, problems = [], []
    for path in _walk(root):
        found = parse_name(path)
        if found is None or not found.label_part:
            continue
        if wrong := _misplaced(found, root):
            problems.append((path, wrong))
        else:
            labels.append(found)
    return BidsIndex(root, *_without_twins([], labels, problems))


def parse_name(path: Path) -> BidsFile | None:
    """Parse one file name; None when it does not start with ``sub-`` or names nothing."""
    ending = next((ending for ending in _ENDINGS if path.name.endswith(ending)), None)
    tokens = path.name[: -len(ending)].split("_") if ending else []
    if len(tokens) < 2 or not tokens[0].startswith("sub-") or len(tokens[0]) == 4 or not all(tokens):
        return None
    contrast = next((i for i, token in enumerate(tokens) if "-" not in token and not is_label_suffix(token)), None)
    cut = contrast + 1 if contrast is not None else _start_of_label_part(tokens)
    pairs = [(key, value) for key, dash, value in (token.partition("-") for token in tokens) if dash]
    before = [(key, value) for key, dash, value in (token.partition("-") for token in tokens[:cut]) if dash]
    return BidsFile(
        path=path,
        stem="_".join(tokens),
        subject=tokens[0],
        session=next((f"ses-{value}" for key, value in pairs if key == "ses"), ""),
        entities=frozenset(pair for pair in before if pair[0] not in DERIVATIVE_ENTITIES),
        contrast=tokens[contrast] if contrast is not None else "",
        image_stem="_".join(tokens[:cut]),
        label_part="_".join(tokens[cut:]),
        space=next((value for key, value in pairs if key == "space"), ""),
    )


def is_label_suffix(token: str) -> bool:
    """Whether a name token without a dash names labels (``dseg``, ``mask``, ``seg``) instead of a contrast."""
    return token.endswith("seg") or token in LABEL_SUFFIXES


def image_of_label(label: BidsFile, images: Sequence[BidsFile], preferred: Sequence[str] = ()) -> BidsFile | str:
    """The image (among those of its subject) that a label belongs to, or a sentence saying why there is none.

    The image with the longest stem that starts the label's stem; failing that, the image with the label's
    entities (and contrast, if its name has one): the one named by ``space-``, the only one, or the first of
    the ``preferred`` contrasts.
    """
    starts = [image for image in images if label.stem.startswith(f"{image.stem}_")]
    if starts:
        return max(starts, key=lambda image: len(image.stem))
    fitting = [
        image
        for image in images
        if label.entities <= image.entities
        and label.contrast in ("", image.contrast)
        and label.subject == image.subject
    ]
    named = [image for image in fitting if image.contrast == label.space]
    if len(named or fitting) == 1:
        return (named or fitting)[0]
    if not fitting:
        return "no image has its subject, session, entities and contrast; rename the label or restore the image."
    for contrast in preferred:
        chosen = [image for image in named or fitting if image.contrast == contrast]
        if len(chosen) == 1:
            return chosen[0]
    listed = ", ".join(image.stem for image in (named or fitting)[:4])
    return f"it may belong to several images ({listed}); say which contrast with --contrasts or in its name (space-)."


def name_endings(files: Iterable[BidsFile]) -> str:
    """The distinct contrasts and label parts of files, for messages: ``T1w (3), T2w_seg-manual (2)``."""
    counts: dict[str, int] = {}
    for file in files:
        ending = "_".join(part for part in (file.contrast, file.label_part) if part)
        counts[ending] = counts.get(ending, 0) + 1
    listed = [f"{ending} ({count})" for ending, count in sorted(counts.items(), key=lambda item: -item[1])]
    return ", ".join(listed[:12]) + (", ..." if len(listed) > 12 else "") if listed else "none"


def _start_of_label_part(tokens: Sequence[str]) -> int:
    for i, token in enumerate(tokens[1:-1], start=1):
        if token.partition("-")[0] in DERIVATIVE_ENTITIES or is_label_suffix(token):
            return i
    return len(tokens) - 1


def _walk(folder: Path) -> Iterator[Path]:
    """NIfTI files under ``folder``, sorted; links are followed for files, not for folders (no cycles)."""
    entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    for entry in entries:
        if entry.name.startswith(".") or entry.name in SKIPPED_FOLDERS:
            continue
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(Path(entry.path))
        elif entry.name.endswith(_ENDINGS):
            yield Path(entry.path)


def _misplaced(file: BidsFile, root: Path) -> str:
    """A sentence when the subject in the file name is not the subject folder that the file lies in."""
    for part in file.path.relative_to(root.parent).parts[:-1]:
        if part.startswith("sub-") and part != file.subject:
            return f"its name says {file.subject} and it lies in {part}; move or rename it."
    return ""


def _without_twins(
    images: list[BidsFile], labels: list[BidsFile], problems: list[tuple[Path, str]]
) -> tuple[tuple[BidsFile, ...], tuple[BidsFile, ...], tuple[tuple[Path, str], ...]]:
    """Leave out the second of two images of one name (``.nii`` beside ``.nii.gz``)."""
    first: dict[tuple[Path, str], BidsFile] = {}
    for file in (*images, *labels):
        known = first.setdefault((file.path.parent, file.stem), file)
        if known is not file:
            problems.append((file.path, f"it has the same name as {known.path.name}; remove one of the two."))
    kept = {id(file) for file in first.values()}
    return (
        tuple(file for file in images if id(file) in kept),
        tuple(file for file in labels if id(file) in kept),
        tuple(problems),
    )


def _no_subjects(root: Path) -> str:
    inside = sorted(entry.name for entry in os.scandir(root) if not entry.name.startswith("."))
    below = [name for name in inside if (root / name).is_dir() and next((root / name).glob("sub-*"), None)]
    if below:
        return f"{root}: it is no BIDS dataset but holds some; give them by name: {', '.join(below[:8])}."
    listed = ", ".join(inside[:8]) or "nothing"
    return f"{root}: a BIDS dataset has folders called sub-*, and here is {listed}; give the folder of a BIDS dataset."
