"""The summary of three small cases, computed by hand."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from autoseg.core.labels import Labels
from autoseg.evaluation.evaluate import CaseResult, Scores, csv_rows, summarize, summary_table
from autoseg.evaluation.metrics import case_metrics
from autoseg.evaluation.scores import DEFAULT_FAMILIES, FAMILIES, score_names

LABELS = Labels(values={"background": 0, "front": 1, "back": 2})


def result(
    case: str, domain: str, prediction: list[int], reference: list[int], families: Iterable[str] = DEFAULT_FAMILIES
) -> CaseResult:
    """A case that is one line of voxels of 2 mm3."""
    maps = (np.array(values).reshape(-1, 1, 1) for values in (prediction, reference))
    return CaseResult(case, domain, case_metrics(*maps, (2.0, 1.0, 1.0), LABELS, tuple(families)))


def results(families: Iterable[str] = DEFAULT_FAMILIES) -> Iterator[CaseResult]:
    yield result("a1", "siteA", [1, 1, 0, 2, 2], [1, 1, 0, 2, 2], families)  # Dice front 1, back 1
    yield result("a2", "siteA", [1, 0, 0, 0, 0], [1, 1, 1, 0, 2], families)  # front 0.5, back missed
    yield result("b1", "siteB", [2, 0, 0, 0, 0], [0, 0, 0, 0, 0], families)  # front absent, back spurious


def summary_of(some: Iterable[CaseResult]) -> dict[str, Any]:
    """All of it, rows of cases included."""
    summary = summarize(Scores(some))
    return summary | {"cases": list(summary["cases"])}


def test_means_leave_out_absent_labels_and_count_them() -> None:
    labels = summary_of(results())["labels"]
    assert labels["front"]["dice"] == pytest.approx((1 + 0.5) / 2)
    assert labels["back"]["dice"] == pytest.approx((1 + 0 + 0) / 3)
    assert labels["front"]["volume_error_percent"] == pytest.approx(100 * (0 - 2 / 3) / 2)
    assert labels["back"]["hd95_mm"] == 0  # where both maps have it
    counts = ("num_cases", "num_missed", "num_spurious", "num_absent")
    assert [labels["front"][key] for key in counts] == [3, 0, 0, 1]
    assert [labels["back"][key] for key in counts] == [3, 1, 1, 0]


def test_mean_weighs_labels_equally() -> None:
    mean = summary_of(results())["mean"]
    assert mean["dice"] == pytest.approx((0.75 + 1 / 3) / 2)
    assert mean["num_cases"] == 3
    assert set(mean) == {*score_names(DEFAULT_FAMILIES), "sd", "num_defined", "num_cases"}


def test_spread_is_over_the_cases_where_a_score_is_defined() -> None:
    summary = summary_of(results())
    front, back, mean = summary["labels"]["front"], summary["labels"]["back"], summary["mean"]
    assert front["sd"]["dice"] == pytest.approx(np.std([1, 0.5], ddof=1))
    assert back["sd"]["dice"] == pytest.approx(np.std([1, 0, 0], ddof=1))
    assert (front["num_defined"]["dice"], back["num_defined"]["dice"]) == (2, 3)
    assert (back["num_defined"]["hd95_mm"], back["sd"]["hd95_mm"]) == (1, None)
    assert mean["sd"]["dice"] == pytest.approx(np.std([1, 0.25, 0], ddof=1))  # of the means of the cases
    assert mean["num_defined"]["dice"] == 3
    assert set(front["sd"]) == set(mean["num_defined"]) == set(score_names(DEFAULT_FAMILIES))


def test_only_families_that_were_asked_for_are_in_the_documents() -> None:
    few, all_of_them = list(results(["overlap"])), list(results(FAMILIES))
    assert (Scores(few).families, Scores(all_of_them).families) == (("overlap",), tuple(FAMILIES))
    assert "hd95_mm" not in json.dumps(summary_of(few)) + str(next(csv_rows(Scores(few))))
    summary = summary_of(all_of_them)
    assert set(summary["cases"][0]["labels"]["front"]) >= {*score_names(FAMILIES), "num_reference_lesions"}
    assert summary["labels"]["front"]["lesion_sensitivity"] == pytest.approx((1 + 0) / 2)  # 2 mm3 of 6 are no lesion
    assert summary_table(summary_of(few))[0] == ("label", "Dice", "cases")
    assert summary_table(summary)[0][-3:] == ("SMD (mm)", "Lesion F1", "cases")


def test_domains_are_summarised_apart() -> None:
    domains = summary_of(results())["domains"]
    assert list(domains) == ["siteA", "siteB"]
    assert domains["siteA"]["mean"]["dice"] == pytest.approx((0.75 + 0.5) / 2)
    assert domains["siteA"]["mean"]["num_cases"] == 2
    assert domains["siteB"]["mean"]["dice"] == 0  # front is absent, back is spurious
    assert domains["siteB"]["labels"]["front"]["dice"] is None
    assert domains["siteB"]["labels"]["back"]["num_spurious"] == 1


def test_summary_is_json_without_nan() -> None:
    summary = summary_of(results())
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert set(summary) == {"mean", "labels", "domains", "cases", "empty_label_rule"}
    assert [case["case"] for case in summary["cases"]] == ["a1", "a2", "b1"]
    assert summary["cases"][1]["labels"]["front"]["dice"] == pytest.approx(0.5)
    assert summary["cases"][2]["labels"]["front"]["dice"] is None


def test_no_cases_give_an_empty_summary() -> None:
    summary = summary_of([])
    assert summary["mean"]["dice"] is None
    assert (summary["mean"]["sd"]["dice"], summary["mean"]["num_defined"]["dice"]) == (None, 0)
    assert summary["mean"]["num_cases"] == 0
    assert (summary["labels"], summary["domains"], summary["cases"]) == ({}, {}, [])


def test_csv_has_a_row_for_each_case_and_label() -> None:
    header, *values = csv_rows(Scores(results()))
    rows = [dict(zip(header, one, strict=True)) for one in values]
    assert [(row["case"], row["domain"], row["label"]) for row in rows] == [
        (case, domain, label)
        for case, domain in (("a1", "siteA"), ("a2", "siteA"), ("b1", "siteB"))
        for label in ("front", "back")
    ]
    assert rows[2]["dice"] == pytest.approx(0.5)
    assert rows[2]["reference_volume_mm3"] == 6
    assert rows[4]["dice"] is None


def test_table_shows_labels_then_the_mean_then_domains() -> None:
    header, rows = summary_table(summary_of(results()))
    assert header == ("label", "Dice", "HD95 (mm)", "ASSD (mm)", "NSD", "cases")
    assert {len(row) for row in rows} == {len(header)}
    assert [row[0] for row in rows] == ["front", "back", "mean", "mean of siteA", "mean of siteB"]
    assert rows[1][1] == "0.333"
    assert rows[1][-1] == "3"
    assert rows[-1] == ("mean of siteB", "0.000", "-", "-", "0.000", "1")


def test_table_of_one_domain_does_not_repeat_the_mean() -> None:
    one = [item for item in results() if item.domain == "siteA"]
    assert [row[0] for row in summary_table(summary_of(one))[1]] == ["front", "back", "mean"]


def test_a_case_that_was_not_scored_for_the_labels_of_the_others_is_refused() -> None:
    other = CaseResult("c", "siteA", {"front": result("c", "siteA", [1], [1]).labels["front"]})
    with pytest.raises(ValueError, match="c: was not scored for front, back"):
        Scores([*results(), other])


def test_numbers_of_lesions_stay_integers() -> None:
    row = next(Scores(results(FAMILIES)).rows())
    counted = {name: value for name, value in row["labels"]["front"].items() if name.startswith("num_")}
    assert {type(value) for value in counted.values()} == {int}
    assert type(row["labels"]["front"]["predicted_volume_mm3"]) is float


def test_little_is_held_of_a_case_and_of_its_row() -> None:
    """Two labels of 13 columns are 208 bytes as numbers; as objects, and once more as rows, they took 4 kB."""
    number = 2000
    metrics = result("", "", [1, 0, 0, 0, 0], [1, 1, 1, 0, 2]).labels
    scores = Scores()
    for _ in range(2):  # in the first what is made once for all cases
        tracemalloc.start()
        scores = Scores(CaseResult(f"sub-{place:05d}_T1w", f"site-{place % 3}", metrics) for place in range(number))
        held = tracemalloc.get_traced_memory()[0]
        rows = sum(1 for _ in summarize(scores)["cases"]) + sum(1 for _ in csv_rows(scores))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert rows == number + 1 + 2 * number
    assert held < 300 * number
    assert peak < 450 * number
