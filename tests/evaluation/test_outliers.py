"""The rule for outliers, worked out by hand."""

import numpy as np
import pytest

from autoseg.core.fingerprint import CaseMeasurement, Fingerprint, IntensityStatistics
from autoseg.evaluation.outliers import FEWEST_CASES, find_outliers, modified_z_scores

STATISTICS = IntensityStatistics(
    mean=1, median=1, std=1, minimum=0, maximum=2, percentile_00_5=0, percentile_99_5=2
)  # fmt: skip


def case(name, domain="a", spacing=(1.0, 1.0, 1.0), shape=(100, 100, 100), volume=1000.0, quantiles=((10, 50, 90),)):
    return CaseMeasurement(
        name=name, domain=domain, subject=name, orientation="RAS", shape=shape, spacing_mm=spacing,
        box=tuple((0, size) for size in shape), label_volumes_mm3={"core": volume}, intensity_quantiles=quantiles,
    )  # fmt: skip


def fingerprint(cases):
    domains = {one.domain for one in cases}
    return Fingerprint(
        dataset="d", channels=("T1w",), labels={"values": {"background": 0, "core": 1}}, cases=cases,
        intensities=(STATISTICS,), domain_intensities={domain: (STATISTICS,) for domain in domains},
    )  # fmt: skip


def test_modified_z_scores_by_hand():
    # Median 5.5 and absolute deviations 0.5 0.5 1.5 1.5 2.5 2.5 3.5 3.5 4.5 94.5: MAD 2.5.
    values = np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 100])
    expected = (values - 5.5) / (1.4826 * 2.5)
    np.testing.assert_allclose(modified_z_scores(values), expected)
    assert (np.abs(expected) > 3.5).tolist() == [False] * 9 + [True]


def test_where_most_agree_the_mean_deviation_counts():
    # One of ten 2 away: mean deviation 0.2, score 2 / (1.2533 * 0.2).
    values = np.zeros(10)
    values[3] = 2
    scores = modified_z_scores(values)
    assert scores[3] == pytest.approx(2 / (1.2533 * 0.2))
    assert not np.delete(scores, 3).any()
    # Three of ten: mean deviation 0.6, score 2.66: another protocol, no outlier.
    values[:3] = 2
    assert np.abs(modified_z_scores(np.where(values > 0, 2.0, 0.0))).max() < 3.5


def test_tiny_differences_are_none():
    values = np.zeros(20)
    values[0] = np.log(1.09)
    assert not modified_z_scores(values).any()
    values[0] = np.log(1.11)
    assert modified_z_scores(values)[0] > 3.5


def test_too_few_and_unknown_values():
    values = np.zeros(FEWEST_CASES)
    values[0] = 5
    assert modified_z_scores(values)[0] > 3.5
    assert not modified_z_scores(values[:-1]).any()
    values[-1] = np.nan  # only nine are known
    scores = modified_z_scores(values)
    assert np.isnan(scores[-1])
    assert not scores[:-1].any()


def test_each_kind_is_found_and_named():
    cases = [case(f"c{place}") for place in range(12)]
    cases += [
        case("thick", spacing=(1.0, 1.0, 3.0), shape=(100, 100, 33)),
        case("wide", shape=(200, 100, 100)),
        case("bright", quantiles=((100, 500, 900),)),
        case("small", volume=10.0),
        case("empty", volume=0.0),
    ]
    found = {(one.case, one.kind, one.which): one for one in find_outliers(fingerprint(cases))}
    assert set(found) == {
        ("thick", "spacing", "down-up"),
        ("wide", "size", "left-right"),
        ("bright", "intensity", "T1w"),
        ("small", "volume", "core"),
    }
    assert (found["thick", "spacing", "down-up"].value, found["thick", "spacing", "down-up"].median) == (3.0, 1.0)
    assert found["wide", "size", "left-right"].value == 200
    assert found["bright", "intensity", "T1w"].value == 500
    assert (found["small", "volume", "core"].value, found["small", "volume", "core"].median) == (0.01, 1.0)
    assert found["small", "volume", "core"].score < -3.5


def test_the_most_unlike_is_first():
    cases = [case(f"c{place}") for place in range(30)] + [case("far", volume=9e5), case("near", volume=5e3)]
    assert [one.case for one in find_outliers(fingerprint(cases))] == ["far", "near"]


def test_domains_are_judged_each_by_itself():
    cases = [case(f"a{place}") for place in range(12)]
    cases += [case(f"b{place}", domain="b", spacing=(2.0, 2.0, 2.0)) for place in range(2)]
    assert find_outliers(fingerprint(cases)) == []
    together = find_outliers(fingerprint(cases), by_domain=False)
    assert {(one.case, one.domain) for one in together} == {("b0", "b"), ("b1", "b")}


def test_fingerprints_without_intensities_of_cases():
    cases = [case(f"c{place}", quantiles=()) for place in range(12)] + [
        case("wide", shape=(300, 100, 100), quantiles=())
    ]
    assert [(one.case, one.kind) for one in find_outliers(fingerprint(cases))] == [("wide", "size")]
