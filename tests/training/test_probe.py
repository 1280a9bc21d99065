"""The probe measures real steps and picks the shortest."""

import pytest
import torch

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


@pytest.mark.parametrize(
    ("times_s", "chosen"),
    [
        ((0.3, 0.1, 0.2), 1),
        ((0.30, 0.16, 0.29), 0),
        ((0.1, 0.3, 0.2), 0),
        ((0.4, 0.38, 0.1), 2),
        ((0.04, 0.01, 0.01), 0),
    ],
)
def test_the_usual_way_is_left_for_a_clearly_shorter_step_alone(assignment, monkeypatch, times_s, chosen):
    ways = [Execution("cpu", "fp32", False), Execution("cpu", "fp32", True), Execution("cpu", "bf16", True)]
    monkeypatch.setattr(probe, "candidates", lambda device, precision: ways)
    monkeypatch.setattr(probe, "seconds_per_step", lambda a, way: times_s[ways.index(way)])
    assert probe.fastest_execution(assignment, "cpu") == ways[chosen]


def test_the_probe_of_a_large_patch_is_a_small_one(assignment):
    configuration = assignment.configuration.model_copy(update={"patch_size": (128, 160, 160), "batch_size": 3})
    small = probe._small(configuration)
    assert small.batch_size == min(3, max(2, torch.get_num_threads()))
    assert small.patch_size == (32, 40, 40)
