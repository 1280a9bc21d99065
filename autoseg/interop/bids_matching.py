"""Which label files belong to which images of one BIDS dataset, and which of them make a case.

A case is one image, or with ``channels`` one image of each named contrast from one subject and session.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.interop.bids_derivative import without_predictions
from autoseg.interop.conversion_recipe import DatasetRecipe, described_by_recipe
from autoseg.interop.image_of_label import image_of_label
from autoseg.interop.label_conventions import (
    LabelPart,
    LabelSource,
    convention_of,
    describe_label,
    one_per_structure,
    table_finder,
)
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
    """One case: ``images`` one a channel, ``source`` the root of its BIDS dataset.

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
    images: tuple[Path, ...]
    labels: LabelSource
    group: str = ""


@dataclass(frozen=True)
class Matched:
    """The candidate cases of one dataset; ``counts`` is domain -> (images, label files)."""

    index: BidsIndex
    cases: tuple[PlannedCase, ...]
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


def match_dataset(root: Path, request: Request) -> Matched:
    """Index a dataset and match its labels to its images; only names are read, no image file is opened."""
    index = _without_excluded(index_dataset(root), request)
    index = index if request.recipe.labels else without_predictions(index)
    problems = [Problem(path, sentence) for path, sentence in index.problems]
    parts, notes = _used_labels(index, request, problems)
    by_subject: dict[str, list[BidsFile]] = defaultdict(list)
    for image in index.images:
        by_subject[image.subject].append(image)
    labelled: dict[str, list[LabelPart]] = defaultdict(list)
    for label, part in parts:
        image_or_reason = image_of_label(label, by_subject[label.subject], request.channels or request.contrasts)
        if isinstance(image_or_reason, str):
            problems.append(Problem(label.path, image_or_reason))
        else:
            labelled[image_or_reason.stem].append(part)
    label_parts = {label.path: label.label_part for label, _ in parts}
    make = _joint_cases if request.channels else _single_cases
    cases, counts = make(index, request, labelled, label_parts, problems, notes)
    return Matched(index, tuple(cases), counts, tuple(problems), tuple(notes))


def _without_excluded(index: BidsIndex, request: Request) -> BidsIndex:
    excluded = set(request.recipe.exclude)
    known = {name for file in (*index.images, *index.labels) for name in (file.subject, file.stem)}
    if excluded - known:
        listed = ", ".join(sorted(excluded - known))
        raise BadInput(f"{index.root}: the recipe excludes {listed}, which is not there; correct the recipe.")

    def kept(files: tuple[BidsFile, ...]) -> tuple[BidsFile, ...]:
        return tuple(file for file in files if not excluded & {file.subject, file.stem, file.image_stem})

    return replace(index, images=kept(index.images), labels=kept(index.labels))


def _used_labels(
    index: BidsIndex, request: Request, problems: list[Problem]
) -> tuple[list[tuple[BidsFile, LabelPart]], list[str]]:
    """Label files with what they hold; without a recipe ``derivatives/labels`` goes before other derivatives."""
    used, unused = [], []
    find_table = table_finder(index.root, index.tables)
    for label in index.labels:
        if request.recipe.labels:
            part, conflict = described_by_recipe(label, index.root, request.recipe)
        else:
            part, conflict = _described(label, find_table(label), request.recipe.threshold)
        if conflict:
            problems.append(Problem(label.path, conflict))
            continue
        if part is None:
            unused.append(label)
        else:
            used.append((label, part))
    derivatives = os.path.join(index.root, "derivatives", "")
    first = [pair for pair in used if not str(pair[0].path).startswith(derivatives)]
    main = [pair for pair in used if str(pair[0].path).startswith(os.path.join(derivatives, "labels", ""))]
    notes = []
    passed_over = len(used) - len(first) - len(main)
    if main and passed_over and not request.recipe.labels:
        notes.append(
            f"{request.name}: {passed_over} label files outside derivatives/labels are not used; name them in a recipe."
        )
        used = first + main
    hard = [pair for pair in used if pair[1].threshold is None]
    if hard and len(hard) < len(used) and not request.recipe.labels:
        notes.append(
            f"{request.name}: {len(used) - len(hard)} soft label files are not used, as there are others; "
            "name them in a recipe."
        )
        used = hard
    if unused:
        notes.append(f"{request.name}: label files that are not used: {name_endings(unused)}; a recipe can name them.")
    return used, notes


def _described(label: BidsFile, table: Path | None, threshold: float) -> tuple[LabelPart | None, str]:
    """As described_by_recipe, from the name and the table, which may be wrong."""
    try:
        return describe_label(label, table, threshold), ""
    except BadInput as error:
        return None, str(error)


