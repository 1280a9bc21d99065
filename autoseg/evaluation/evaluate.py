"""The scores of many cases in one summary: by label, by domain, by case."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from typing import Any

from autoseg.evaluation.scores import (
    DEFAULT_FAMILIES,
    EMPTY_LABEL_RULE,
    FAMILIES,
    SCORES,
    LabelMetrics,
    column_names,
    score_names,
)

TABLE_SCORES = ("dice", "hd95_mm", "assd_mm", "nsd", "hd_voxels", "shd_mm", "smd_mm", "lesion_f1")


@dataclass(frozen=True, slots=True)
class CaseResult:
    """The scores of one case, by label name."""

    case: str
    domain: str
    labels: Mapping[str, LabelMetrics]


def summarize(results: Iterable[CaseResult]) -> dict[str, Any]:
    """Everything about the results in one document of plain values, in which a missing number is None.

    Keys: ``mean``, ``labels``, ``domains`` (each with its own ``mean`` and ``labels``), ``cases`` and
    ``empty_label_rule``. The score of a label is its mean over the cases where it is defined; ``mean`` is the mean
    over the labels of those, so that each label weighs the same. Beside them, ``sd`` has the standard deviation of
    each score and ``num_defined`` the number of cases behind it: of a label over the cases where it is defined, in
    ``mean`` over the means that the cases have over their labels. ``num_cases`` counts all cases in which the label
    was looked for, absent ones too. Families of scores that nobody asked for are left out. ``results`` is read once:
    it may be a generator that loads case after case.
    """
    kept = list(results)
    families = families_of(kept)
    names = score_names(families)
    domains = sorted({result.domain for result in kept})
    return {
        **_group_summary(kept, names),
        "domains": {
            domain: _group_summary([result for result in kept if result.domain == domain], names) for domain in domains
        },
        "cases": [
            {
                "case": result.case,
                "domain": result.domain,
                "labels": {
                    name: {column: getattr(metrics, column) for column in column_names(families)}
                    for name, metrics in result.labels.items()
                },
            }
            for result in kept
        ],
        "empty_label_rule": EMPTY_LABEL_RULE,
    }


def families_of(results: Iterable[CaseResult]) -> tuple[str, ...]:
    """The families that any case was scored with, in their order; the usual ones where there is no case."""
    found = {family for result in results for metrics in result.labels.values() for family in metrics.families}
    return tuple(family for family in FAMILIES if family in found) or DEFAULT_FAMILIES


def csv_rows(results: Sequence[CaseResult]) -> Iterator[tuple[Any, ...]]:
    """A header, then one row for each case and label; an undefined score is None."""
    columns = column_names(families_of(results))
    yield "case", "domain", "label", *columns
    for result in results:
        for name, metrics in result.labels.items():
            yield result.case, result.domain, name, *(getattr(metrics, column) for column in columns)


def summary_table(summary: Mapping[str, Any]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """The header and the rows to show for a summary: each label, their mean, and that of each domain if there are two.

    The columns are those of ``TABLE_SCORES`` that were asked for; an undefined score is a dash.
    """
    shown = [name for name in TABLE_SCORES if name in summary["mean"]]
    rows = [_table_row(name, scores, shown) for name, scores in summary["labels"].items()]
    rows.append(_table_row("mean", summary["mean"], shown))
    if len(summary["domains"]) > 1:
        rows += [_table_row(f"mean of {domain}", group["mean"], shown) for domain, group in summary["domains"].items()]
    return ("label", *(SCORES[name].title for name in shown), "cases"), rows


def _table_row(title: str, scores: Mapping[str, Any], shown: Sequence[str]) -> tuple[str, ...]:
    numbers = ((scores[name], SCORES[name].digits) for name in shown)
    return (
        title,
        *("-" if number is None else f"{number:.{digits}f}" for number, digits in numbers),
        str(scores["num_cases"]),
    )


def _group_summary(results: Sequence[CaseResult], names: Sequence[str]) -> dict[str, Any]:
    """``mean`` and ``labels`` of some cases; labels in the order in which they first appear."""
    by_label: dict[str, list[LabelMetrics]] = {}
    for result in results:
        for name, metrics in result.labels.items():
            by_label.setdefault(name, []).append(metrics)
    labels = {name: _label_summary(metrics, names) for name, metrics in by_label.items()}
    mean = {key: mean_of_defined(label[key] for label in labels.values()) for key in names}
    of_cases = {
        key: defined(mean_of_defined(getattr(item, key) for item in result.labels.values()) for result in results)
        for key in names
    }
    return {"mean": {**mean, **_spread(of_cases), "num_cases": len(results)}, "labels": labels}


def _label_summary(metrics: Sequence[LabelMetrics], names: Sequence[str]) -> dict[str, Any]:
    numbers = {key: defined(getattr(item, key) for item in metrics) for key in names}
    return {
        **{key: mean_of_defined(values) for key, values in numbers.items()},
        **_spread(numbers),
        "num_cases": len(metrics),
        "num_missed": sum(item.missed for item in metrics),
        "num_spurious": sum(item.spurious for item in metrics),
        "num_absent": sum(item.absent for item in metrics),
    }


def _spread(numbers: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """The standard deviation (with n - 1; None of fewer than two) and the number of values of each score."""
    return {
        "sd": {key: stdev(values) if len(values) > 1 else None for key, values in numbers.items()},
        "num_defined": {key: len(values) for key, values in numbers.items()},
    }


def defined(numbers: Iterable[float | None]) -> list[float]:
    """What is not None."""
    return [number for number in numbers if number is not None]


def mean_of_defined(numbers: Iterable[float | None]) -> float | None:
    """The mean of what is not None; None if nothing is left."""
    values = defined(numbers)
    return sum(values) / len(values) if values else None
