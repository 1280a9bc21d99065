"""A plain index of one BIDS dataset: file names are parsed, no image is read, no file is asked for its status.

A file name is ``sub-X[_ses-X][_key-value...]_CONTRAST``; a label adds a *label part*, either after the
contrast (``sub-1_T2w_seg-manual``, ``sub-1_T2w_label-SC_seg``: common, though not strictly BIDS) or
instead of it (``sub-1_desc-manual_dseg``, ``sub-1_space-T2w_label-SC_mask``: strict BIDS).
bidsschematools is not needed: only the eight derivative entities have to be known by name.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed

LABEL_SUFFIXES = frozenset({"mask", "lesion", "lesions", "roi", "label", "labels", "dlabel"})  # and every *seg
DERIVATIVE_ENTITIES = frozenset({"space", "atlas", "seg", "scale", "res", "den", "label", "desc"})
NOT_MAGNITUDE = frozenset(("part", part) for part in ("phase", "real", "imag"))
SKIPPED_FOLDERS = frozenset({"code", "sourcedata", "stimuli"})
_NIFTI = (".nii.gz", ".nii")
_MICROSCOPY = (*_NIFTI, ".ome.tif", ".ome.tiff", ".tif", ".tiff", ".png")  # in folders called micr only
_NO_NAME = "its name is not sub-X_..._CONTRAST; rename it."


@dataclass(frozen=True)
class BidsFile:
    """One image file. ``label_part`` is empty for an image; ``contrast`` is empty where the name has none.

    ``image_stem`` is the stem without the label part; ``entities`` are the (key, value) pairs before the
    label part, ``sub`` and ``ses`` included, derivative entities left out; ``space`` may name a contrast.
    ``file`` is its path as text: Python keeps the names in each Path that is made in a table, which grows by megabytes.
    """

    file: str
    stem: str
    subject: str
    session: str
    entities: frozenset[tuple[str, str]]
    contrast: str
    image_stem: str
    label_part: str
    space: str

    @property
    def path(self) -> Path:
        """The path of the file."""
        return Path(self.file)

    @property
    def folder(self) -> str:
        """The name of the folder that it lies in."""
        return os.path.basename(os.path.dirname(self.file))


@dataclass(frozen=True)
class BidsIndex:
    """The images (in the subject folders) and labels (in ``derivatives``, or beside the images).

    The images are in order of their subjects. ``tables`` are the names of the ``.tsv`` files of each folder (its path)
    under ``root`` that has some. ``problems`` are (file, sentence) pairs about files that were left out.
    """

    root: Path
    images: Packed[BidsFile]
    labels: Packed[BidsFile]
    tables: Mapping[str, tuple[str, ...]]
    problems: tuple[tuple[Path, str], ...]


def index_dataset(root: Path) -> BidsIndex:
    """Index the BIDS dataset at ``root``, folders in order of name; BadInput when it holds no ``sub-*`` folder.

    Each folder is listed once; links to folders are followed, but not in circles.
    """
    root = Path(root).resolve()
    if not root.is_dir():
        raise BadInput(f"{root}: there is no such folder; give the folder of a BIDS dataset.")
    subjects, here = [], []
    with os.scandir(root) as listed:
        for entry in listed:
            if entry.name.startswith("sub-") and entry.is_dir():
                subjects.append(entry.name)
            if entry.name.endswith(".tsv"):
                here.append(entry.name)
    if not subjects:
        raise BadInput(_no_subjects(root))
    tables = {str(root): tuple(sorted(here))} if here else {}
    images, labels = Packed(BidsFile), Packed(BidsFile)
    problems: list[tuple[Path, str]] = []
    for subject in sorted(subjects):
        for found in _files(root / subject, root, tables, problems):
            (labels if found.label_part else images).append(found)
    if (root / "derivatives").is_dir():
        problems += _add_labels(root / "derivatives", labels, tables)
    return BidsIndex(root, images, labels, tables, tuple(problems))


def index_labels(root: Path) -> BidsIndex:
    """Index the labels anywhere under ``root`` (a derivatives folder); images there are passed over."""
    root = Path(root).absolute()
    labels = Packed(BidsFile)
    tables: dict[str, tuple[str, ...]] = {}
    problems = _add_labels(root, labels, tables)
    return BidsIndex(root, Packed(BidsFile), labels, tables, tuple(problems))


def _add_labels(root: Path, labels: Packed[BidsFile], tables: dict[str, tuple[str, ...]]) -> list[tuple[Path, str]]:
    """Add the labels anywhere under ``root``, and tell the problems of those."""
    problems: list[tuple[Path, str]] = []
    for found in _files(root, root, tables, problems):
        if found.label_part:
            labels.append(found)
    return [(path, sentence) for path, sentence in problems if _may_be_label(path)]


def _may_be_label(path: Path) -> bool:
    """Whether a problem is about a folder, or a file that its name makes a label."""
    named = path.name.endswith(_MICROSCOPY)
    found = parse_name(path) if named else None
    return not named or bool(found and found.label_part)


def parse_name(path: Path | str) -> BidsFile | None:
    """Parse one file name; None when it does not start with ``sub-`` or names nothing."""
    name = os.path.basename(path)
    ending = next((ending for ending in _MICROSCOPY if name.endswith(ending)), None)
    tokens = name[: -len(ending)].split("_") if ending else []
    if len(tokens) < 2 or not tokens[0].startswith("sub-") or len(tokens[0]) == 4 or not all(tokens):
        return None
    contrast, session, space = 0, "", ""
    pairs: list[tuple[int, str, str]] = []
    for i, token in enumerate(tokens):
        key, dash, value = token.partition("-")
        if not dash:
            contrast = contrast or (0 if is_label_suffix(token) else i)
            continue
        pairs.append((i, key, value))
        if key == "ses":
            session = session or token
        elif key == "space":
            space = space or value
    cut = contrast + 1 if contrast else _start_of_label_part(tokens)
    return BidsFile(
        file=os.fspath(path),
        stem="_".join(tokens),
        subject=tokens[0],
        session=session,
        entities=frozenset((key, value) for i, key, value in pairs if i < cut and key not in DERIVATIVE_ENTITIES),
        contrast=tokens[contrast] if contrast else "",
        image_stem="_".join(tokens[:cut]),
        label_part="_".join(tokens[cut:]),
        space=space,
    )


def is_label_suffix(token: str) -> bool:
    """Whether a name token without a dash names labels (``dseg``, ``mask``, ``seg``) instead of a contrast."""
    return token.endswith("seg") or token in LABEL_SUFFIXES


def contrast_of(image: BidsFile) -> str:
    """The contrast of an image as ``has_contrast`` takes it: that of a phase image is another than of its magnitude."""
    part = next((f"{key}-{value}_" for key, value in image.entities & NOT_MAGNITUDE), "")
    return f"{part}{image.contrast}"


def has_contrast(image: BidsFile, wanted: str) -> bool:
    """Whether an image is of a contrast: ``T2w``, or with entities in any order ``acq-sag_T2w``, ``echo-1_T2star``.

    A phase, real or imaginary image only is if ``wanted`` says so: ``part-phase_T2star``.
    """
    *entities, contrast = wanted.split("_")
    if image.contrast != contrast:
        return False
    named = {(key, value) for key, _, value in (entity.partition("-") for entity in entities)}
    return not (image.entities & NOT_MAGNITUDE) - named and set(entities) <= set(image.image_stem.split("_"))


def stem_without_contrast(image: BidsFile, contrast: str) -> str:
    """The stem of an image without its contrast, as ``has_contrast`` takes it: equal for the channels of a case."""
    left_out = set(contrast.split("_"))
    return "_".join(token for token in image.image_stem.split("_") if token not in left_out)


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


def _files(
    folder: Path, root: Path, tables: dict[str, tuple[str, ...]], problems: list[tuple[Path, str]]
) -> Iterator[BidsFile]:
    """Every image file under ``folder`` whose name can be parsed and agrees with the folders of ``root``."""
    for inside, names in _walk(str(folder), tables, problems, ()):
        if not names:
            continue
        owners = [part for part in inside[len(str(root)) :].split(os.sep) if part.startswith(("sub-", "ses-"))]
        stems: dict[str, str] = {}
        for name in names:
            found = parse_name(os.path.join(inside, name))
            if found is None:
                wrong = _NO_NAME
            elif stems.setdefault(found.stem, name) != name:
                wrong = f"it has the same name as {stems[found.stem]}; remove one of the two."
            else:
                wrong = _contradiction(found, owners)
            if found is None or wrong:
                problems.append((Path(inside, name), wrong))
            else:
                yield found


def _walk(
    folder: str, tables: dict[str, tuple[str, ...]], problems: list[tuple[Path, str]], links: tuple[str, ...]
) -> Iterator[tuple[str, list[str]]]:
    """The folders from ``folder`` down with their image files; ``links`` are the targets of those followed so far."""
    endings = _MICROSCOPY if os.path.basename(folder) == "micr" else _NIFTI
    names, here, below = [], [], []
    targets: dict[str, str] = {}
    try:
        with os.scandir(folder) as listed:
            for entry in listed:
                name = entry.name
                if name.startswith(".") or name in SKIPPED_FOLDERS:
                    continue
                if name.endswith(endings):
                    names.append(name)
                elif name.endswith(".tsv"):
                    here.append(name)
                elif name.startswith("sub-") and "." in name:  # sidecars; recordings that are folders (.ds, .ome.zarr)
                    continue
                elif entry.is_dir(follow_symlinks=False):
                    below.append(name)
                elif entry.is_symlink() and (target := _new_folder(entry.path, links)):
                    below.append(name)
                    targets[name] = target
    except OSError as error:
        sentence = f"the folder cannot be listed ({error.strerror}); restore it or its permissions."
        problems.append((Path(folder), sentence))
        return
    if here:
        tables[folder] = tuple(sorted(here))
    yield folder, sorted(names)
    for name in sorted(below):
        followed = (*links, targets[name]) if name in targets else links
        yield from _walk(os.path.join(folder, name), tables, problems, followed)


def _new_folder(link: str, links: tuple[str, ...]) -> str:
    """The folder that a link leads to; empty when it is none or lies around the link."""
    target, here = os.path.realpath(link), os.path.realpath(os.path.dirname(link))
    if target in links or not os.path.isdir(target) or f"{here}{os.sep}".startswith(f"{target}{os.sep}"):
        return ""
    return target


def _contradiction(file: BidsFile, owners: Sequence[str]) -> str:
    """A sentence when the subject or session in the file name is not that of the folders that it lies in."""
    for owner in owners:
        own = file.subject if owner.startswith("sub-") else file.session
        if own != owner:
            return f"its name says {own or 'no session'} and it lies in {owner}; move or rename it."
    return ""


def _no_subjects(root: Path) -> str:
    inside = sorted(entry.name for entry in os.scandir(root) if not entry.name.startswith("."))
    below = [name for name in inside if (root / name).is_dir() and next((root / name).glob("sub-*"), None)]
    if below:
        return f"{root}: it is no BIDS dataset but holds some; give them by name: {', '.join(below[:8])}."
    listed = ", ".join(inside[:8]) or "nothing"
    return f"{root}: a BIDS dataset has folders called sub-*, and here is {listed}; give the folder of a BIDS dataset."
