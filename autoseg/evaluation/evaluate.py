"""The scores of many cases in one summary: by label, by domain, by case."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from autoseg.evaluation.metrics import EMPTY_LABEL_RULE, LabelMetrics

SCORES = ("dice", "iou", "precision", "recall", "hd95_mm", "assd_mm", "nsd", "volume_error")
TABLE_SCORES = (("Dice", "dice", 3), ("HD95 (mm)", "hd95_mm", 2), ("ASSD (mm)", "assd_mm", 2), ("NSD", "nsd", 3))
SUMMARY_HEADER = ("label", *(title for title, _, _ in TABLE_SCORES), "cases")


@dataclass(frozen=True)
class CaseResult:
    """The scores of one case, by label name."""

    case: str
    domain: str
    labels: Mapping[str, LabelMetrics]


def summarize(results: Iterable[CaseResult]) -> dict[str, Any]:
    """Everything about the results in one document of plain values, in which a missing number is None.

    Keys: ``mean``, ``labels``, ``domains`` (each with its own ``mean`` and ``labels``), ``cases`` and
    ``empty_label_rule``. The score of a label is its mean over the cases where it is defined; ``mean`` is the mean
    over the labels of those, so that each label weighs the same. ``num_cases`` counts all cases in which the label
    was looked for, absent ones too. ``results`` is read once: it may be a generator that loads case after case.
    """
    kept = list(results)
    domains = sorted({result.domain for result in kept})
    return {
        **_group_summary(kept),
        "domains": {
            domain: _group_summary([result for result in kept if result.domain == domain]) for domain in domains
        },
        "cases": [
            {
                "case": result.case,
                "domain": result.domain,
                "labels": {name: asdict(metrics) for name, metrics in result.labels.items()},
            }
            for result in kept
        ],
        "empty_label_rule": EMPTY_LABEL_RULE,
    }


def csv_text(results: Iterable[CaseResult]) -> str:
    """One row for each case and label, with a header; an undefined score is an empty field."""
    columns = [field.name for field in fields(LabelMetrics)]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "domain", "label", *columns])
    for result in results:
        for name, metrics in result.labels.items():
            writer.writerow([result.case, result.domain, name, *(getattr(metrics, column) for column in columns)])
    return text.getvalue()


def summary_table(summary: Mapping[str, Any]) -> list[tuple[str, ...]]:
    """The rows to show for a summary: each label, their mean, and the mean of each domain if there are two.

    The columns are ``SUMMARY_HEADER``; an undefined score is a dash.
    """
    rows = [_table_row(name, scores) for name, scores in summary["labels"].items()]
    rows.append(_table_row("mean", summary["mean"]))
    if len(summary["domains"]) > 1:
        rows += [_table_row(f"mean of {domain}", group["mean"]) for domain, group in summary["domains"].items()]
    return rows


def _table_row(title: str, scores: Mapping[str, float | int | None]) -> tuple[str, ...]:
    numbers = ((scores[key], digits) for _, key, digits in TABLE_SCORES)
    return (
        title,
        *("-" if number is None else f"{number:.{digits}f}" for number, digits in numbers),
        str(scores["num_cases"]),
    )


def _group_summary(results: Sequence[CaseResult]) -> dict[str, Any]:
    """``mean`` and ``labels`` of some cases; labels in the order in which they first appear."""
    by_label: dict[str, list[LabelMetrics]] = {}
    for result in results:
        for name, metrics in result.labels.items():
            by_label.setdefault(name, []).append(metrics)
    labels = {name: _label_summary(metrics) for name, metrics in by_label.items()}
    mean: dict[str, float | int | None] = {
        key: mean_of_defined(label[key] for label in labels.values()) for key in SCORES
    }
    return {"mean": {**mean, "num_cases": len(results)}, "labels": labels}


def _label_summary(metrics: Sequence[LabelMetrics]) -> dict[str, float | int | None]:
    return {
        **{key: mean_of_defined(getattr(item, key) for item in metrics) for key in SCORES},
        "num_cases": len(metrics),
        "num_missed": sum(item.missed for item in metrics),
        "num_spurious": sum(item.spurious for item in metrics),
        "num_absent": sum(item.absent for item in metrics),
    }


def mean_of_defined(numbers: Iterable[float | None]) -> float | None:
    """The mean of what is not None; None if nothing is left."""
    defined = [number for number in numbers if number is not None]
    return sum(defined) / len(defined) if defined else None
