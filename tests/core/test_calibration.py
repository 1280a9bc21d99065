"""Held-out cases by certainty and Dice."""

import pytest

from autoseg.core.calibration import Calibration, pooled, read_calibration
from autoseg.core.errors import BadInput


def test_it_survives_json_and_folds_are_put_together():
    first = Calibration(labels={"core": ((0.9, 0.8), (0.7, 0.6))})
    second = Calibration(labels={"core": ((0.5, 0.4),), "shell": ((1.0, 0.0),)})
    assert read_calibration(first.model_dump_json(), "a") == first
    assert pooled([first, second]).labels == {"core": ((0.9, 0.8), (0.7, 0.6), (0.5, 0.4)), "shell": ((1.0, 0.0),)}
    assert pooled([]).labels == {}


@pytest.mark.parametrize("text", ["{", '{"labels": {"core": [[0.9, 1.2]]}}', '{"labels": {"core": [[0.9]]}}'])
def test_what_is_none_is_a_sentence(text):
    with pytest.raises(BadInput, match=r"fold0/calibration\.json: is no valid calibration \(.*restore it, or remove"):
        read_calibration(text, "fold0/calibration.json")
