"""From BIDS datasets to one raw dataset of the workspace: plan (names and headers), then convert.

``plan_conversion`` opens headers only; ``convert`` reads every image and label once, in threads, and
writes the dataset into a temporary folder that takes its name when it is whole. A case that cannot be
used is left out with one sentence; nothing is ever written into a source.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed
from autoseg.interop.bids_matching import Matched, PlannedCase, Request, match_dataset
from autoseg.interop.case_headers import check_headers
from autoseg.interop.conversion_recipe import DatasetRecipe, Recipe, read_recipe
from autoseg.interop.dataset_writing import already_written, write_dataset
from autoseg.interop.label_set import choose_labels
from autoseg.interop.participants import with_groups
from autoseg.interop.raw_layout import Problem
from autoseg.interop.review_marks import obey_marks
from autoseg.io.bids import name_endings
from autoseg.io.files import naming_full_disk

_LABEL_NAMES = "*_dseg, *_seg-manual, *_label-NAME_mask, ..."
SUMMARY_HEADER = ("domain", "images", "label files", "cases", "convention", "labels")


@dataclass(frozen=True)
class Conversion:
    """What will be converted. ``counts`` is domain -> (images, label files found).

    ``problems`` are the files left out and why; ``notes`` are sentences that the user should read,
    dropped labels first.
    """

    cases: Packed[PlannedCase]
    channels: tuple[str, ...]
    labels: dict[str, int]
    counts: dict[str, tuple[int, int]]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True)
class ConversionReport:
    """What was converted: the cases in ``folder``; ``problems`` and ``notes`` include those of the plan."""

    folder: Path
    cases: Packed[PlannedCase]
    labels: dict[str, int]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]


def plan_conversion(
    bids_dirs: Sequence[Path],
    channels: Sequence[str] | None = None,
    contrasts: Sequence[str] | None = None,
    recipe: Path | None = None,
    marks: Path | None = None,
) -> Conversion:
    """Find and match everything in the BIDS datasets; see ``label_set`` for the labels that remain.

    ``channels`` makes cases of several contrasts, or of the volumes of one; ``contrasts`` restricts those that become
    cases of their own (default: every contrast that has labels). BadInput: nothing matched, no common label, an
    unknown contrast or a wrong recipe. Cases that ``marks`` says failed are left out (``review_marks``).
    """
    rules = read_recipe(recipe)
    wanted_channels, wanted_contrasts = tuple(channels or rules.channels), tuple(contrasts or ())
    _require_consistent(wanted_channels, wanted_contrasts, rules)
    names = dataset_names(bids_dirs)
    unknown = sorted(set(rules.datasets) - set(names))
    if unknown:
        raise BadInput(f"{recipe}: it names {', '.join(unknown)}, and the datasets are {', '.join(names)}; correct it.")
    matched = []
    for name, root in names.items():
        special = rules.datasets.get(name, DatasetRecipe())
        matched.append(
            match_dataset(root, Request(name, special.contrasts or wanted_contrasts, wanted_channels, special))
        )
    candidates = Packed(PlannedCase, (case for one in matched for case in one.cases))
    checked = check_headers(candidates, wanted_channels)
    problems = [*(problem for one in matched for problem in one.problems), *checked.problems]
    usable, groups = with_groups(checked.cases, rules.group)
    if not usable:
        raise BadInput(_nothing_matched(matched, problems, wanted_channels or wanted_contrasts))
    _require_distinct(usable)
    usable, reviewed = obey_marks(usable, marks) if marks else (usable, [])
    chosen = choose_labels(usable, rules.labels)
    problems += chosen.problems
    if not chosen.cases:
        raise BadInput(_nothing_matched(matched, problems, wanted_channels or wanted_contrasts))
    counts: Counter[tuple[str, int]] = Counter()
    for one in matched:
        for domain, (images, labels) in one.counts.items():
            counts[domain, 0] += images
            counts[domain, 1] += labels
    return Conversion(
        cases=chosen.cases,
        channels=checked.channels or ("/".join(dict.fromkeys(case.contrast for case in chosen.cases)),),
        labels=chosen.labels,
        counts={domain: (counts[domain, 0], counts[domain, 1]) for one in matched for domain in one.counts},
        problems=tuple(problems),
        notes=(*reviewed, *chosen.notes, *(note for one in matched for note in one.notes), *groups),
    )


def summary_rows(conversion: Conversion) -> list[tuple[str, ...]]:
    """One row a domain, columns SUMMARY_HEADER."""
    num_cases: Counter[str] = Counter()
    conventions: dict[str, dict[str, None]] = defaultdict(dict)
    structures: dict[str, dict[str, None]] = defaultdict(dict)
    for case in conversion.cases:
        num_cases[case.domain] += 1
        conventions[case.domain][case.labels.convention] = None
        structures[case.domain] |= dict.fromkeys(case.labels.structures)
    return [
        (
            name,
            str(images),
            str(labels),
            str(num_cases[name]),
            "; ".join(conventions[name]),
            ", ".join(structures[name]),
        )
        for name, (images, labels) in conversion.counts.items()
    ]


def convert(
    conversion: Conversion,
    destination: Path,
    dataset: str,
    progress: Callable[[int, int, str], None] = lambda done, total, case: None,
    overwrite: bool = False,
) -> ConversionReport:
    """Write the raw dataset ``dataset`` to the folder ``destination`` (layout: ``raw_layout``).

    ``progress(done, total, case)`` is called after each case, from the calling thread. With
    ``overwrite`` an existing folder is replaced once the new one is whole; one that the same files made is kept.
    BadInput: another dataset is there, or it lies inside a source, or no case can be used.
    """
    destination = Path(destination).absolute()
    for source in {case.source for case in conversion.cases}:
        if destination.resolve().is_relative_to(source):
            raise BadInput(f"{destination}: this is inside the source {source}; choose another workspace.")
    if destination.exists() and not overwrite:
        if not already_written(conversion.cases, conversion.channels, conversion.labels, destination):
            raise BadInput(f"{destination}: the dataset exists already; choose another name or add --overwrite.")
        notes = (*conversion.notes, f"{destination} is what these files make of it already; nothing is written.")
        return ConversionReport(destination, conversion.cases, conversion.labels, conversion.problems, notes)
    with naming_full_disk(destination):
        written = write_dataset(
            conversion.cases, conversion.channels, conversion.labels, destination, dataset, progress
        )
    return ConversionReport(
        folder=destination,
        cases=written.cases,
        labels=conversion.labels,
        problems=(*conversion.problems, *written.problems),
        notes=(*conversion.notes, *written.notes),
    )


def dataset_names(bids_dirs: Sequence[Path]) -> dict[str, Path]:
    """A distinct name for each BIDS folder: its own, with those of its parents where two are equal."""
    roots = [Path(folder).resolve() for folder in bids_dirs]
    if not roots:
        raise BadInput("BIDS_DIR: no BIDS dataset was given; give at least one folder.")
    for root, times in Counter(roots).items():
        if times > 1:
            raise BadInput(f"{root}: this BIDS dataset was given {times} times; give it once.")
    depths = dict.fromkeys(roots, 1)
    for _ in range(max(len(root.parts) for root in roots)):
        names = [_plain("-".join(root.parts[1:][-depths[root] :])) for root in roots]
        repeated = [root for root, name in zip(roots, names, strict=True) if names.count(name) > 1]
        if not repeated:
            return dict(zip(names, roots, strict=True))
        depths |= {root: depths[root] + 1 for root in repeated}
    raise BadInput(f"{', '.join(map(str, repeated))}: these folders cannot be told apart by name; rename one.")


def _plain(name: str) -> str:
    """Only characters that are safe in file names."""
    return "".join(character if character.isalnum() or character in "._-" else "-" for character in name) or "dataset"


def _require_consistent(channels: tuple[str, ...], contrasts: tuple[str, ...], rules: Recipe) -> None:
    if channels and (contrasts or any(dataset.contrasts for dataset in rules.datasets.values())):
        raise BadInput("--channels: channels and contrasts exclude each other; give one of the two.")
    for option, values in (("--channels", channels), ("--contrasts", contrasts)):
        if len(set(values)) < len(values) or not all(values):
            raise BadInput(f"{option}: {','.join(values)} has an empty or repeated entry; name each contrast once.")


def _require_distinct(cases: Packed[PlannedCase]) -> None:
    hashes, times = np.unique(np.fromiter((hash(case.name) for case in cases), np.int64), return_counts=True)
    twice = set(hashes[times > 1].tolist())  # all names take a hundred bytes each, and hashes eight
    if not twice:
        return
    for name, number in Counter(case.name for case in cases if hash(case.name) in twice).items():
        if number > 1:
            sources = ", ".join(sorted({str(case.source) for case in cases if case.name == name}))
            raise BadInput(f"{name}: {number} cases have this name ({sources}); give the datasets different domains.")


def _nothing_matched(matched: Sequence[Matched], problems: Sequence[Problem], wanted: tuple[str, ...]) -> str:
    if not any(one.index.images or one.index.labels or one.problems for one in matched):
        folders = ", ".join(str(one.index.root) for one in matched)
        return f"{folders}: the sub-* folders hold no image (.nii.gz, .nii); give datasets with images and labels."
    there = [
        f"{one.index.root} has images {name_endings(one.index.images)} and labels {name_endings(one.index.labels)}"
        for one in matched
    ]
    if not any(one.index.labels for one in matched):
        found = "; ".join(sentence.removesuffix("labels none") + "no labels" for sentence in there)
        absent = any((one.index.root / ".gitmodules").is_file() for one in matched)
        remedy = " (DataLad subdatasets look empty until `datalad get -n`)" if absent else ""
        return f"{found}; put labels ({_LABEL_NAMES}) into its derivatives/labels{remedy}."
    looked = f"images of {', '.join(wanted)}" if wanted else "images"
    distinct = {problem.sentence: problem for problem in reversed(problems)}.values()  # the first file of each
    first = "; ".join(f"{problem.file.name}: {problem.sentence.rstrip('.')}" for problem in [*distinct][:-4:-1])
    return (
        f"BIDS datasets: of {looked} with labels ({_LABEL_NAMES}) none can be used: "
        + "; ".join(there)
        + (f" ({first})" if first else "")
        + "; correct the names or describe them in a recipe."
    )
