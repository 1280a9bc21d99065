"""What is frozen keeps its bits, through steps, validation and a continued training."""

import signal
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.training_spec import TrainingSpec
from autoseg.networks import build, build_planned
from autoseg.runtime.devices import Execution
from autoseg.training import checkpoint, trainer
from autoseg.training.frozen import freeze, frozen_names, require_given, set_to_train
from autoseg.training.optimizers import make_optimizer
from autoseg.training.schedule import Clock
from autoseg.training.trainer import Assignment, train

CPU = Execution("cpu", "fp32", channels_last=False)
COARSEST = "decoder.heads.0."  # has no share in the loss
LABELS = Labels(values={"shell": 1, "core": 2})


@pytest.fixture
def assignment(tiny_cases, tiny_configuration, tmp_path):
    """A training that begins with random weights and freezes the encoder."""
    training = tiny_configuration.training.model_copy(update={"frozen": ("encoder",), "weight_decay": 0.1})
    configuration = tiny_configuration.model_copy(update={"training": training})
    torch.manual_seed(9)
    weights = build_planned(configuration.network, 1, 3).state_dict()
    return Assignment(configuration, LABELS, 1, tiny_cases[:4], tiny_cases[4:], tmp_path, weights)


def run(assignment):
    train(assignment, CPU, Clock(assignment.configuration.training))


@pytest.mark.parametrize("threads", [1, 2])
def test_a_training_leaves_the_frozen_weights_bit_for_bit_and_moves_all_others(assignment, threads):
    """With two threads the samples of a batch take the way through ``backward_in_parts``."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        run(assignment)
    finally:
        torch.set_num_threads(before)
    for file in ("final.safetensors", "best.safetensors"):
        found = load_file(assignment.folder / file)
        same = {name for name, tensor in found.items() if torch.equal(tensor, assignment.initial_weights[name])}
        assert {name for name in same if not name.startswith(COARSEST)} == {
            name for name in found if name.startswith("encoder.")
        }


def test_an_interrupted_training_has_no_state_of_them_and_continues_alike(assignment, monkeypatch, tmp_path):
    steps, original = [], trainer.training_step

    def counted(*arguments):
        steps.append(1)
        if len(steps) == 5:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(trainer, "training_step", counted)
    with pytest.raises(KeyboardInterrupt):
        run(assignment)
    state = load_file(assignment.state_path)
    names = {key.split(".", 2)[2] for key in state if key.startswith("optimizer.")}
    assert names
    assert not any(name.startswith("encoder.") for name in names)
    monkeypatch.undo()
    run(assignment)
    whole = replace(assignment, folder=tmp_path / "whole")
    whole.folder.mkdir()
    run(whole)
    in_parts, at_once = load_file(assignment.final_path), load_file(whole.final_path)
    assert all(torch.equal(in_parts[name], at_once[name]) for name in at_once)


@pytest.mark.parametrize("optimizer", ["sgd", "adam", "radam", "adadelta"])
def test_batch_norms_that_are_frozen_keep_their_statistics_and_others_follow(optimizer, tmp_path):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    freeze(network, ["0", "1"])
    spec = TrainingSpec(optimizer=optimizer, initial_learning_rate=0.1, weight_decay=0.1)
    made = make_optimizer(network, spec)
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    for _ in range(3):
        network.eval()  # as a validation does
        set_to_train(network)
        made.zero_grad()
        network(torch.randn(2, 1, 9, 9)).square().sum().backward()
        made.step()
    same = {name for name, tensor in network.state_dict().items() if torch.equal(tensor, before[name])}
    assert same == {name for name in before if name[0] in "01"}
    assert set(made.state) == {network[2].weight, network[2].bias, network[3].weight, network[3].bias}
    checkpoint.save_state(tmp_path / "s", checkpoint.Run(), network, made, torch.amp.GradScaler("cpu", enabled=False))
    assert set(made.state) == {network[2].weight, network[2].bias, network[3].weight, network[3].bias}


def test_parts_and_patterns_of_the_cascade():
    network = build("nicmslesions", in_channels=2, out_channels=2, dimensions=3)
    convolutions = frozen_names(network, ["convolutional"])
    assert convolutions == [name for name in network.state_dict() if name.startswith("convolutional.")]
    assert any(name.endswith("running_var") for name in convolutions)
    assert frozen_names(network, ["dense.1"]) == ["dense.1.weight", "dense.1.bias"]  # not dense.10, if there were one
    assert frozen_names(network, ["dense.[12].*"]) == ["dense.1.weight", "dense.1.bias", "dense.2.weight"]
    assert frozen_names(network, []) == []


@pytest.mark.parametrize(
    ("patterns", "problem"),
    [
        (["encoder"], "'encoder' is no part of the network; its parts are convolutional, dense"),
        (["conv"], "'conv' is no part"),
        (["*.running_mean"], "is no part"),
        (["*"], "leaves nothing to train"),
        (["convolutional", "dense"], "convolutional, dense leaves nothing to train"),
    ],
)
def test_what_cannot_be_frozen_is_refused(patterns, problem):
    network = build("nicmslesions", in_channels=2, out_channels=2, dimensions=3)
    with pytest.raises(BadInput, match=problem):
        frozen_names(network, patterns)


def test_a_fresh_weight_cannot_be_frozen():
    network = build("valverde2017", in_channels=2, out_channels=2, dimensions=3)
    given = set(network.state_dict()) - {"convolutional.0.weight"}
    require_given(network, ["dense"], given, "model")
    with pytest.raises(BadInput, match=r"^model: does not give convolutional\.0\.weight, which is to be frozen"):
        require_given(network, ["convolutional"], given, "model")