def _single_cases(
    index: BidsIndex,
    request: Request,
    labelled: dict[str, list[LabelPart]],
    label_parts: dict[Path, str],
    problems: list[Problem],
    notes: list[str],
) -> tuple[list[PlannedCase], dict[str, tuple[int, int]]]:
    with_labels = sorted({contrast_of(image) for image in index.images if image.stem in labelled})
    present = {contrast_of(image) for image in index.images}
    images_of: dict[str, list[BidsFile]] = {contrast: [] for contrast in request.contrasts or with_labels}
    for image in index.images:
        contrast = next((one for one in images_of if has_contrast(image, one)), None)
        if contrast is not None:
            images_of[contrast].append(image)
    chosen = [contrast for contrast, images in images_of.items() if images]
    for contrast in sorted(set(images_of) - set(chosen)):
        notes.append(f"{request.name}: there is no {contrast}; it has {', '.join(sorted(present))}.")
    if not request.contrasts and present - set(chosen):
        notes.append(f"{request.name}: {', '.join(sorted(present - set(chosen)))} (no labels) is not used.")
    cases, counts = [], {}
    for contrast in chosen:
        domain = request.recipe.domain or request.name
        domain = f"{domain}_{contrast}" if len(chosen) > 1 else domain
        images = images_of[contrast]
        counts[domain] = (len(images), sum(len(labelled.get(image.stem, ())) for image in images))
        for image in images:
            source = _source(image.path, labelled.get(image.stem, []), label_parts, domain, problems)
            if source:
                name = f"{domain}_{image.stem}"
                subject = f"{request.name}/{image.subject}"
                cases.append(
                    PlannedCase(name, domain, index.root, subject, image.session, contrast, (image.path,), source)
                )
    return cases, counts


def _joint_cases(
    index: BidsIndex,
    request: Request,
    labelled: dict[str, list[LabelPart]],
    label_parts: dict[Path, str],
    problems: list[Problem],
    notes: list[str],
) -> tuple[list[PlannedCase], dict[str, tuple[int, int]]]:
    domain = request.recipe.domain or request.name
    cases = []
    groups = _channel_groups(index.images, request.channels)
    for (stem, image), group in groups.items():
        absent = [contrast for contrast in request.channels if len(group.get(contrast, ())) != 1]
        if absent:
            several = [contrast for contrast in absent if group.get(contrast)]
            reason = f"has several {', '.join(several)}" if several else f"has no {', '.join(absent)}"
            problems.append(Problem(image.path, f"{stem} {reason}; every channel is needed once."))
            continue
        channels = [group[contrast][0] for contrast in request.channels]
        parts = [part for channel in channels for part in labelled.get(channel.stem, ())]
        source = _source(channels[0].path, parts, label_parts, domain, problems)
        if source:
            subject, images = f"{request.name}/{image.subject}", tuple(channel.path for channel in channels)
            name, contrast = f"{domain}_{stem}", ",".join(request.channels)
            cases.append(PlannedCase(name, domain, index.root, subject, image.session, contrast, images, source))
    if not groups:
        notes.append(
            f"{request.name}: none of {', '.join(request.channels)} is there; it has {name_endings(index.images)}."
        )
    num_images = sum(any(has_contrast(image, channel) for channel in request.channels) for image in index.images)
    return cases, {domain: (num_images, sum(map(len, labelled.values())))}


def _channel_groups(
    images: Sequence[BidsFile], channels: Sequence[str]
) -> dict[tuple[str, BidsFile], dict[str, list[BidsFile]]]:
    """(stem, first image) -> contrast -> images: equal names but for the contrast, else one group a session."""
    exact: dict[str, dict[str, list[BidsFile]]] = defaultdict(lambda: defaultdict(list))
    sessions: dict[str, dict[str, list[BidsFile]]] = defaultdict(lambda: defaultdict(list))
    for image in images:
        channel = next((channel for channel in channels if has_contrast(image, channel)), None)
        if channel is not None:
            session = "_".join(part for part in (image.subject, image.session) if part)
            exact[stem_without_contrast(image, channel)][channel].append(image)
            sessions[session][channel].append(image)
    complete = {stem: group for stem, group in exact.items() if set(group) == set(channels)}
    done = {(image.subject, image.session) for group in complete.values() for few in group.values() for image in few}
    for session, group in sessions.items():
        first = next(iter(group.values()))[0]
        if (first.subject, first.session) not in done:
            complete[session] = group
    return {(stem, next(iter(group.values()))[0]): group for stem, group in sorted(complete.items())}


def _source(
    image: Path, parts: list[LabelPart], label_parts: dict[Path, str], domain: str, problems: list[Problem]
) -> LabelSource | None:
    if not parts:
        problems.append(Problem(image, "no label file belongs to it; add its labels or exclude it."))
        return None
    kept, conflict = one_per_structure(parts)
    if conflict:
        problems.append(Problem(image, conflict))
        return None
    return LabelSource(kept, convention_of(kept, label_parts), domain)
