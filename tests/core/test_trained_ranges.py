"""Where a case is unlike every domain, in words with numbers."""

from dataclasses import replace

import pytest

from autoseg.core.trained_ranges import CaseProfile, DomainRanges, Span, numbers, outside, spans

CASE = CaseProfile("RAS", (1.0, 1.0, 1.0), (180.0, 220.0, 180.0), ((60.0, 500.0, 900.0),))


def span(smallest, largest, margin=0.1):
    return Span(smallest=smallest, largest=largest, low=smallest * (1 - margin), high=largest * (1 + margin))


def domain(factor=1.0, orientations=("RAS",), channels=1):
    return DomainRanges(
        num_cases=9,
        orientations=orientations,
        spacing_mm=(span(1, 1),) * 3,
        field_of_view_mm=(span(160, 200), span(200, 240), span(150, 190)),
        intensities=tuple(
            tuple(span(factor * low, factor * 2 * low) for low in (50, 400, 700)) for _ in range(channels)
        ),
    )


SITES = {"site-a": domain(), "site-b": domain(0.01)}


def sentences(case, domains=SITES, channels=("T1w",), **options):
    return [str(finding) for finding in outside(case, domains, channels, **options)]


def test_numbers_and_spans_are_in_one_order():
    found = zip(numbers(CASE), spans(domain()), strict=True)
    assert all(one.low <= number <= one.high for number, one in found)
    assert len(numbers(CASE)) == 9


def test_a_case_like_one_domain_is_like_the_training():
    assert sentences(CASE) == []
    assert sentences(replace(CASE, intensities=((0.6, 5.0, 9.0),))) == []
    assert sentences(replace(CASE, orientation="LPI"), {}) == []


def test_each_quantity_has_its_range_and_its_domains():
    far = CaseProfile("LPI", (1.0, 1.0, 5.0), (180.0, 90.0, 180.0), ((3e4, 3.1e5, 5e5),))
    assert sentences(far, turned=False) == [
        "orientation LPI, trained on RAS (site-a), RAS (site-b)",
        "down-up spacing (mm) 5, trained on 1 (site-a), 1 (site-b)",
        "back-front field of view (mm) 90, trained on 200 to 240 (site-a), 200 to 240 (site-b)",
        "median intensity 3.1e+05, trained on 400 to 800 (site-a), 4 to 8 (site-b)",
    ]


def test_what_does_no_harm_says_so():
    far = replace(CASE, orientation="LPI", intensities=((3e4, 3.1e5, 5e5),))
    orientation, intensity = outside(far, SITES, ["T1w"], scaled_alone=["T1w"])
    assert orientation.harmless == "images are turned to one orientation"
    assert str(intensity).endswith("(each image is scaled by itself, so another scale alone does no harm)")
    assert not any(finding.harmless for finding in outside(far, SITES, ["T1w"], turned=False))


def test_another_quantile_is_named_where_the_median_is_as_usual():
    assert sentences(replace(CASE, intensities=((60.0, 500.0, 9000.0),))) == [
        "95th percentile of the intensity 9e+03, trained on 700 to 1.4e+03 (site-a), 7 to 14 (site-b)"
    ]


def test_channels_are_named_where_there_are_several():
    case = replace(CASE, intensities=((60.0, 500.0, 900.0), (60.0, 5e4, 9e4)))
    (sentence,) = sentences(case, {"site": domain(channels=2)}, ("FLAIR", "T1w"))
    assert sentence == "median intensity of T1w 5e+04, trained on 400 to 800 (site)"


def test_channels_in_another_order_are_named_so():
    one, other = (60.0, 500.0, 900.0), (0.6, 5.0, 9.0)
    pair = {"site": domain().model_copy(update={"intensities": domain().intensities + domain(0.01).intensities})}
    channels = ("T1w", "T2w")
    assert sentences(replace(CASE, intensities=(one, other)), pair, channels) == []
    (found,) = outside(replace(CASE, intensities=(other, one)), pair, channels, scaled_alone=channels)
    assert str(found) == "order of channels T2w, T1w by their intensities, trained on T1w, T2w"
    assert not found.harmless
    (found,) = outside(replace(CASE, intensities=(one, (6e4, 5e5, 9e5))), pair, channels)
    assert found.quantity == "median intensity of T2w"
    alike = {"site": domain(channels=2)}
    assert sentences(replace(CASE, intensities=(one, one)), alike, channels) == []


def test_three_channels_turned_round_are_named_in_the_order_that_they_have():
    sizes = (1.0, 0.01, 100.0)
    parts = tuple(domain(factor).intensities[0] for factor in sizes)
    site = {"site": domain().model_copy(update={"intensities": parts})}
    given = tuple(tuple(factor * value for value in (60.0, 500.0, 900.0)) for factor in (100.0, 1.0, 0.01))
    (found,) = outside(replace(CASE, intensities=given), site, ("a", "b", "c"))
    assert found.value == "c, a, b by their intensities"


def test_the_nearest_of_many_domains_are_named():
    many = {f"site-{number}": domain(10.0**number) for number in range(5)}
    (sentence,) = sentences(replace(CASE, intensities=((6e5, 9.5e6, 1.2e7),)), many)
    assert sentence == (
        "median intensity 9.5e+06, trained on 4e+06 to 8e+06 (site-4), 4e+05 to 8e+05 (site-3), "
        "4e+04 to 8e+04 (site-2) and 2 more"
    )


@pytest.mark.parametrize(("value", "inside"), [(359, False), (361, True), (879, True), (881, False)])
def test_the_margin_is_inside(value, inside):
    case = replace(CASE, intensities=((60.0, value, 900.0),))
    assert (sentences(case, {"site-a": domain()}) == []) == inside
