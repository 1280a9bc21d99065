"""Boxes, points and intervals are those of the scores; many labels stay legible."""

import numpy as np
import pytest

from autoseg.evaluation.case_choice import score_of
from autoseg.evaluation.statistics import bootstrap_mean
from autoseg.reporting.score_plots import FAR, LABELS_SHOWN, draw_by_domain, draw_by_label
from tests.reporting.figure_texts import assert_texts_have_room


def cases_of(number, labels=("front", "back"), domains=("a",), seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "case": f"c{place}",
            "domain": domains[place % len(domains)],
            "labels": {name: {"dice": rng.uniform(0.5, 1), "hd95_mm": rng.uniform(1, 5)} for name in labels},
        }
        for place in range(number)
    ]  # fmt: skip


def points(axes):
    return [np.sort(collection.get_offsets()[:, 0]) for collection in axes.collections]


def intervals(axes):
    return [line.get_xdata() for line in axes.lines if line.get_linewidth() == 1.6 and len(set(line.get_ydata())) == 1]


def diamonds(axes):
    return [float(line.get_xdata()[0]) for line in axes.lines if line.get_marker() == "D"]


def test_points_means_and_intervals_of_each_label():
    cases = cases_of(9)
    figure = draw_by_label(cases)
    for axes, score in zip(figure.axes, ("dice", "hd95_mm"), strict=True):
        expected = [[score_of(case, score, label) for case in cases] for label in (None, "front", "back")]
        for drawn, values in zip(points(axes), expected, strict=True):
            np.testing.assert_allclose(drawn, np.sort(values))
        np.testing.assert_allclose(diamonds(axes), [np.mean(values) for values in expected])
        np.testing.assert_allclose(intervals(axes), [bootstrap_mean(values) for values in expected])
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == ["mean of labels", "front", "back"]


def test_boxes_are_quartiles():
    cases = [
        {"case": str(value), "domain": "a", "labels": {"core": {"dice": value}}} for value in (0.1, 0.2, 0.3, 0.4, 0.9)
    ]
    (axes,) = draw_by_label(cases, ("dice",)).axes
    (box,) = [patch.get_path().vertices for patch in axes.patches]
    assert (box[:, 0].min(), box[:, 0].max()) == pytest.approx((0.2, 0.4))


def test_subjects_are_drawn_together():
    cases = cases_of(12, ("core",))
    subjects = {case["case"]: f"s{place // 4}" for place, case in enumerate(cases)}
    (axes,) = draw_by_label(cases, ("dice",), subjects).axes
    values = [score_of(case, "dice", "core") for case in cases]
    np.testing.assert_allclose(intervals(axes), [bootstrap_mean(values, [0] * 4 + [1] * 4 + [2] * 4)])
    assert not np.allclose(intervals(axes), [bootstrap_mean(values)])


def test_undefined_scores_are_counted_out():
    cases = cases_of(5, ("core",))
    cases[0]["labels"]["core"]["hd95_mm"] = None
    del cases[1]["labels"]["core"]
    left, right = draw_by_label(cases).axes
    assert [text.get_text() for text in left.texts] == ["n = 4"]
    assert [text.get_text() for text in right.texts] == ["n = 3"]
    for case in cases:
        case["labels"] = {"core": {"dice": 0.0, "hd95_mm": None}}
    right = draw_by_label(cases).axes[1]
    assert "no case has one" in [text.get_text() for text in right.texts]


def test_of_many_labels_the_worst_are_shown():
    labels = [f"region {number}" for number in range(118)]
    cases = cases_of(3, labels)
    for place, label in enumerate(labels):
        for case in cases:
            case["labels"][label]["dice"] = 1 - place / 200
    figure = draw_by_label(cases)
    names = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert names == ["mean of labels", *reversed(labels[-LABELS_SHOWN:])]
    assert figure._supxlabel.get_text().startswith("The 20 of 118 labels with the worst mean Dice")
    longest = draw_by_label(cases, ("hd95_mm",))
    assert "worst mean HD95 (mm)" in longest._supxlabel.get_text()


def test_domains_side_by_side():
    cases = cases_of(10, domains=("east", "west"))
    left, _ = draw_by_domain(cases).axes
    expected = [
        [score_of(case, "dice", label) for case in cases if case["domain"] == domain]
        for label in (None, "front", "back")
        for domain in ("east", "west")
    ]
    for drawn, values in zip(points(left), expected, strict=True):
        np.testing.assert_allclose(drawn, np.sort(values))
    assert [text.get_text() for text in left.figure.legends[0].get_texts()] == ["east", "west"]


def test_far_distances_are_logarithmic():
    cases = cases_of(9, ("core",))
    assert draw_by_label(cases).axes[1].get_xscale() == "linear"
    cases[0]["labels"]["core"]["hd95_mm"] = 5 * FAR + 1
    assert draw_by_label(cases).axes[1].get_xscale() == "symlog"


@pytest.mark.parametrize(("number", "labels", "domains"), [(1, 1, 1), (3, 2, 3), (12, 30, 9)])
def test_texts_have_room(number, labels, domains):
    names = [f"left superior frontal gyrus of the brain {place}" for place in range(labels)]
    cases = cases_of(number, names, [f"hospital-{place}" for place in range(domains)])
    assert_texts_have_room(draw_by_label(cases))
    assert_texts_have_room(draw_by_domain(cases))
