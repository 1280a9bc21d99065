"""What is concluded from scores that are made up, and whether its numbers are those of the scores."""

import pytest

from autoseg.evaluation.study import StudyModel, TestSet, make_matrix
from autoseg.reporting.study_conclusion import conclusion

MODELS = [
    StudyModel("only_a", "specific", ("a",)),
    StudyModel("only_b", "specific", ("b",)),
    StudyModel("general", "general", ("a", "b")),
    StudyModel("general_balanced", "balanced", ("a", "b")),
    StudyModel("without_a", "left_out", ("b", "z")),
]
TESTS = [
    TestSet(name, name == "c", {f"{name}{number}": f"{name}/{number}" for number in range(8)}) for name in ("a", "c")
]
# the mean Dice of each model on the two test sets
DICE = {
    "only_a": (0.90, 0.40),
    "only_b": (0.50, 0.60),
    "general": (0.89, 0.80),
    "general_balanced": (0.88, 0.81),
    "without_a": (0.55, 0.79),
}


def matrix_of(dice):
    """Every case a little off the mean, otherwise for each model, by numbers that sum to zero."""
    found = {}
    for place, (model, means) in enumerate(dice.items()):
        for mean, test in zip(means, TESTS, strict=True):
            off = [0.001 * ((number * (place + 1)) % 8 - 3.5) for number in range(8)]
            found[model, test.name] = {
                case: {"cord": {"dice": mean + one - sum(off) / 8}}
                for case, one in zip(test.subjects, off, strict=True)
            }
    return make_matrix([model for model in MODELS if model.name in dice], TESTS, found, ("dice",))


def test_every_finding_has_its_numbers():
    sentences = conclusion(matrix_of(DICE))
    assert sentences[0] == (
        "By Dice, the general model is at least as good as the best specific one on 1 of 1 unseen dataset "
        "(significantly better on 1, significantly worse on 0)."
    )
    assert sentences[1] == (
        "By Dice, the general model is at least as good as the specific one of the dataset on 0 of 1 training dataset "
        "(significantly better on 0, significantly worse on 1)."
    )
    assert sentences[2].startswith(
        "On c (8 cases), which no model has seen, the general model has Dice 0.800 and the best specific one, only_b, "
        "0.600: general - only_b = +0.200 (95 % interval +0."
    )
    assert sentences[2].endswith(
        "a significant difference (Holm-corrected p < 0.001). The other specific models: only_a 0.400."
    )
    assert (
        "On the test cases of a (8 cases), the general model has Dice 0.890 and only_a 0.900: general" in sentences[3]
    )
    assert "general - only_a = -0.010 (95 % interval -0.0" in sentences[3]
    assert sentences[4] == "only_a has Dice 0.900 on a, its own dataset; away from it 0.400 on c."
    assert sentences[5].startswith(
        "Showing each dataset equally often changes the Dice of the general model by -0.010 on a (Holm-corrected p"
    )
    assert sentences[6].startswith(
        "Trained without a, a general model has Dice 0.550 on its test cases, and with it 0.890: "
        "general - without_a = +0.340"
    )
    assert len(sentences) == 7


def test_an_interval_of_the_difference_is_turned_round_with_it():
    """The difference general - specific lies in its interval, which is ascending."""
    matrix = matrix_of(DICE)
    against = matrix.cell("dice", "only_a", "a").against
    assert against.interval.low < against.difference < against.interval.high
    sentence = conclusion(matrix)[3]
    low, high = sentence.partition("95 % interval ")[2].partition(")")[0].split(" to ")
    assert (float(low), float(high)) == pytest.approx((-against.interval.high, -against.interval.low), abs=5e-4)
    assert float(low) <= -0.01 <= float(high)


def test_what_does_not_differ_proves_nothing():
    same = dict.fromkeys(("only_a", "only_b", "general"), (0.8, 0.8))
    for sentence in conclusion(matrix_of(same))[:2]:
        assert "significantly better on 0, significantly worse on 0" in sentence
    lower = conclusion(matrix_of({**same, "general": (0.8, 0.7)}))
    assert "on 0 of 1 unseen dataset (significantly better on 0, significantly worse on 1)" in lower[0]
