"""The document of a study."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.study import read_study

SITES = {"name": "Sites", "datasets": ["a", "b"]}


def test_what_is_left_out_has_a_value():
    spec = read_study(json.dumps(SITES), "study.json")
    assert (spec.unseen, spec.configuration, spec.balance, spec.seed) == ((), None, "cases", 0)
    assert spec.metrics == ("dice", "volume_error_percent", "hd95_mm")


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"datasets": ["a"]}, "datasets: Tuple should have at least 2 items"),
        ({"name": "../up"}, "name: String should match pattern"),
        ({"unseen": ["b"]}, "datasets: b is named twice"),
        ({"epochs": 3, "time_budget": "6m"}, "epochs: exclude a time_budget"),
        ({"balance": "sites"}, "balance: Input should be 'cases' or 'domains'"),
        ({"folds": 5}, "folds: Extra inputs are not permitted"),
    ],
)
def test_every_mistake_is_named(changes, sentence):
    with pytest.raises(BadInput, match=r"study.json: is no valid study \(") as error:
        read_study(json.dumps(SITES | changes), "study.json")
    assert sentence in str(error.value)


def test_a_document_that_is_no_json_is_refused():
    with pytest.raises(BadInput, match="Invalid JSON"):
        read_study("{", "study.json")
