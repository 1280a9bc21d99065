"""The probe measures real steps."""

import pytest

from autoseg.core.labels import Labels
from autoseg.runtime.devices import Execution
from autoseg.training import probe
from autoseg.training.trainer import Assignment


@pytest.fixture
def assignment(tiny_cases, tiny_configuration, tmp_path):
    return Assignment(tiny_configuration, Labels(values={"ball": 1}), 1, tiny_cases, tiny_cases, tmp_path)


def test_three_training_steps_are_run_and_nothing_is_written(assignment, monkeypatch):
    original, sizes = probe.training_step, []

    def spy(network, optimizer, scaler, batch, *rest):
        sizes.append(tuple(batch.image.shape))
        return original(network, optimizer, scaler, batch, *rest)

    monkeypatch.setattr(probe, "training_step", spy)
    assert probe.seconds_per_step(assignment, Execution("cpu", "fp32", False)) > 0
    assert sizes == [(2, 1, 16, 16, 16)] * 3
    assert not list(assignment.folder.iterdir())
