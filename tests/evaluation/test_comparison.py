"""Two methods on four cases, computed by hand; and the same numbers through scipy."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy import stats

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.evaluation.comparison import Comparison, Row, compare, document, score_table
from autoseg.evaluation.evaluate import CaseResult
from autoseg.evaluation.metrics import case_metrics
from autoseg.evaluation.statistics import holm

OLD = {
    "a": {"front": 0.80, "back": 0.70},
    "b": {"front": 0.90, "back": None},
    "c": {"front": 0.70, "back": 0.60},
    "d": {"front": 0.60, "back": 0.50},
}
NEW = {
    "d": {"front": 0.66, "back": 0.60},
    "c": {"front": 0.74, "back": 0.66},
    "b": {"front": 0.91, "back": 0.40},
    "a": {"front": 0.83, "back": None},
    "e": {"front": 0.99, "back": 0.99},
}


def row(comparison: Comparison, scope: str, label: str, method: str) -> Row:
    (found,) = [
        one for one in comparison.rows if (one.scope, one.method) == (scope, method) and label in (one.label, "")
    ]
    return found


def test_a_label_by_hand() -> None:
    comparison = compare({"old": OLD, "new": NEW})
    old, new = (row(comparison, "label", "front", name) for name in ("old", "new"))
    assert old.values == (0.8, 0.9, 0.7, 0.6)
    assert (old.mean, old.sd) == pytest.approx((0.75, np.std([0.8, 0.9, 0.7, 0.6], ddof=1)))
    assert old.against is None
    assert (old.best, new.best) == (False, True)
    assert new.against is not None
    difference = [0.03, 0.01, 0.04, 0.06]
    assert new.against.difference == pytest.approx(0.035)
    assert new.against.t.p == pytest.approx(stats.ttest_1samp(difference, 0).pvalue, rel=1e-6)
    assert new.against.wilcoxon.p == pytest.approx(2 / 16)  # all four to one side
    assert (new.against.num_pairs, new.against.num_dropped) == (4, 0)
    assert new.against.interval is not None
    assert 0.01 <= new.against.interval.low < 0.035 < new.against.interval.high <= 0.06


def test_undefined_sides_are_dropped_and_counted() -> None:
    against = row(compare({"old": OLD, "new": NEW}), "label", "back", "new").against
    assert against is not None
    assert (against.num_pairs, against.num_dropped) == (2, 2)
    assert against.difference == pytest.approx((0.06 + 0.10) / 2)


def test_overall_scopes() -> None:
    comparison = compare({"old": OLD, "new": NEW})
    pairs = row(comparison, "pairs", "", "new")
    assert pairs.mean == pytest.approx(np.mean([0.83, 0.91, 0.40, 0.74, 0.66, 0.66, 0.60]))
    assert pairs.against is not None
    assert (pairs.against.num_pairs, pairs.against.num_dropped) == (6, 2)
    cases = row(comparison, "cases", "", "new")
    assert cases.values == pytest.approx((0.83, 0.655, 0.70, 0.63))
    assert cases.against is not None
    # A case counts with the labels that both have: a and b with the front alone.
    assert cases.against.difference == pytest.approx(np.mean([0.03, 0.01, 0.05, 0.08]))
    assert (cases.against.num_pairs, cases.against.num_dropped) == (4, 0)


def test_only_common_cases_count() -> None:
    comparison = compare({"old": OLD, "new": NEW})
    assert comparison.cases == ("a", "b", "c", "d")
    assert comparison.left_out == {"old": (), "new": ("e",)}


def test_p_is_corrected_for_all_labels_and_methods_of_a_scope() -> None:
    rng = np.random.default_rng(0)
    tables = {
        name: {f"case{i}": {label: float(shift + rng.normal()) for label in "xyz"} for i in range(12)}
        for name, shift in (("base", 0.0), ("one", 1.0), ("two", 0.4))
    }
    comparison = compare(tables)
    for scope, number in (("label", 6), ("pairs", 2), ("cases", 2)):
        tests = [one.against for one in comparison.rows if one.scope == scope and one.against]
        assert len(tests) == number
        assert [test.t_p_holm for test in tests] == holm([test.t.p for test in tests])
        assert [test.wilcoxon_p_holm for test in tests] == holm([test.wilcoxon.p for test in tests])
    base, two = (np.array([list(case.values()) for case in tables[name].values()]) for name in ("base", "two"))
    against = row(comparison, "pairs", "", "two").against
    assert against is not None
    assert against.t.p == pytest.approx(stats.ttest_rel(two.ravel(), base.ravel()).pvalue, rel=1e-9)
    per_case = row(comparison, "cases", "", "two").against
    assert per_case is not None
    assert per_case.wilcoxon.p == pytest.approx(stats.wilcoxon(two.mean(1), base.mean(1)).pvalue, rel=1e-9)


def test_interval_of_pairs_draws_cases() -> None:
    same = {f"case{i}": dict.fromkeys("vwxyz", value) for i, value in enumerate((0.2, 0.5, 0.9, 0.4))}
    comparison = compare({"one": same, "two": same})
    pairs, cases = (row(comparison, scope, "", "one").interval for scope in ("pairs", "cases"))
    assert pairs == pytest.approx(cases, rel=1e-12)  # the labels of a case, all equal, add nothing


@pytest.mark.parametrize(
    ("score", "means", "best"),
    [
        ("dice", (0.5, 0.9), [False, True]),
        ("hd95_mm", (0.5, 0.9), [True, False]),
        ("volume_error_percent", (-30.0, 4.0), [False, True]),
        ("dice", (0.7, 0.7), [True, True]),
    ],
)
def test_the_best_depends_on_the_score(score: str, means: tuple[float, float], best: list[bool]) -> None:
    tables = {str(number): {"a": {"it": mean}, "b": {"it": mean}} for number, mean in enumerate(means)}
    assert [one.best for one in compare(tables, score).rows if one.scope == "label"] == best


def test_scores_of_results_in_memory() -> None:
    maps = np.array([1, 1, 0]).reshape(-1, 1, 1), np.array([1, 0, 0]).reshape(-1, 1, 1)
    metrics = case_metrics(*maps, (1, 1, 1), Labels(values={"it": 1, "other": 2}), ["overlap"])
    assert score_table([CaseResult("x", "", metrics)], "dice") == {"x": {"it": pytest.approx(2 / 3), "other": None}}


def test_document_is_json_without_nan() -> None:
    comparison = compare({"old": OLD, "new": NEW}, baseline="new")
    content = json.loads(json.dumps(document(comparison), allow_nan=False))
    assert (content["baseline"], content["methods"], content["num_cases"]) == ("new", ["old", "new"], 4)
    assert len(content["rows"]) == 2 * 4
    first = content["rows"][0]
    assert (first["scope"], first["label"], first["method"], first["num_values"]) == ("label", "front", "old", 4)
    assert first["against"]["difference"] == pytest.approx(-0.035)
    assert "values" not in first


def test_what_cannot_be_compared_is_said() -> None:
    with pytest.raises(BadInput, match="two methods or more"):
        compare({"old": OLD})
    with pytest.raises(BadInput, match="baseline 'odl' is none of the methods; choose of old, new"):
        compare({"old": OLD, "new": NEW}, baseline="odl")
    with pytest.raises(BadInput, match="no score called 'dsc'; choose of dice"):
        compare({"old": OLD, "new": NEW}, "dsc")
    with pytest.raises(BadInput, match="have no case in common"):
        compare({"old": OLD, "new": {"z": {"front": 0.1}}})
