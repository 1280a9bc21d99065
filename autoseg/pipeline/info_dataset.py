"""What is in a dataset: its folder or dataset.json, cases.tsv, fingerprint.json, or a BIDS folder."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import sizes_of
from autoseg.io.bids import BidsFile, index_dataset
from autoseg.io.files import read_json, read_lines
from autoseg.io.fingerprints import read_fingerprint
from autoseg.io.workspace import parse_labels
from autoseg.pipeline.description import Description, Table, enumerated, number
from autoseg.pipeline.info_plan import labels_document, labels_in_words
from autoseg.planning.checks import check_fingerprint

DOMAIN_HEADER = ("domain", "cases", "subjects", "contrasts", "source")


@dataclass(frozen=True)
class _Cases:
    """What ``cases.tsv`` tells."""

    number: int
    num_subjects: int
    domains: list[dict[str, Any]]


def describe_dataset(path: Path) -> Description:
    """A dataset of the workspace or of nnU-Net: its folder, or dataset.json in it."""
    folder = path if path.is_dir() else path.parent
    file = folder / "dataset.json" if path.is_dir() else path
    content = read_json(file)
    labels = parse_labels(content if isinstance(content, dict) else {}, file)
    channels = _channels(content, file)
    table = folder / "cases.tsv"
    cases = _read_cases(table) if table.is_file() else None
    there = [name for name in ("fingerprint.json", "plan.json", "splits.json") if (folder / name).is_file()]
    document: dict[str, Any] = {
        "file": str(path),
        "kind": "dataset",
        "name": str(content.get("name", folder.name)),
        "channels": channels,
        "labels": labels_document(labels),
        "file_ending": content.get("file_ending"),
        "num_cases": content.get("numTraining") if cases is None else cases.number,
        "domains": None if cases is None else cases.domains,
        "documents": there,
    }
    shown = [
        ("name", document["name"]),
        ("channels", enumerated(channels)),
        ("labels", labels_in_words(labels)),
        ("cases", "not stated" if document["num_cases"] is None else number(float(document["num_cases"]))),
        ("files", str(document["file_ending"] or "not stated")),
        ("made so far", enumerated(there)),
    ]
    tables = [] if cases is None else [Table("Domains", DOMAIN_HEADER, _domain_rows(document["domains"]))]
    return Description(document, f"{path}: dataset", shown, tables)


def describe_cases(path: Path) -> Description:
    """``cases.tsv`` of a dataset: how many cases of how many subjects, by domain."""
    cases = _read_cases(path)
    document: dict[str, Any] = {
        "file": str(path),
        "kind": "cases",
        "num_cases": cases.number,
        "num_subjects": cases.num_subjects,
        "domains": cases.domains,
    }
    shown = [("cases", str(cases.number)), ("subjects", str(cases.num_subjects))]
    tables = [Table("Domains", DOMAIN_HEADER, _domain_rows(cases.domains))]
    return Description(document, f"{path}: the cases of a dataset", shown, tables)


def describe_fingerprint(path: Path) -> Description:
    """What was measured, in ranges over the cases, and what looks wrong in it."""
    fingerprint = read_fingerprint(path)
    warnings = check_fingerprint(fingerprint)
    cases, sizes = fingerprint.cases, sizes_of(fingerprint.cases)
    document: dict[str, Any] = {
        "file": str(path),
        "kind": "fingerprint",
        "dataset": fingerprint.dataset,
        "channels": list(fingerprint.channels),
        "labels": labels_document(fingerprint.labels),
        "num_cases": len(cases),
        "domains": dict(Counter(case.domain for case in cases)),
        "orientations": dict(Counter(case.orientation for case in cases)),
        "spacing_mm": _ranges(sizes.spacing_mm),
        "shape": _ranges(sizes.shape),
        "label_volumes_mm3": {
            name: _range(np.fromiter((case.label_volumes_mm3.get(name, 0.0) for case in cases), float))
            for name in fingerprint.labels.foreground
        },
        "intensities": {
            channel: {"mean": one.mean, "sd": one.std, "percentile_00_5": one.percentile_00_5}
            | {"percentile_99_5": one.percentile_99_5}
            for channel, one in zip(fingerprint.channels, fingerprint.intensities, strict=True)
        },
        "warnings": warnings,
    }
    shown = [
        ("dataset", fingerprint.dataset),
        ("cases", f"{len(cases)} ({_counts(document['domains'])})"),
        ("stored as", _counts(document["orientations"])),
        ("channels", enumerated(fingerprint.channels)),
        *(("warning", sentence) for sentence in warnings),
    ]
    return Description(document, f"{path}: fingerprint", shown, _fingerprint_tables(document))


def describe_bids(path: Path) -> Description:
    """A BIDS folder by its file names; ``doctor`` says what would become of it."""
    index = index_dataset(path)
    subjects = {image.subject for image in chain(index.images, index.labels)}
    document: dict[str, Any] = {
        "file": str(path),
        "kind": "bids",
        "num_subjects": len(subjects),
        "num_sessions": len({(image.subject, image.session) for image in index.images if image.session}),
        "images": _endings(index.images),
        "labels": _endings(index.labels),
        "problems": [{"file": str(file), "problem": sentence} for file, sentence in index.problems],
    }
    shown = [
        ("subjects", str(len(subjects))),
        ("sessions", str(document["num_sessions"]) if document["num_sessions"] else "none"),
        ("images", _counts(document["images"])),
        ("labels", _counts(document["labels"])),
        ("next", f"autoseg doctor {path} says what would be used, repaired and left out"),
    ]
    rows = [(str(file), sentence) for file, sentence in index.problems]
    tables = [Table("Names that cannot be used", ("file", "why"), rows)] if rows else []
    return Description(document, f"{path}: BIDS dataset", shown, tables)


def _channels(content: Any, file: Path) -> list[str]:
    names = content.get("channel_names", content.get("modality", {}))
    if not isinstance(names, Mapping) or not all(isinstance(name, str) for name in names.values()):
        raise BadInput(f"{file}: channel_names does not map numbers to names; correct it.")
    return list(names.values())


def _read_cases(table: Path) -> _Cases:
    """Row by row: of many cases the names of their subjects are held."""
    number: Counter[str] = Counter()  # by domain, in order of appearance
    found: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    try:
        for row in csv.DictReader(read_lines(table), delimiter="\t"):
            if None in row or None in row.values() or "domain" not in row:
                raise BadInput(f"{table}: has rows of another length than its header; convert the dataset again.")
            number[row["domain"]] += 1
            for column in ("subject", "contrast", "source"):
                found[row["domain"]][column].add(row.get(column, ""))
    except csv.Error as error:
        raise BadInput(f"{table}: is no table ({error}); convert the dataset again.") from None
    domains = [
        {
            "domain": domain,
            "num_cases": number[domain],
            "num_subjects": len(found[domain]["subject"]),
            "contrasts": sorted(found[domain]["contrast"] - {""}),
            "sources": sorted(found[domain]["source"] - {""}),
        }
        for domain in number
    ]
    subjects = set[str]().union(*(one["subject"] for one in found.values()))
    return _Cases(number.total(), len(subjects), domains)


def _domain_rows(domains: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    return [
        (
            one["domain"],
            str(one["num_cases"]),
            str(one["num_subjects"]),
            enumerated(one["contrasts"]),
            enumerated(one["sources"], 3),
        )
        for one in domains
    ]


def _fingerprint_tables(document: Mapping[str, Any]) -> list[Table]:
    axes = ("left-right", "back-front", "down-up")
    grid = [
        (f"{axis} {what}", *(number(round(one[part], 4)) for part in ("smallest", "median", "largest")))
        for what, key in (("spacing (mm)", "spacing_mm"), ("size (voxels)", "shape"))
        for axis, one in zip(axes, document[key], strict=False)
    ]
    volumes = [
        (f"volume of {name} (mm3)", *(number(round(one[part], 1)) for part in ("smallest", "median", "largest")))
        for name, one in document["label_volumes_mm3"].items()
    ]
    intensities = [
        (channel, *(number(one[part]) for part in ("mean", "sd", "percentile_00_5", "percentile_99_5")))
        for channel, one in document["intensities"].items()
    ]
    return [
        Table("Over the cases", ("", "smallest", "median", "largest"), [*grid, *volumes]),
        Table("Intensities where labels are", ("channel", "mean", "sd", "0.5 %", "99.5 %"), intensities),
    ]


def _ranges(values: Any) -> list[dict[str, float]]:
    return [_range(column) for column in values.T]


def _range(values: Any) -> dict[str, float]:
    if not len(values):
        return {"smallest": 0.0, "median": 0.0, "largest": 0.0}
    found = float(np.min(values)), float(np.median(values)), float(np.max(values))
    return dict(zip(("smallest", "median", "largest"), found, strict=True))


def _endings(files: Iterable[BidsFile]) -> dict[str, int]:
    """Contrast and label part -> number of files, the most frequent first."""
    counts = Counter("_".join(part for part in (file.contrast, file.label_part) if part) for file in files)
    return dict(counts.most_common())


def _counts(counts: Mapping[str, int]) -> str:
    return enumerated([f"{name}: {count}" for name, count in counts.items()])
