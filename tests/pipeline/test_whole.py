"""The whole path: what it does where the dataset is there already."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline import whole
from autoseg.pipeline.training import TrainingOptions
from autoseg.pipeline.trainings import Training
from autoseg.pipeline.whole import require_same_sources


def test_a_converted_dataset_is_not_converted_or_planned_again(workspace, tiny_bids, tiny_plan, monkeypatch):
    trained = []
    monkeypatch.setattr(whole, "write", None)
    monkeypatch.setattr(whole, "plan_dataset", None)
    monkeypatch.setattr(whole, "train_all", lambda trainings, _: trained.extend(trainings) or [{}])
    result = whole.run(workspace, [tiny_bids], "Tiny", TrainingOptions())
    assert trained == [Training(workspace, "Tiny", tiny_plan.recommended, "fold0")]
    assert result["configuration"] == tiny_plan.recommended


def test_a_dataset_is_continued_only_from_its_own_sources(workspace, tiny_bids, tmp_path):
    require_same_sources(workspace, "Tiny", [tiny_bids])
    with pytest.raises(BadInput, match="was converted from"):
        require_same_sources(workspace, "Tiny", [tiny_bids, tmp_path])
