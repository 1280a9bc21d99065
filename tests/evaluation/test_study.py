"""A matrix of three models and two test sets, against scipy and numbers by hand."""

from itertools import product

import numpy as np
import pytest
from scipy import stats

from autoseg.evaluation.statistics import bootstrap_mean, holm
from autoseg.evaluation.study import MEAN, StudyModel, TestSet, better, make_matrix, worst_cases

MODELS = (
    StudyModel("only_a", "specific", ("a",)),
    StudyModel("only_b", "specific", ("b",)),
    StudyModel("general", "general", ("a", "b")),
)
# the unseen set has two images of a person
TESTS = (
    TestSet("a", False, {f"a{number}": f"a/{number}" for number in range(6)}),
    TestSet("c", True, {f"c{number}": f"c/{number // 2}" for number in range(8)}),
)
LABELS = ("front", "back")


def scores(seed, cases):
    random = np.random.default_rng(seed)
    return {
        case: {label: {"dice": float(random.uniform(0.5, 0.9)), "hd95_mm": float(random.uniform(1, 5))}}
        | {other: {"dice": float(random.uniform(0.5, 0.9)), "hd95_mm": None}}
        for case in cases
        for label, other in [LABELS]
    }


FOUND = {
    (model.name, test.name): scores(10 * i + j, test.subjects)
    for (i, model), (j, test) in product(enumerate(MODELS), enumerate(TESTS))
}
FOUND["only_a", "c"]["c3"]["front"]["dice"] = None  # absent
del FOUND["only_b", "a"]["a5"]  # could not be segmented
MATRIX = make_matrix(MODELS, TESTS, FOUND, ("dice", "hd95_mm"))


def of_cases(model, test, score="dice"):
    cases = {}
    for case, labels in FOUND[model, test].items():
        values = [label[score] for label in labels.values() if label[score] is not None]
        if values:
            cases[case] = float(np.mean(values))
    return cases


def test_a_cell_is_the_mean_over_labels_then_over_cases():
    for model, test in product(("only_a", "only_b", "general"), ("a", "c")):
        cell, values = MATRIX.cell("dice", model, test), of_cases(model, test)
        assert dict(cell.values) == pytest.approx(values)
        assert cell.num_cases == len(values)
        assert (cell.mean, cell.sd) == pytest.approx(
            (np.mean(list(values.values())), np.std([*values.values()], ddof=1))
        )
        assert cell.seen == (model != "only_b" and test == "a")
    assert MATRIX.cell("dice", "only_b", "a").num_cases == 5
    assert MATRIX.cell("hd95_mm", "only_a", "a", "back").mean is None
    assert len(MATRIX.cells) == 2 * 3 * 2 * 3


def test_intervals_draw_subjects():
    values = list(of_cases("general", "c").values())
    cell = MATRIX.cell("dice", "general", "c")
    assert cell.num_subjects == 4
    assert cell.interval == pytest.approx(bootstrap_mean(values, [0, 0, 1, 1, 2, 2, 3, 3]))


def test_tests_pair_subjects_and_are_corrected_over_the_matrix():
    own, general = of_cases("only_b", "c"), of_cases("general", "c")
    differences = np.array([own[f"c{number}"] - general[f"c{number}"] for number in range(8)])
    against = MATRIX.cell("dice", "only_b", "c").against
    assert against.difference == pytest.approx(differences.mean())
    of_subjects = differences.reshape(4, 2).mean(axis=1)
    assert against.t.p == pytest.approx(stats.ttest_1samp(of_subjects, 0).pvalue, rel=1e-6)
    assert against.wilcoxon.p == pytest.approx(stats.wilcoxon(of_subjects).pvalue)
    assert against.num_pairs == 4
    cells = [MATRIX.cell("dice", model, test) for test in ("a", "c") for model in ("only_a", "only_b")]
    expected = holm([cell.against.t.p for cell in cells])
    assert [cell.against.t_p_holm for cell in cells] == pytest.approx(expected)
    assert MATRIX.cell("dice", "general", "c").against is None


def test_only_labels_that_both_have_are_compared():
    """Of c3, only_a has no front: its difference is that of back alone."""
    own, general = (FOUND[model, "c"] for model in ("only_a", "general"))
    differences = [
        np.mean(
            [
                own[case][label]["dice"] - general[case][label]["dice"]
                for label in LABELS
                if (case, label) != ("c3", "front")
            ]
        )
        for case in own
    ]
    assert MATRIX.cell("dice", "only_a", "c").against.difference == pytest.approx(np.mean(differences))
    front = MATRIX.cell("dice", "only_a", "c", "front").against
    assert (front.num_pairs, front.num_dropped) == (4, 1)
    assert MATRIX.cell("dice", "only_b", "a").against.num_dropped == 1


def test_the_worst_cases_are_those_of_the_general_model():
    values = of_cases("general", "c")
    worst = [one for one in worst_cases(MATRIX, "dice", 2) if one.test == "c"]
    assert [one.case for one in worst] == sorted(values, key=values.get)[:2]
    assert worst[0].values["only_a"] == pytest.approx(of_cases("only_a", "c")[worst[0].case])
    distances = of_cases("general", "a", "hd95_mm")
    assert worst_cases(MATRIX, "hd95_mm", 1)[0].case == max(distances, key=distances.get)


@pytest.mark.parametrize(
    ("score", "one", "other"), [("dice", 0.9, 0.8), ("hd95_mm", 1.0, 2.0), ("volume_error_percent", 3.0, -5.0)]
)
def test_which_score_is_better(score, one, other):
    assert better(score, one, other)
    assert not better(score, other, one)


def test_the_mean_label_is_first():
    assert MATRIX.cells[0].label == MEAN
