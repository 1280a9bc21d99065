"""The loop: it learns, it can be stopped at any step, and a resumed run ends in the same bits."""

import json
import signal
from dataclasses import replace
from types import GeneratorType

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from autoseg.core.labels import Labels
from autoseg.runtime.devices import Execution
from autoseg.training import trainer
from autoseg.training.schedule import Clock
from autoseg.training.trainer import Assignment, train
from autoseg.training.validation import Sample, Validation

CPU = Execution("cpu", "fp32", channels_last=False)


@pytest.fixture
def assignment(tiny_cases, tiny_configuration, tmp_path):
    labels = Labels(values={"shell": 1, "core": 2})
    return Assignment(tiny_configuration, labels, 1, tiny_cases[:4], tiny_cases[4:], tmp_path)


def run(assignment, execution=CPU):
    assignment.folder.mkdir(exist_ok=True)
    train(assignment, execution, Clock(assignment.configuration.training))


def test_a_finished_training_leaves_weights_and_curves_and_no_state(assignment):
    run(assignment)
    names = {path.name for path in assignment.folder.iterdir() if not path.name.startswith("events")}
    assert names == {"final.safetensors", "best.safetensors", "progress.jsonl"}
    lines = [json.loads(line) for line in (assignment.folder / "progress.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["step"]) for line in lines] == [(0, 4), (1, 8), (2, 12)]
    assert set(lines[0]["patch_dice"]) == {"shell", "core"}


def run_in_two_parts(assignment, monkeypatch, stop_after):
    """Stopped before the step after ``stop_after``, then resumed."""
    original, steps = trainer.training_step, []

    def counted(*arguments):
        steps.append(1)
        if len(steps) == stop_after:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(trainer, "training_step", counted)
    with pytest.raises(KeyboardInterrupt):
        run(assignment)
    assert (assignment.folder / "state.safetensors").is_file()
    assert not (assignment.folder / "final.safetensors").exists()
    run(assignment)


def weights(assignment, name="final"):
    return load_file(assignment.folder / f"{name}.safetensors")


def epochs(assignment):
    """The lines of progress.jsonl, without what differs from run to run."""
    lines = (assignment.folder / "progress.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key != "elapsed_s"} for line in lines]


def same_bits(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize("stop_after", [1, 4, 6])
def test_a_stopped_and_resumed_training_ends_in_the_same_bits(assignment, monkeypatch, stop_after):
    whole = replace(assignment, folder=assignment.folder / "whole")
    parts = replace(assignment, folder=assignment.folder / "parts")
    run(whole)
    run_in_two_parts(parts, monkeypatch, stop_after)
    for name in ("final", "best"):
        assert same_bits(weights(whole, name), weights(parts, name))
    assert epochs(whole) == epochs(parts)


def changed(assignment, folder, **training):
    """Another folder and other training settings."""
    spec = assignment.configuration.training.model_copy(update=training)
    configuration = assignment.configuration.model_copy(update={"training": spec})
    return replace(assignment, configuration=configuration, folder=assignment.folder / folder)


def test_equal_seeds_end_in_equal_bits_whatever_ran_before(assignment):
    ended = []
    for number, seed in enumerate((3, 3, 4)):
        one = changed(assignment, str(number), seed=seed, epochs=1)
        torch.manual_seed(number)
        run(one)
        ended.append(weights(one))
    assert same_bits(ended[0], ended[1])
    kernels = [name for name in ended[0] if ended[0][name].ndim > 2]
    assert not any(torch.equal(ended[0][name], ended[2][name]) for name in kernels)


def test_the_seed_decides_the_patches_too(assignment):
    run(changed(assignment, "model", epochs=1))
    given = weights(replace(assignment, folder=assignment.folder / "model"))
    losses = []
    for seed in (3, 4):
        one = replace(changed(assignment, str(seed), seed=seed, epochs=1), initial_weights=given)
        run(one)
        losses.append(epochs(one)[0]["loss"])
    assert losses[0] != losses[1]


def test_a_training_begins_with_the_weights_that_it_is_given(assignment, monkeypatch):
    """All of them; a resumed one begins with its own."""
    run(replace(assignment, folder=assignment.folder / "model"))
    given = weights(replace(assignment, folder=assignment.folder / "model"))
    started = []
    original = trainer.training_step

    def watched(network, *arguments):
        started.append({name: tensor.clone() for name, tensor in network.state_dict().items()})
        return original(network, *arguments)

    whole = replace(assignment, folder=assignment.folder / "whole", initial_weights=given)
    parts = replace(whole, folder=assignment.folder / "parts")
    with monkeypatch.context() as patch:
        patch.setattr(trainer, "training_step", watched)
        run(whole)
    assert same_bits(given, started[0])
    run_in_two_parts(parts, monkeypatch, stop_after=6)
    assert same_bits(weights(whole), weights(parts))


SCRIPTED_DICE = [0.5, 0.6, 0.9] + [0.2] * 20  # smoothed, the third is the best
PATIENT = {"epochs": 20, "steps_per_epoch": 1, "patience_epochs": 10}


def scripted(monkeypatch):
    """Validations that find SCRIPTED_DICE for both labels, epoch by epoch."""
    remaining, original = iter(SCRIPTED_DICE), trainer.validate

    def validate(network, batches, *_):
        if not isinstance(batches, GeneratorType):  # the last training batch, for TensorBoard
            return original(network, batches, *_)
        hits = round(1000 * next(remaining))
        counts = torch.tensor([[hits] * 2, [1000 - hits] * 2, [1000 - hits] * 2, [0] * 2])
        sample = Sample(torch.zeros(1, 16, 16, 16), torch.zeros(3, 16, 16, 16), torch.zeros(16, 16, 16))
        return Validation(counts, 1 - hits / 1000, sample)

    monkeypatch.setattr(trainer, "validate", validate)


def test_a_plateau_lets_the_rate_fall_to_0_and_ends_the_training(assignment, monkeypatch, capsys):
    """Best in epoch 3, patience of 10: plateau after 13, and 2 more."""
    scripted(monkeypatch)
    monkeypatch.setattr(trainer, "training_step", lambda *_: 0.5)
    one = changed(assignment, "early", **PATIENT)
    run(one)
    rates = [epoch["learning_rate"] for epoch in epochs(one)]
    planned = [0.01 * (1 - epoch / 20) ** 0.9 for epoch in range(14)]
    assert rates == pytest.approx([*planned, planned[13] * 0.5**0.9])
    assert "no better validation Dice for 10 epochs" in capsys.readouterr().err


def test_without_patience_a_plateau_changes_nothing(assignment, monkeypatch):
    scripted(monkeypatch)
    monkeypatch.setattr(trainer, "training_step", lambda *_: 0.5)
    one = changed(assignment, "patient", **PATIENT | {"patience_epochs": None})
    run(one)
    assert len(epochs(one)) == 20


@pytest.mark.parametrize("stop_after", [9, 14])
def test_a_training_resumed_before_or_in_its_early_end_ends_in_the_same_bits(assignment, monkeypatch, stop_after):
    whole, parts = (changed(assignment, folder, **PATIENT) for folder in ("whole", "parts"))
    scripted(monkeypatch)
    run(whole)
    scripted(monkeypatch)
    run_in_two_parts(parts, monkeypatch, stop_after)
    assert same_bits(weights(whole), weights(parts))
    assert epochs(whole) == epochs(parts)
    assert len(epochs(whole)) == 15


def test_the_training_ends_at_the_loss_that_the_plan_stops_at(assignment, monkeypatch, capsys):
    losses = iter([0.9, 0.7, 0.5, 0.3, 0.2, 0.1])
    scripted(monkeypatch)
    monkeypatch.setattr(trainer, "training_step", lambda *_: next(losses))
    one = changed(assignment, "stopped", epochs=20, steps_per_epoch=2, stop_at_loss=0.4)
    run(one)
    assert [epoch["loss"] for epoch in epochs(one)] == pytest.approx([0.8, 0.4])
    assert "has reached 0.4" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("best_by", "best", "best_epochs"),
    [("dice", "best_dice", [0, 1, 2, 2]), ("loss", "best_loss", [0, 1, 2, 2]), ("smoothed_dice", None, [0, 1, 2, 2])],
)
def test_the_best_weights_are_chosen_as_the_plan_says(assignment, monkeypatch, best_by, best, best_epochs):
    scripted(monkeypatch)
    monkeypatch.setattr(trainer, "training_step", lambda *_: 0.5)
    one = changed(assignment, best_by, epochs=4, steps_per_epoch=1, best_by=best_by)
    run(one)
    lines = epochs(one)
    assert [line["best_epoch"] for line in lines] == best_epochs
    expected = {"dice": 0.9, "loss": 0.1, "smoothed_dice": 0.9 * (0.9 * 0.5 + 0.1 * 0.6) + 0.1 * 0.9}[best_by]
    assert lines[-1][best or "best_smoothed_dice"] == pytest.approx(expected)


class Dropping(nn.Module):
    """Everything that a part of a batch, a thread or an interruption could upset; one output."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv3d(1, 6, 3, padding=1), nn.BatchNorm3d(6), nn.ReLU(), nn.Dropout3d(0.3), nn.Conv3d(6, 3, 1)
        )

    def forward(self, x):
        return self.layers(x)


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_batch_norms_and_dropout_survive_an_interruption_too(assignment, monkeypatch, optimizer):
    monkeypatch.setattr(trainer, "build_planned", lambda *_: Dropping())
    recipe = {"optimizer": optimizer, "initial_learning_rate": 1e-3, "loss": "pooled_dice", "gradient_clip": None}
    whole, parts, other = (changed(assignment, folder, **recipe) for folder in ("whole", "parts", "other"))
    run(whole)
    run_in_two_parts(parts, monkeypatch, stop_after=6)
    assert same_bits(weights(whole), weights(parts))
    assert weights(whole)["layers.1.running_mean"].any()
    monkeypatch.setattr(trainer, "drawing_seed", lambda seed, step: 1 + step)
    run(other)
    assert not same_bits(weights(whole), weights(other))


def test_it_learns_the_ball(assignment):
    spec = assignment.configuration.training.model_copy(
        update={"epochs": 6, "steps_per_epoch": 12, "initial_learning_rate": 0.05, "momentum": 0.9}
    )
    longer = assignment.configuration.model_copy(update={"training": spec})
    run(replace(assignment, configuration=longer))
    last = json.loads((assignment.folder / "progress.jsonl").read_text().splitlines()[-1])
    assert last["mean_patch_dice"] > 0.6


def test_channels_last_ends_in_the_same_weights_up_to_rounding(assignment):
    plain = replace(assignment, folder=assignment.folder / "plain")
    last = replace(assignment, folder=assignment.folder / "last")
    run(plain)
    run(last, Execution("cpu", "fp32", channels_last=True))
    expected, other = (load_file(one.folder / "final.safetensors") for one in (plain, last))
    for key in expected:
        torch.testing.assert_close(expected[key], other[key], rtol=1e-2, atol=1e-3)


def test_a_time_budget_ends_the_training_on_time(assignment):
    spec = assignment.configuration.training.model_copy(update={"time_budget_s": 1.0})
    short = assignment.configuration.model_copy(update={"training": spec})
    clock = Clock(spec)
    train(replace(assignment, configuration=short), CPU, clock)
    last = json.loads((assignment.folder / "progress.jsonl").read_text().splitlines()[-1])
    assert last["learning_rate"] < 0.1 * spec.initial_learning_rate
    assert clock.fraction(0) == 1.0


def test_bf16_ends_near_fp32(assignment):
    """Emulated where the processor lacks it; that it is not chosen there is the probe's business."""
    results = {}
    for precision in ("fp32", "bf16"):
        one = replace(assignment, folder=assignment.folder / precision)
        run(one, Execution("cpu", precision, channels_last=True))
        results[precision] = load_file(one.folder / "final.safetensors")
    moved = [float((results["bf16"][key] - value).abs().max()) for key, value in results["fp32"].items()]
    assert 0 < max(moved) < 0.1
    assert all(value.dtype == torch.float32 for value in results["bf16"].values())


def test_fp16_with_a_loss_scale(assignment):
    """The first scales are too large: those steps are left out, and the scale is halved."""
    one = changed(assignment, "fp16", epochs=4, steps_per_epoch=8)
    run(one, Execution("cpu", "fp16", channels_last=False))
    assert all(value.dtype == torch.float32 for value in weights(one).values())
    losses = [epoch["loss"] for epoch in epochs(one)]
    assert losses[-1] < losses[0]


def test_all_in_half_precision(assignment):
    """Weights and all: a step of an optimiser without squares still fits into float16."""
    one = changed(assignment, "half", epochs=1)
    run(one, Execution("cpu", "half", channels_last=False))
    assert all(value.dtype == torch.float16 for value in weights(one).values())
