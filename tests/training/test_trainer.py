"""The loop: it learns, it can be stopped at any step, and a resumed run ends in the same bits."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file

from autoseg.core.labels import Labels
from autoseg.runtime.devices import Execution
from autoseg.training import trainer
from autoseg.training.schedule import Clock
from autoseg.training.trainer import Assignment, train

CPU = Execution("cpu", "fp32", channels_last=False)


@pytest.fixture
def assignment(tiny_cases, tiny_configuration, tmp_path):
    labels = Labels(values={"shell": 1, "core": 2})
    return Assignment(tiny_configuration, labels, 1, tiny_cases[:4], tiny_cases[4:], tmp_path)


def run(assignment, execution=CPU):
    assignment.folder.mkdir(exist_ok=True)
    return train(assignment, execution, Clock(assignment.configuration.training))


def test_a_finished_training_leaves_weights_and_curves_and_no_state(assignment):
    assert run(assignment)
    names = {path.name for path in assignment.folder.iterdir() if not path.name.startswith("events")}
    assert names == {"final.safetensors", "best.safetensors", "progress.jsonl"}
    lines = [json.loads(line) for line in (assignment.folder / "progress.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(0, 4), (1, 8), (2, 12)]
    assert set(lines[0]["patch_dice"]) == {"shell", "core"}


@pytest.mark.parametrize("stop_after", [1, 4, 6])
def test_a_stopped_and_resumed_training_ends_in_the_same_bits(assignment, monkeypatch, stop_after):
    whole = replace(assignment, folder=assignment.folder / "whole")
    parts = replace(assignment, folder=assignment.folder / "parts")
    assert run(whole)
    original, steps = trainer.training_step, []

    def counted(*arguments):
        steps.append(1)
        return original(*arguments)

    class Stopping:
        def __enter__(self):
            return lambda: len(steps) == stop_after

        def __exit__(self, *_):
            return None

    monkeypatch.setattr(trainer, "training_step", counted)
    monkeypatch.setattr(trainer, "stop_requests", Stopping)
    assert not run(parts)
    assert (parts.folder / "state.safetensors").is_file()
    assert not (parts.folder / "final.safetensors").exists()
    steps.append(1)
    assert run(parts)
    for name in ("final.safetensors", "best.safetensors"):
        expected, resumed = load_file(whole.folder / name), load_file(parts.folder / name)
        assert all(torch.equal(expected[key], resumed[key]) for key in expected)
    lines = [
        [{k: v for k, v in json.loads(line).items() if k != "elapsed_s"} for line in (folder / "progress.jsonl").open()]
        for folder in (whole.folder, parts.folder)
    ]
    assert lines[0] == lines[1]


def test_it_learns_the_ball(assignment):
    spec = assignment.configuration.training.model_copy(
        update={"epochs": 6, "steps_per_epoch": 12, "initial_learning_rate": 0.05, "momentum": 0.9}
    )
    longer = assignment.configuration.model_copy(update={"training": spec})
    assert run(replace(assignment, configuration=longer))
    last = json.loads((assignment.folder / "progress.jsonl").read_text().splitlines()[-1])
    assert last["mean_patch_dice"] > 0.6


def test_channels_last_ends_in_the_same_weights_up_to_rounding(assignment):
    plain = replace(assignment, folder=assignment.folder / "plain")
    last = replace(assignment, folder=assignment.folder / "last")
    assert run(plain)
    assert run(last, Execution("cpu", "fp32", channels_last=True))
    expected, other = (load_file(one.folder / "final.safetensors") for one in (plain, last))
    for key in expected:
        torch.testing.assert_close(expected[key], other[key], rtol=1e-2, atol=1e-3)


def test_a_time_budget_ends_the_training_on_time(assignment):
    spec = assignment.configuration.training.model_copy(update={"time_budget_s": 1.0})
    short = assignment.configuration.model_copy(update={"training": spec})
    clock = Clock(spec)
    assert train(replace(assignment, configuration=short), CPU, clock)
    last = json.loads((assignment.folder / "progress.jsonl").read_text().splitlines()[-1])
    assert last["learning_rate"] < 0.1 * spec.initial_learning_rate
    assert clock.fraction(0) == 1.0


def test_bf16_ends_near_fp32(assignment):
    """Emulated where the processor lacks it; that it is not chosen there is the probe's business."""
    results = {}
    for precision in ("fp32", "bf16"):
        one = replace(assignment, folder=assignment.folder / precision)
        assert run(one, Execution("cpu", precision, channels_last=True))
        results[precision] = load_file(one.folder / "final.safetensors")
    moved = [float((results["bf16"][key] - value).abs().max()) for key, value in results["fp32"].items()]
    assert 0 < max(moved) < 0.1
    assert all(value.dtype == torch.float32 for value in results["bf16"].values())
