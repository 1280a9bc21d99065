"""What a training leaves beside its weights, and takes up again."""

import pytest

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.io.files import write_json
from autoseg.pipeline.runs import SPLIT_FILE, recorded_split, within_domains
from autoseg.planning.folds import Fold


def test_the_split_is_read_back(tmp_path):
    assert recorded_split(tmp_path) is None
    write_json(tmp_path / SPLIT_FILE, {"train": ["a"], "val": ["b"]})
    assert recorded_split(tmp_path) == Fold(("a",), ("b",))
    write_json(tmp_path / SPLIT_FILE, {"train": ["a"], "val": ["b"], "test": ["c"]})
    assert recorded_split(tmp_path) == Fold(("a",), ("b",), ("c",))


def test_a_configuration_of_one_domain_is_scored_on_all_of_them(tiny_configuration):
    cases = [CaseFiles(name, (), None, name[0], name) for name in ("a1", "a2", "a3", "b1", "b2", "b3")]
    fold = Fold(("a1", "b1", "b2"), ("a2", "b3"))
    assert within_domains(fold, cases, tiny_configuration) is fold
    of_b = tiny_configuration.model_copy(update={"train_domains": ("b",)})
    assert within_domains(fold, cases, of_b) == Fold(("b1", "b2"), ("b3",), ("a2", "b3"))
    assert within_domains(Fold(("b1",), ("b2",), ("a3",)), cases, of_b) == Fold(("b1",), ("b2",), ("a3",))
    assert within_domains(Fold(("a1", "b1"), ()), cases, of_b) == Fold(("b1",), ())
    with pytest.raises(BadInput, match="no training case of the fold is of b"):
        within_domains(Fold(("a1",), ("b1",)), cases, of_b)


@pytest.mark.parametrize("document", [[], {"train": ["a"]}])
def test_a_damaged_split_is_named(tmp_path, document):
    write_json(tmp_path / SPLIT_FILE, document)
    with pytest.raises(BadInput, match=r"split.json: does not list train and val cases"):
        recorded_split(tmp_path)
