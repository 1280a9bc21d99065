"""Which label files belong to which images of one BIDS dataset, and which of them make a case.

A case is one image, or with ``channels`` one image of each named contrast from one subject and session.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed
from autoseg.interop.bids_derivative import without_predictions
from autoseg.interop.conversion_recipe import DatasetRecipe
from autoseg.interop.label_conventions import (
    LabelPart,
    LabelSource,
    convention_of,
    one_per_structure,
)
from autoseg.interop.labelled_images import Labelled, labelled_images, used_labels
from autoseg.interop.raw_layout import Problem
from autoseg.io.bids import (
    BidsFile,
    BidsIndex,
    contrast_of,
    has_contrast,
    index_dataset,
    name_endings,
    stem_without_contrast,
)


@dataclass(frozen=True)
class PlannedCase:
    """One case: ``image_files`` one a channel, as text; ``source`` the root of its BIDS dataset.

    ``subject`` is ``DATASET/sub-X``, equal for all contrasts of a person, so that folds can keep a
    person together, and ``group`` what they keep together beyond that; ``contrast`` joins those of the channels
    with commas.
    """

    name: str
    domain: str
    source: Path
    subject: str
    session: str
    contrast: str
    image_files: tuple[str, ...]
    labels: LabelSource
    group: str = ""

    @property
    def images(self) -> tuple[Path, ...]:
        """The paths of the images."""
        return tuple(map(Path, self.image_files))


@dataclass(frozen=True)
class Matched:
    """The candidate cases of one dataset; ``counts`` is domain -> (images, label files)."""

    index: BidsIndex
    cases: Packed[PlannedCase]
    counts: dict[str, tuple[int, int]]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """What to look for in a dataset called ``name``: contrasts as own cases, or channels of one case."""

    name: str
    contrasts: tuple[str, ...]
    channels: tuple[str, ...]
    recipe: DatasetRecipe


def without(cases: Packed[PlannedCase], left_out: Collection[int]) -> Packed[PlannedCase]:
    """The cases but those at the places ``left_out``."""
    if not left_out:
        return cases
    return Packed(PlannedCase, (case for place, case in enumerate(cases) if place not in left_out))


def match_dataset(root: Path, request: Request) -> Matched:
    """Index a dataset and match its labels to its images; only names are read, no image file is opened."""
    index = _without_excluded(index_dataset(root), request)
    index = index if request.recipe.labels else without_predictions(index)
    problems = [Problem(path, sentence) for path, sentence in index.problems]
    parts, notes = used_labels(index, request.name, request.recipe, problems)
    unmatched: dict[str, str] = {}
    labelled = labelled_images(index.images, parts, request.channels or request.contrasts, unmatched)
    make = _joint_cases if request.channels else _single_cases
    left_out: list[Problem] = []
    cases, counts = make(index, request, labelled, left_out, notes)
    if unmatched:
        files = (label.file for label in index.labels)
        problems += [Problem(Path(file), unmatched[file]) for file in files if file in unmatched]
    return Matched(index, cases, counts, (*problems, *left_out), tuple(notes))


def _without_excluded(index: BidsIndex, request: Request) -> BidsIndex:
    excluded = set(request.recipe.exclude)
    if not excluded:
        return index
    names = (name for file in chain(index.images, index.labels) for name in (file.subject, file.stem))
    if unknown := excluded.difference(names):
        listed = ", ".join(sorted(unknown))
        raise BadInput(f"{index.root}: the recipe excludes {listed}, which is not there; correct the recipe.")

    def kept(files: Packed[BidsFile]) -> Packed[BidsFile]:
        return Packed(BidsFile, (one for one in files if not excluded & {one.subject, one.stem, one.image_stem}))

    return replace(index, images=kept(index.images), labels=kept(index.labels))


def _single_cases(
    index: BidsIndex, request: Request, labelled: Iterable[list[Labelled]], problems: list[Problem], notes: list[str]
) -> tuple[Packed[PlannedCase], dict[str, tuple[int, int]]]:
    images_of = {contrast: Packed(Labelled) for contrast in request.contrasts}
    present, with_labels = set(), set()
    for one in chain.from_iterable(labelled):
        own = contrast_of(one.image)
        present.add(own)
        if one.parts:
            with_labels.add(own)
        contrast = next((some for some in request.contrasts or [own] if has_contrast(one.image, some)), None)
        if contrast is not None:
            if contrast not in images_of:
                images_of[contrast] = Packed(Labelled)
            images_of[contrast].append(one)
    chosen = [contrast for contrast in request.contrasts or sorted(with_labels) if images_of.get(contrast)]
    for contrast in sorted(set(request.contrasts) - set(chosen)):
        notes.append(f"{request.name}: there is no {contrast}; it has {', '.join(sorted(present))}.")
    if not request.contrasts and present - set(chosen):
        notes.append(f"{request.name}: {', '.join(sorted(present - set(chosen)))} (no labels) is not used.")
    cases, counts = Packed(PlannedCase), {}
    for contrast in chosen:
        domain = request.recipe.domain or request.name
        domain = f"{domain}_{contrast}" if len(chosen) > 1 else domain
        num_labels = 0
        for one in images_of[contrast]:
            image, num_labels = one.image, num_labels + len(one.parts)
            source = _source((image.file,), one.parts, domain)
            if isinstance(source, Problem):
                problems.append(source)
                continue
            name, subject = f"{domain}_{image.stem}", f"{request.name}/{image.subject}"
            cases.append(PlannedCase(name, domain, index.root, subject, image.session, contrast, (image.file,), source))
        counts[domain] = (len(images_of[contrast]), num_labels)
    return cases, counts


def _joint_cases(
    index: BidsIndex, request: Request, labelled: Iterable[list[Labelled]], problems: list[Problem], notes: list[str]
) -> tuple[Packed[PlannedCase], dict[str, tuple[int, int]]]:
    domain = request.recipe.domain or request.name
    cases, left_out = Packed(PlannedCase), {}
    num_images = num_labels = 0
    for images in labelled:
        parts_of = {one.image.stem: one.parts for one in images}
        num_labels += sum(map(len, parts_of.values()))
        num_images += sum(any(has_contrast(one.image, channel) for channel in request.channels) for one in images)
        for stem, group in _channel_groups([one.image for one in images], request.channels).items():
            made = _joint_case(stem, group, parts_of, domain, index.root, request)
            if isinstance(made, Problem):
                left_out[stem] = made
            else:
                cases.append(made)
    problems += [left_out[stem] for stem in sorted(left_out)]
    if not cases and not left_out:
        notes.append(
            f"{request.name}: none of {', '.join(request.channels)} is there; it has {name_endings(index.images)}."
        )
    names = [case.name for case in cases]
    places = sorted(range(len(names)), key=names.__getitem__)
    return Packed(PlannedCase, (cases[place] for place in places)), {domain: (num_images, num_labels)}


def _joint_case(
    stem: str,
    group: Mapping[str, Sequence[BidsFile]],
    parts_of: Mapping[str, Sequence[LabelPart]],
    domain: str,
    root: Path,
    request: Request,
) -> PlannedCase | Problem:
    first = next(iter(group.values()))[0]
    absent = [contrast for contrast in request.channels if len(group.get(contrast, ())) != 1]
    if absent:
        several = [contrast for contrast in absent if group.get(contrast)]
        reason = f"has several {', '.join(several)}" if several else f"has no {', '.join(absent)}"
        return Problem(first.path, f"{stem} {reason}; every channel is needed once.")
    channels = [group[contrast][0] for contrast in request.channels]
    images = tuple(channel.file for channel in channels)
    source = _source(images, [part for one in channels for part in parts_of[one.stem]], domain)
    if isinstance(source, Problem):
        return source
    subject, contrast = f"{request.name}/{first.subject}", ",".join(request.channels)
    return PlannedCase(f"{domain}_{stem}", domain, root, subject, first.session, contrast, images, source)


def _channel_groups(images: Sequence[BidsFile], channels: Sequence[str]) -> dict[str, dict[str, list[BidsFile]]]:
    """Stem -> contrast -> images of a subject: equal names but for the contrast, else one group a session."""
    exact: dict[str, dict[str, list[BidsFile]]] = defaultdict(lambda: defaultdict(list))
    sessions: dict[str, dict[str, list[BidsFile]]] = defaultdict(lambda: defaultdict(list))
    for image in images:
        channel = next((channel for channel in channels if has_contrast(image, channel)), None)
        if channel is not None:
            session = "_".join(part for part in (image.subject, image.session) if part)
            exact[stem_without_contrast(image, channel)][channel].append(image)
            sessions[session][channel].append(image)
    complete = {stem: group for stem, group in exact.items() if set(group) == set(channels)}
    done = {image.session for group in complete.values() for few in group.values() for image in few}
    for session, group in sessions.items():
        if next(iter(group.values()))[0].session not in done:
            complete[session] = group
    return complete


def _source(images: Sequence[str], parts: Sequence[LabelPart], domain: str) -> LabelSource | Problem:
    """The labels of a case; a Problem where there are none, they contradict each other, or no table can name a file."""
    first = Path(images[0])
    if not parts:
        return Problem(first, "no label file belongs to it; add its labels or exclude it.")
    kept, conflict = one_per_structure(parts)
    if conflict:
        return Problem(first, conflict)
    for file in (*images, *(part.file for part in kept)):
        if os.fsencode(file).decode(errors="replace") != file:
            return Problem(Path(file), "its name, or that of a folder, is no text in UTF-8; rename it.")
    return LabelSource(kept, convention_of(kept), domain)
