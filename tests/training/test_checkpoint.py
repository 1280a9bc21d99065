"""Weights, momentum and counters through a file."""

import pytest
import torch
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.core.training_spec import TrainingSpec
from autoseg.training import checkpoint
from autoseg.training.optimizers import make_optimizer

OPTIMIZERS = {
    name: TrainingSpec(optimizer=name, initial_learning_rate=0.1) for name in ("sgd", "adam", "radam", "adadelta")
}


def trained(spec=OPTIMIZERS["sgd"]):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    optimizer = make_optimizer(network, spec)
    network(torch.randn(2, 2, 5, 5)).square().sum().backward()
    optimizer.step()
    return network, optimizer, torch.amp.GradScaler("cpu", enabled=False)


def step(network, optimizer, seed):
    torch.manual_seed(seed)
    optimizer.zero_grad()
    network(torch.randn(2, 2, 5, 5)).square().sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_comes_back_exactly(tmp_path, name):
    """So exactly that further steps have the same bits, running statistics included."""
    path = tmp_path / "state.safetensors"
    network, optimizer, scaler = trained(OPTIMIZERS[name])
    run = checkpoint.Run(step=7, epoch=2, elapsed_s=12.5, smoothed_dice=0.5, best=0.75, best_epoch=1, reached=True)
    checkpoint.save_state(path, run, network, optimizer, scaler)
    other = nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3))
    fresh = make_optimizer(other, OPTIMIZERS[name])
    assert checkpoint.load_state(path, other, fresh, scaler) == run
    for seed in range(7):
        step(network, optimizer, seed)
        step(other, fresh, seed)
    for key, tensor in network.state_dict().items():
        assert torch.equal(other.state_dict()[key], tensor)


def test_the_state_of_another_optimizer_is_refused(tmp_path):
    path = tmp_path / "state.safetensors"
    network, optimizer, scaler = trained()
    checkpoint.save_state(path, checkpoint.Run(), network, optimizer, scaler)
    with pytest.raises(BadInput, match="made by SGD"):
        checkpoint.load_state(path, network, make_optimizer(network, OPTIMIZERS["adam"]), scaler)


def test_weights_are_no_state(tmp_path):
    path = tmp_path / "state.safetensors"
    network, optimizer, scaler = trained()
    checkpoint.save_weights(path, network, {})
    with pytest.raises(BadInput, match=r"state\.safetensors"):
        checkpoint.load_state(path, network, optimizer, scaler)
