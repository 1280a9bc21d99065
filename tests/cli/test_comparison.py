"""compare as a command."""

import json

import pytest

from autoseg.cli.comparison import named_paths
from autoseg.core.errors import BadInput
from tests.pipeline.test_comparison import evaluations  # noqa: F401


def test_compare(autoseg, capsys, evaluations, tmp_path):  # noqa: F811
    methods = [f"{name}={path}" for name, path in evaluations.items()]
    output = tmp_path / "comparison"
    assert autoseg("compare", *methods, "-o", output) == 0
    shown = capsys.readouterr().out
    assert "Dice: mean ± standard deviation of 4 cases" in shown
    assert "***" in shown
    assert (output / "dice_labels.png").is_file()
    assert autoseg("compare", *methods, "-o", output, "--score", "recall", "--baseline", "bad", "--json") == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["score"], result["baseline"]) == ("recall", "bad")
    assert result == json.loads((output / "comparison.json").read_text(encoding="utf-8"))


def test_mistakes_are_sentences(autoseg, capsys, evaluations, tmp_path):  # noqa: F811
    good = f"good={evaluations['good']}"
    for methods, sentence in (
        ((good,), "two methods or more"),
        ((good, good), "two methods are called 'good'"),
        ((good, "bad"), "'bad' is not NAME=EVALUATION"),
        ((good, "bad=nowhere"), "nowhere: there is no such file"),
        ((good, f"bad={evaluations['bad']}", "--baseline", "ugly"), "baseline 'ugly' is none of the methods"),
        ((good, f"bad={evaluations['bad']}", "--score", "hd"), "has no score 'hd'"),
    ):
        assert autoseg("compare", *methods, "-o", tmp_path / "out") == 2
        error = capsys.readouterr().err
        assert sentence in error
        assert error.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_path_may_have_an_equals_sign():
    assert {name: str(path) for name, path in named_paths(["a=b=c"]).items()} == {"a": "b=c"}
    with pytest.raises(BadInput, match="is not NAME=EVALUATION"):
        named_paths(["=b"])
