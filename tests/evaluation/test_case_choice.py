"""The worst, middle and best cases by mean Dice, worked out by hand."""

import pytest

from autoseg.evaluation.case_choice import choose_cases


def rows(*dice):
    return [{"case": f"c{place}", "domain": "d", "labels": {"a": {"dice": value}}} for place, value in enumerate(dice)]


def names(cases):
    return [case.case for case in cases]


def test_of_seven_cases():
    choice = choose_cases(rows(0.5, 0.9, 0.1, 0.7, 0.6, 0.2, 0.8), 2)  # c2 c5 c0 c4 c3 c6 c1
    assert names(choice.worst) == ["c2", "c5"]
    assert names(choice.median) == ["c0", "c4"]
    assert names(choice.best) == ["c1", "c6"]
    one = choose_cases(rows(0.5, 0.9, 0.1, 0.7, 0.6, 0.2, 0.8), 1)
    assert (names(one.worst), names(one.median), names(one.best)) == (["c2"], ["c4"], ["c1"])


def test_mean_over_labels_that_have_a_dice():
    cases = [
        {"case": "x", "domain": "d", "labels": {"a": {"dice": 0.4}, "b": {"dice": None}}},
        {"case": "y", "domain": "e", "labels": {"a": {"dice": 0.9}, "b": {"dice": 0.1}}},
        {"case": "absent", "domain": "e", "labels": {"a": {"dice": None}}},
    ]
    choice = choose_cases(cases, 3)
    assert names(choice.worst) == ["x", "y"]
    assert choice.worst[1].mean_dice == pytest.approx(0.5)
    assert choice.worst[1].domain == "e"
    assert (choice.median, choice.best) == ((), ())


def test_of_equal_cases_the_first_is_the_worst():
    choice = choose_cases(rows(0.5, 0.5, 0.5, 0.5, 0.5), 1)
    assert (names(choice.worst), names(choice.median), names(choice.best)) == (["c0"], ["c2"], ["c4"])


@pytest.mark.parametrize(
    ("number", "found"), [(0, (0, 0, 0)), (1, (1, 0, 0)), (2, (1, 0, 1)), (3, (1, 1, 1)), (9, (1, 1, 1))]
)
def test_few_cases_are_shown_once(number, found):
    choice = choose_cases(rows(*[place / 10 for place in range(number)]), 1)
    assert (len(choice.worst), len(choice.median), len(choice.best)) == found
    every = choose_cases(rows(*[place / 10 for place in range(number)]), 4)
    all_of_them = names(every.worst + every.median + every.best)
    assert sorted(all_of_them) == sorted(set(all_of_them))
    assert len(all_of_them) == min(number, 12)
