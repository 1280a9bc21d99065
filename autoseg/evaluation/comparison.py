"""Several methods on the same cases: mean, spread and interval of a score, and tests against a baseline.

Three scopes: each label over the cases; ``pairs``, all cases x labels in one (as Li et al. 2021, VoxHRNet, test their
methods); and ``cases``, the mean of each case over its labels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.evaluation.evaluate import CaseResult
from autoseg.evaluation.scores import SCORES
from autoseg.evaluation.statistics import (
    Interval,
    Numbers,
    PairedTest,
    as_numbers,
    bootstrap_ratios,
    holm,
    paired_t_test,
    wilcoxon_signed_rank,
)

ScoreTable = Mapping[str, Mapping[str, float | None]]  # case -> label -> score
Scope = Literal["label", "pairs", "cases"]
OVERALL: dict[Scope, str] = {"pairs": "all cases x labels", "cases": "means of cases"}
RULES = (
    "sd is the standard deviation with n - 1. Intervals are 95 % percentile intervals of 10,000 bootstrap samples of "
    "cases. Differences are method - baseline over the pairs in which both have the score; num_dropped counts those in "
    "which one has none. Tests are paired and two-tailed; p_holm is corrected by Holm's method for all tests of one "
    "kind in one scope (label: all labels and methods). The scores of one case are not independent, so that p of the "
    "scope pairs is too small; that of cases is not."
)


@dataclass(frozen=True)
class Against:
    """A method against the baseline; ``difference`` is method - baseline, ``*_p_holm`` the corrected p."""

    difference: float | None
    interval: Interval | None
    t: PairedTest
    wilcoxon: PairedTest
    num_pairs: int
    num_dropped: int
    t_p_holm: float | None = None
    wilcoxon_p_holm: float | None = None


@dataclass(frozen=True)
class Row:
    """One method in one scope; ``values`` are the scores behind it, ``best`` says that no mean is better."""

    scope: Scope
    label: str
    method: str
    mean: float | None
    sd: float | None
    interval: Interval | None
    values: tuple[float, ...]
    best: bool = False
    against: Against | None = None  # None for the baseline itself


@dataclass(frozen=True)
class Comparison:
    """The rows of all labels, then of both overall scopes, each with all methods in order."""

    score: str
    methods: tuple[str, ...]
    baseline: str
    cases: tuple[str, ...]
    left_out: Mapping[str, tuple[str, ...]]  # method -> its cases that another method lacks
    rows: tuple[Row, ...]


@dataclass(frozen=True, eq=False)
class _Sample:
    """The scores behind a row, of the baseline, and the difference, ``(cases, values)``; NaN where undefined."""

    scope: Scope
    label: str
    method: str
    own: Numbers
    baseline: Numbers
    difference: Numbers


def score_table(results: Iterable[CaseResult], score: str) -> dict[str, dict[str, float | None]]:
    """One score of evaluated cases, for ``compare``."""
    return {
        result.case: {name: getattr(metrics, score) for name, metrics in result.labels.items()} for result in results
    }


def compare(
    methods: Mapping[str, ScoreTable], score: str = "dice", baseline: str | None = None, seed: int = 0
) -> Comparison:
    """Compare methods (name -> its scores; ``score_table`` makes them) on the cases that all of them have.

    ``baseline`` is the method that the others are tested against, the first one unless given; ``seed`` is that of the
    bootstrap. BadInput: fewer than two methods, an unknown baseline or score, or no common case.
    """
    names = tuple(methods)
    reference = names[0] if names and baseline is None else str(baseline)
    if len(names) < 2:
        raise BadInput("compare: a comparison needs two methods or more; give them as NAME=RESULTS.")
    if reference not in methods:
        raise BadInput(f"compare: the baseline {reference!r} is none of the methods; choose of {', '.join(names)}.")
    if score not in SCORES:
        raise BadInput(f"compare: there is no score called {score!r}; choose of {', '.join(SCORES)}.")
    cases = tuple(case for case in methods[names[0]] if all(case in table for table in methods.values()))
    if not cases:
        raise BadInput(f"compare: {', '.join(names)} have no case in common; evaluate them on the same cases.")
    labels = list(dict.fromkeys(label for table in methods.values() for case in cases for label in table[case]))
    scores = {name: _array(table, cases, labels) for name, table in methods.items()}
    parts: list[tuple[Scope, str, slice]] = [
        *(("label", label, slice(place, place + 1)) for place, label in enumerate(labels)),
        *((scope, title, slice(None)) for scope, title in OVERALL.items()),
    ]
    samples = [
        _sample(scope, title, name, scores[name][:, part], scores[reference][:, part])
        for scope, title, part in parts
        for name in names
    ]
    left_out = {name: tuple(case for case in table if case not in cases) for name, table in methods.items()}
    return Comparison(score, names, reference, cases, left_out, tuple(_rows(samples, reference, score, seed)))


def document(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain values, without the single scores."""
    rows = [{key: value for key, value in asdict(row).items() if key != "values"} for row in comparison.rows]
    return {
        "score": comparison.score,
        "methods": list(comparison.methods),
        "baseline": comparison.baseline,
        "num_cases": len(comparison.cases),
        "left_out": {name: list(cases) for name, cases in comparison.left_out.items()},
        "rows": [{**row, "num_values": len(one.values)} for row, one in zip(rows, comparison.rows, strict=True)],
        "rules": RULES,
    }


