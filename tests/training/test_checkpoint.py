"""Weights, momentum and counters through a file."""

import pytest
import torch
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.training import checkpoint


def trained():
    torch.manual_seed(0)
    network = nn.Conv2d(2, 3, 3)
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    network(torch.randn(1, 2, 5, 5)).square().sum().backward()
    optimizer.step()
    return network, optimizer, torch.amp.GradScaler("cpu", enabled=False)


def test_state_comes_back_exactly(tmp_path):
    path = tmp_path / "state.safetensors"
    network, optimizer, scaler = trained()
    run = checkpoint.Run(step=7, epoch=2, elapsed_s=12.5, smoothed_dice=0.5, best_dice=0.75)
    checkpoint.save_state(path, run, network, optimizer, scaler)
    other = nn.Conv2d(2, 3, 3)
    fresh = torch.optim.SGD(other.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    assert checkpoint.load_state(path, other, fresh, scaler) == run
    assert torch.equal(other.weight, network.weight)
    before, after = optimizer.state[network.weight], fresh.state[other.weight]
    assert torch.equal(before["momentum_buffer"], after["momentum_buffer"])


def test_weights_are_no_state(tmp_path):
    path = tmp_path / "state.safetensors"
    network, optimizer, scaler = trained()
    checkpoint.save_weights(path, network, {})
    with pytest.raises(BadInput, match=r"state\.safetensors"):
        checkpoint.load_state(path, network, optimizer, scaler)
