"""The scores of many cases in one summary: by label, by domain, by case."""

from __future__ import annotations

import sys
from array import array
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from math import isnan, nan
from statistics import stdev
from typing import Any

from autoseg.core.packed import Packed
from autoseg.evaluation.scores import (
    DEFAULT_FAMILIES,
    EMPTY_LABEL_RULE,
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


class Scores:
    """The scores of many cases, each with the same labels; the families are those of the first. It only grows.

    All numbers are in one array, 8 bytes each: as objects, two labels of a case take a kilobyte.
    """

    def __init__(self, results: Iterable[CaseResult] = ()) -> None:
        self.labels: tuple[str, ...] = ()
        self.families: tuple[str, ...] = DEFAULT_FAMILIES
        self._numbers = array("d")  # by case, label and column; NaN where a score is undefined
        self._cases = Packed(str)
        self._domains: list[str] = []  # of each case; equal ones are one object
        self._places: dict[str, array[int]] = {}  # of the cases of a domain
        self._outcomes: Counter[tuple[str, str, str]] = Counter()  # by domain, label and what it is
        for result in results:
            self.append(result)

    @property
    def columns(self) -> tuple[str, ...]:
        """What there is of each label."""
        return column_names(self.families)

    @property
    def domains(self) -> list[str]:
        """Their names, in order."""
        return sorted(self._places)

    def append(self, result: CaseResult) -> None:
        """Add a case; ValueError where it was not scored for the labels of the others."""
        if not self._domains:
            self.labels = tuple(result.labels)
            self.families = next((metrics.families for metrics in result.labels.values()), DEFAULT_FAMILIES)
        if tuple(result.labels) != self.labels:
            raise ValueError(f"{result.case}: was not scored for {', '.join(self.labels)}")
        domain, columns = sys.intern(result.domain), self.columns
        self._places.setdefault(domain, array("q")).append(len(self._domains))
        self._cases.append(result.case)
        self._domains.append(domain)
        for label, metrics in result.labels.items():
            values = (getattr(metrics, column) for column in columns)
            self._numbers.extend(nan if value is None else value for value in values)
            outcomes = {"num_missed": metrics.missed, "num_spurious": metrics.spurious, "num_absent": metrics.absent}
            self._outcomes.update({(domain, label, outcome): int(so) for outcome, so in outcomes.items()})

    def num_cases(self, domain: str | None = None) -> int:
        """Of all domains, or of one."""
        return len(self._of(domain))

    def rows(self) -> Iterator[dict[str, Any]]:
        """Each case as documents have it: ``case``, ``domain`` and ``labels``, of each all columns by their names."""
        numbers, columns = iter(self._numbers), self.columns
        for case, domain in zip(self._cases, self._domains, strict=True):
            labels = {label: {name: _plain(name, next(numbers)) for name in columns} for label in self.labels}
            yield {"case": case, "domain": domain, "labels": labels}

    def column(self, label: str, name: str, domain: str | None = None) -> Iterator[float | None]:
        """A score of each case, or of each in ``domain``; None where it is undefined."""
        width = len(self.columns)
        first, step = width * self.labels.index(label) + self.columns.index(name), width * len(self.labels)
        return (_plain(name, self._numbers[first + step * place]) for place in self._of(domain))

    def outcomes(self, label: str, domain: str | None = None) -> dict[str, int]:
        """In how many cases the label was missed, spurious and absent."""
        domains = self.domains if domain is None else (domain,)
        names = ("num_missed", "num_spurious", "num_absent")
        return {name: sum(self._outcomes[one, label, name] for one in domains) for name in names}

    def _of(self, domain: str | None) -> Sequence[int]:
        """The places of its cases."""
        return range(len(self._domains)) if domain is None else self._places[domain]


def _plain(name: str, value: float) -> float | None:
    """A number as it was: numbers of lesions are integers."""
    return None if isnan(value) else int(value) if name.startswith("num_") else value


def summarize(scores: Scores) -> dict[str, Any]:
    """Everything about the scores in one document of plain values, in which a missing number is None.

    Keys: ``mean``, ``labels``, ``domains`` (each with its own ``mean`` and ``labels``), ``cases`` and
    ``empty_label_rule``. The score of a label is its mean over the cases where it is defined; ``mean`` is the mean
    over the labels of those, so that each label weighs the same. Beside them, ``sd`` has the standard deviation of
    each score and ``num_defined`` the number of cases behind it: of a label over the cases where it is defined, in
    ``mean`` over the means that the cases have over their labels. ``num_cases`` counts all cases in which the label
    was looked for, absent ones too. Families of scores that nobody asked for are left out. ``cases`` is an iterator
    that makes one after the other, as ``io.files.write_json`` writes them.
    """
    return {
        **_group_summary(scores),
        "domains": {domain: _group_summary(scores, domain) for domain in scores.domains},
        "cases": scores.rows(),
        "empty_label_rule": EMPTY_LABEL_RULE,
    }


def csv_rows(scores: Scores) -> Iterator[tuple[Any, ...]]:
    """A header, then one row for each case and label; an undefined score is None."""
    yield "case", "domain", "label", *scores.columns
    for row in scores.rows():
        for label, values in row["labels"].items():
            yield row["case"], row["domain"], label, *values.values()


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


def _group_summary(scores: Scores, domain: str | None = None) -> dict[str, Any]:
    """``mean`` and ``labels`` of all cases, or of a domain."""
    names, number = score_names(scores.families), scores.num_cases(domain)
    labels = {
        label: {
            **_statistics({key: partial(scores.column, label, key, domain) for key in names}),
            "num_cases": number,
            **scores.outcomes(label, domain),
        }
        for label in scores.labels
    }

    def of_cases(key: str) -> Iterator[float | None]:
        of_labels = [scores.column(label, key, domain) for label in scores.labels]
        return map(mean_of_defined, zip(*of_labels, strict=True))

    mean = {key: mean_of_defined(label[key] for label in labels.values()) for key in names}
    spread = _statistics({key: partial(of_cases, key) for key in names})
    return {"mean": {**spread, **mean, "num_cases": number}, "labels": labels}


def _statistics(columns: Mapping[str, Callable[[], Iterable[float | None]]]) -> dict[str, Any]:
    """Mean, ``sd`` (with n - 1; None of fewer than two) and ``num_defined`` of each score; one is held at a time."""
    means, sd, num_defined = {}, {}, {}
    for key, column in columns.items():
        values = defined(column())
        means[key], num_defined[key] = mean_of_defined(values), len(values)
        sd[key] = stdev(values) if len(values) > 1 else None
    return {**means, "sd": sd, "num_defined": num_defined}


def defined(numbers: Iterable[float | None]) -> list[float]:
    """What is not None."""
    return [number for number in numbers if number is not None]


def mean_of_defined(numbers: Iterable[float | None]) -> float | None:
    """The mean of what is not None; None if nothing is left."""
    values = defined(numbers)
    return sum(values) / len(values) if values else None