def _array(table: ScoreTable, cases: Sequence[str], labels: Sequence[str]) -> Numbers:
    """``(cases, labels)``, NaN for what is undefined or not there."""
    return np.stack([as_numbers([table[case].get(label) for label in labels]) for case in cases])


def _sample(scope: Scope, label: str, method: str, own: Numbers, baseline: Numbers) -> _Sample:
    """In the scope ``cases`` the difference of a case is the mean over the labels that both methods have."""
    scores = own, baseline, own - baseline
    return _Sample(scope, label, method, *(map(mean_of_each_case, scores) if scope == "cases" else scores))


def mean_of_each_case(scores: Numbers) -> Numbers:
    """``(cases, labels)`` -> ``(cases, 1)``: the mean of what is defined, NaN where nothing is."""
    counts = np.isfinite(scores).sum(axis=1, keepdims=True)
    means: Numbers = np.where(counts > 0, np.nansum(scores, axis=1, keepdims=True) / np.maximum(counts, 1), np.nan)
    return means


def _rows(samples: Sequence[_Sample], baseline: str, score: str, seed: int) -> list[Row]:
    """The rows of the samples; the intervals of all from the same draws of cases."""
    columns = [part for sample in samples for part in (sample.own, sample.difference)]
    sums = np.stack([np.nansum(column, axis=1) for column in columns], axis=1)
    counts = np.stack([np.isfinite(column).sum(axis=1) for column in columns], axis=1).astype(np.float64)
    intervals = iter(bootstrap_ratios(sums, counts, seed))
    rows = []
    for sample in samples:
        values = sample.own[np.isfinite(sample.own)]
        own_interval, interval = next(intervals), next(intervals)
        row = Row(
            scope=sample.scope,
            label=sample.label,
            method=sample.method,
            mean=float(values.mean()) if len(values) else None,
            sd=float(values.std(ddof=1)) if len(values) > 1 else None,
            interval=own_interval,
            values=tuple(values.tolist()),
        )
        rows.append(row if sample.method == baseline else replace(row, against=_against(sample, interval)))
    return _with_corrected_p(_with_best(rows, score))


def _against(sample: _Sample, interval: Interval | None) -> Against:
    known = np.isfinite(sample.difference)
    num_dropped = int(((np.isfinite(sample.own) | np.isfinite(sample.baseline)) & ~known).sum())
    return tested(sample.difference[known], sample.difference[known], interval, num_dropped)


def tested(differences: Numbers, pairs: Numbers, interval: Interval | None, num_dropped: int) -> Against:
    """The mean of ``differences`` (n,), and both tests of ``pairs`` (m,): the differences themselves or of subjects."""
    nothing = np.zeros(len(pairs))
    return Against(
        difference=float(differences.mean()) if len(differences) else None,
        interval=interval,
        t=paired_t_test(pairs, nothing),
        wilcoxon=wilcoxon_signed_rank(pairs, nothing),
        num_pairs=len(pairs),
        num_dropped=num_dropped,
    )


def corrected(tests: Sequence[Against]) -> list[Against]:
    """The p of tests that belong together, each kind corrected by Holm's method."""
    t, wilcoxon = holm([test.t.p for test in tests]), holm([test.wilcoxon.p for test in tests])
    return [
        replace(test, t_p_holm=t_p, wilcoxon_p_holm=wilcoxon_p)
        for test, t_p, wilcoxon_p in zip(tests, t, wilcoxon, strict=True)
    ]


def _with_best(rows: Sequence[Row], score: str) -> list[Row]:
    """Mark the best mean of each scope and label; several if they are equal."""
    worth = {"highest": lambda mean: mean, "lowest": lambda mean: -mean, "zero": lambda mean: -abs(mean)}
    worths = [None if row.mean is None else worth[SCORES[score].best](row.mean) for row in rows]
    best: dict[tuple[str, str], float] = {}
    for row, value in zip(rows, worths, strict=True):
        if value is not None:
            best[row.scope, row.label] = max(value, best.get((row.scope, row.label), value))
    return [
        replace(row, best=value is not None and value == best[row.scope, row.label])
        for row, value in zip(rows, worths, strict=True)
    ]


def _with_corrected_p(rows: Sequence[Row]) -> list[Row]:
    """Correct the p of all tests of one kind in one scope together."""
    result = list(rows)
    for scope in ("label", *OVERALL):
        places = [place for place, row in enumerate(result) if row.scope == scope and row.against]
        tests = [against for place in places if (against := result[place].against)]
        for place, against in zip(places, corrected(tests), strict=True):
            result[place] = replace(result[place], against=against)
    return result
