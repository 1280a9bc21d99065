"""The ranges of a domain: the interval of one more case, its limits, and how often it is wrong."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from autoseg.core.case import CaseFiles
from autoseg.core.plan import read_plan
from autoseg.core.trained_ranges import CaseProfile, numbers, outside, spans
from autoseg.io.images import read_image
from autoseg.planning import input_ranges
from autoseg.planning.case_profile import profile_of
from autoseg.planning.folds import split_cases
from autoseg.planning.input_ranges import (
    LARGEST_FACTOR,
    LEAST_FACTOR,
    RISK,
    Profiles,
    explain_ranges,
    left_out,
    profiles_by_domain,
    ranges_by_domain,
)
from autoseg.planning.planner import make_plan


def columns(cases):
    return Profiles(np.array([numbers(case) for case in cases]), np.array([case.orientation for case in cases]))


def ranges_of(cases):
    return input_ranges.ranges_of(columns(cases))


def are_outside(cases, domains):
    return input_ranges.are_outside(columns(cases), domains)


def site(random, number, scale=500.0, spread=0.2):
    """Cases whose field of view and intensities vary like logarithms of normal numbers."""
    gains = scale * np.exp(random.normal(0, spread, number))
    sizes = 40 * np.exp(random.normal(0, 0.07, (number, 3)))
    return [
        CaseProfile("RAS", (1.0, 1.0, 1.0), tuple(size), ((0.2 * gain, gain, 1.6 * gain),))
        for gain, size in zip(gains, sizes, strict=True)
    ]


def test_a_length_may_be_what_one_more_normal_case_is():
    cases = site(np.random.default_rng(0), 30)
    values = np.log([case.field_of_view_mm[0] for case in cases])
    reach = stats.t.ppf(1 - RISK / 9 / 2, 29) * values.std(ddof=1) * np.sqrt(1 + 1 / 30)
    found = ranges_of(cases).field_of_view_mm[0]
    assert (found.smallest, found.largest) == pytest.approx((np.exp(values.min()), np.exp(values.max())))
    assert found.low == pytest.approx(np.exp(min(values.mean() - reach, values.min() - np.log(LEAST_FACTOR))))
    assert found.high == pytest.approx(np.exp(max(values.mean() + reach, values.max() + np.log(LEAST_FACTOR))))


def test_an_intensity_is_measured_by_asinh_of_a_tenth_of_the_contrast():
    cases = site(np.random.default_rng(0), 30)
    medians = np.array([case.intensities[0][1] for case in cases])
    scale = 0.1 * np.median([case.intensities[0][2] - case.intensities[0][0] for case in cases])
    values = np.arcsinh(medians / scale)
    reach = stats.t.ppf(1 - RISK / 9 / 2, 29) * values.std(ddof=1) * np.sqrt(1 + 1 / 30)
    assert ranges_of(cases).intensities[0][1].high == pytest.approx(np.sinh(values.mean() + reach) * scale)


def test_new_cases_of_a_site_are_rarely_outside_and_those_of_another_always():
    """The risk is that of all quantities of a case together, at sites of 6 to 100 cases."""
    random = np.random.default_rng(1)
    wrong = [
        are_outside(site(random, 50), [ranges_of(site(random, number))]).mean() for number in (6, 12, 25, 100) * 20
    ]
    assert np.mean(wrong) < RISK
    known = [ranges_of(site(random, 100, 500)), ranges_of(site(random, 30, 60))]
    assert are_outside(site(random, 50, 2e5), known).all()
    assert are_outside(site(random, 50, 60), known).mean() < 0.05


def test_the_scale_of_intensities_does_not_matter():
    cases, louder = (site(np.random.default_rng(2), 20, scale) for scale in (1.0, 1e6))
    one, other = (spans(ranges_of(found))[6:] for found in (cases, louder))
    np.testing.assert_allclose([a.high * 1e6 for a in one], [b.high for b in other])


def test_negative_intensities_and_constant_images_have_ranges():
    ct = [CaseProfile("RAS", (1, 1, 1), (300, 300, 300), ((-1000.0, -400.0 + 5 * i, 300.0),)) for i in range(10)]
    low, middle, high = ranges_of(ct).intensities[0]
    assert low.low < -1000 < low.high < middle.low < -400 < middle.high < high.low < 300 < high.high
    assert are_outside([CaseProfile("RAS", (1, 1, 1), (300, 300, 300), ((0.0, 600.0, 1300.0),))], [ranges_of(ct)])
    empty = [CaseProfile("RAS", (1, 1, 1), (3, 3, 3), ((0.0, 0.0, 0.0),))] * 3
    assert not are_outside(empty, [ranges_of(empty)]).any()


def test_a_single_case_lets_in_what_is_similar_and_equal_cases_a_tenth_more():
    (case,) = site(np.random.default_rng(3), 1)
    span = ranges_of([case]).field_of_view_mm[0]
    assert (span.low, span.high) == pytest.approx((span.smallest / LARGEST_FACTOR, span.largest * LARGEST_FACTOR))
    spacing = ranges_of([case] * 8).spacing_mm[0]
    assert (spacing.low, spacing.high) == pytest.approx((1 / LEAST_FACTOR, LEAST_FACTOR))


def test_both_ways_of_asking_agree():
    random = np.random.default_rng(4)
    domains = {"a": ranges_of(site(random, 60)), "b": ranges_of(site(random, 60, 60))}
    turned = [replace(case, orientation="LPS") for case in site(random, 3)]
    asked = [*site(random, 20, 170), *site(random, 20, 500), *turned]
    expected = [bool(outside(case, domains, ["T1w"])) for case in asked]
    assert are_outside(asked, list(domains.values())).tolist() == expected
    assert 5 < sum(expected) < 35


@pytest.fixture
def measured(make_fingerprint):
    """Twenty cases of 60 to 98 mm, one in another orientation, and three of a second site."""
    fingerprint = make_fingerprint(num_cases=23)
    cases = [
        replace(
            case,
            shape=(30 + number % 20, 40, 50),
            spacing_mm=(2.0, 1.0, 1.0),
            domain="other" if number >= 20 else "site",
            orientation="LPS" if number == 5 else "RAS",
            intensity_quantiles=((5.0 + number % 4, 50.0, 90.0),),
        )
        for number, case in enumerate(fingerprint.cases)
    ]
    return fingerprint.model_copy(update={"cases": tuple(cases)})


def test_the_plan_holds_the_ranges_and_how_often_they_are_wrong(measured):
    plan = make_plan(measured)
    assert read_plan(plan.model_dump_json(), "plan.json").trained_ranges == plan.trained_ranges
    assert list(plan.trained_ranges) == ["other", "site"]
    of_site = plan.trained_ranges["site"]
    assert (of_site.num_cases, of_site.orientations) == (20, ("LPS", "RAS"))
    assert of_site.field_of_view_mm[0].smallest == 60
    assert of_site.field_of_view_mm[0].largest == 98
    (decision,) = [one for one in plan.decisions if one.what == "unlike inputs"]
    assert "each of 2 domain(s); 1 of 20 cases (5.0%) are outside when left out" in decision.reason  # that orientation
    assert left_out(profiles_by_domain(measured)) == (20, 1)


def test_plans_of_fingerprints_that_did_not_measure_it_compare_nothing(measured, make_fingerprint):
    assert make_plan(make_fingerprint(num_cases=3)).trained_ranges == {}
    assert explain_ranges(profiles_by_domain(make_fingerprint(num_cases=3))) is None
    old = make_plan(measured).model_dump(mode="json")
    del old["trained_ranges"]
    assert read_plan(json.dumps(old), "plan.json").trained_ranges == {}
    few = measured.model_copy(update={"cases": measured.cases[20:]})
    assert "is not known" in explain_ranges(profiles_by_domain(few)).reason
    assert len(ranges_by_domain(profiles_by_domain(few))) == 1


def test_real_cases_of_an_unseen_dataset_are_all_named_and_those_of_known_ones_hardly_ever(real_data):
    """Trained on hippocampus-a and -b: every case of -c, less than 5 % of the validation cases of the five folds."""
    found = {}
    for domain in ("hippocampus-a", "hippocampus-b", "hippocampus-c"):
        for path in sorted((real_data / domain).glob("sub-*/anat/*_T1w.nii.gz")):
            case = CaseFiles(f"{domain}_{path.name}", (path,), None, domain, f"{domain}/{path.parent.parent.name}")
            found[case] = profile_of(read_image(path))
    unseen = [found[case] for case in found if case.domain == "hippocampus-c"]
    known = {case.name: case for case in found if case.domain != "hippocampus-c"}
    assert (len(unseen), len(known)) == (12, 140)
    named = 0
    for fold in split_cases(list(known.values())):
        domains = [
            ranges_of([found[known[name]] for name in fold.train if known[name].domain == domain])
            for domain in ("hippocampus-a", "hippocampus-b")
        ]
        assert are_outside(unseen, domains).all()
        named += are_outside([found[known[name]] for name in fold.validation], domains).sum()
    assert named < 0.05 * len(known)
