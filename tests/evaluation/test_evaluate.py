"""The summary of three small cases, computed by hand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

import numpy as np
import pytest

from autoseg.core.labels import Labels
from autoseg.evaluation.evaluate import CaseResult, csv_rows, families_of, summarize, summary_table
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


def test_means_leave_out_absent_labels_and_count_them() -> None:
    labels = summarize(results())["labels"]
    assert labels["front"]["dice"] == pytest.approx((1 + 0.5) / 2)
    assert labels["back"]["dice"] == pytest.approx((1 + 0 + 0) / 3)
    assert labels["front"]["volume_error_percent"] == pytest.approx(100 * (0 - 2 / 3) / 2)
    assert labels["back"]["hd95_mm"] == 0  # where both maps have it
    counts = ("num_cases", "num_missed", "num_spurious", "num_absent")
    assert [labels["front"][key] for key in counts] == [3, 0, 0, 1]
    assert [labels["back"][key] for key in counts] == [3, 1, 1, 0]


def test_mean_weighs_labels_equally() -> None:
    mean = summarize(results())["mean"]
    assert mean["dice"] == pytest.approx((0.75 + 1 / 3) / 2)
    assert mean["num_cases"] == 3
    assert set(mean) == {*score_names(DEFAULT_FAMILIES), "sd", "num_defined", "num_cases"}


def test_spread_is_over_the_cases_where_a_score_is_defined() -> None:
    summary = summarize(results())
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
    assert (families_of(few), families_of(all_of_them)) == (("overlap",), tuple(FAMILIES))
    assert "hd95_mm" not in json.dumps(summarize(few)) + str(next(csv_rows(few)))
    summary = summarize(all_of_them)
    assert set(summary["cases"][0]["labels"]["front"]) >= {*score_names(FAMILIES), "num_reference_lesions"}
    assert summary["labels"]["front"]["lesion_sensitivity"] == pytest.approx((1 + 0) / 2)  # 2 mm3 of 6 are no lesion
    assert summary_table(summarize(few))[0] == ("label", "Dice", "cases")
    assert summary_table(summary)[0][-3:] == ("SMD (mm)", "Lesion F1", "cases")


def test_domains_are_summarised_apart() -> None:
    domains = summarize(results())["domains"]
    assert list(domains) == ["siteA", "siteB"]
    assert domains["siteA"]["mean"]["dice"] == pytest.approx((0.75 + 0.5) / 2)
    assert domains["siteA"]["mean"]["num_cases"] == 2
    assert domains["siteB"]["mean"]["dice"] == 0  # front is absent, back is spurious
    assert domains["siteB"]["labels"]["front"]["dice"] is None
    assert domains["siteB"]["labels"]["back"]["num_spurious"] == 1


def test_summary_is_json_without_nan() -> None:
    summary = summarize(results())
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary
    assert set(summary) == {"mean", "labels", "domains", "cases", "empty_label_rule"}
    assert [case["case"] for case in summary["cases"]] == ["a1", "a2", "b1"]
    assert summary["cases"][1]["labels"]["front"]["dice"] == pytest.approx(0.5)
    assert summary["cases"][2]["labels"]["front"]["dice"] is None


def test_no_cases_give_an_empty_summary() -> None:
    summary = summarize([])
    assert summary["mean"]["dice"] is None
    assert (summary["mean"]["sd"]["dice"], summary["mean"]["num_defined"]["dice"]) == (None, 0)
    assert summary["mean"]["num_cases"] == 0
    assert (summary["labels"], summary["domains"], summary["cases"]) == ({}, {}, [])


def test_csv_has_a_row_for_each_case_and_label() -> None:
    header, *values = csv_rows(list(results()))
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
    header, rows = summary_table(summarize(results()))
    assert header == ("label", "Dice", "HD95 (mm)", "ASSD (mm)", "NSD", "cases")
    assert {len(row) for row in rows} == {len(header)}
    assert [row[0] for row in rows] == ["front", "back", "mean", "mean of siteA", "mean of siteB"]
    assert rows[1][1] == "0.333"
    assert rows[1][-1] == "3"
    assert rows[-1] == ("mean of siteB", "0.000", "-", "-", "0.000", "1")


def test_table_of_one_domain_does_not_repeat_the_mean() -> None:
    one = [item for item in results() if item.domain == "siteA"]
    assert [row[0] for row in summary_table(summarize(one))[1]] == ["front", "back", "mean"]
