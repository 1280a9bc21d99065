"""Optimisers against the update rules, step by step in float64."""

import math

import pytest
import torch
from torch import nn

from autoseg.core.training_spec import TrainingSpec
from autoseg.training.optimizers import make_optimizer

STEPS = 12
DECAY = 0.1


def by_torch(name, **settings):
    """A single weight in a quadratic bowl: the slope is the weight minus 3."""
    weight = nn.Parameter(torch.tensor([1.0], dtype=torch.float64))
    network = nn.Module()
    network.weight = weight
    optimizer = make_optimizer(network, TrainingSpec(optimizer=name, weight_decay=DECAY, **settings))
    for _ in range(STEPS):
        optimizer.zero_grad()
        (0.5 * (weight - 3) ** 2).sum().backward()
        optimizer.step()
    return float(weight.detach())


def slope(weight):
    return weight - 3 + DECAY * weight


def test_sgd_with_nesterov_momentum():
    weight, velocity = 1.0, 0.0
    for _ in range(STEPS):
        velocity = 0.9 * velocity + slope(weight)
        weight -= 0.01 * (slope(weight) + 0.9 * velocity)
    assert by_torch("sgd", momentum=0.9) == pytest.approx(weight)


def test_adam_and_radam():
    """Kingma & Ba 2015; Liu et al. 2020: without adaptation while its variance is intractable (the first 5 steps)."""
    results = {}
    for rectified in (False, True):
        weight, mean, square = 1.0, 0.0, 0.0
        longest = 2 / (1 - 0.99) - 1
        for step in range(1, STEPS + 1):
            gradient = slope(weight)
            mean = 0.8 * mean + 0.2 * gradient
            square = 0.99 * square + 0.01 * gradient**2
            unbiased = mean / (1 - 0.8**step)
            length = longest - 2 * step * 0.99**step / (1 - 0.99**step)
            factor = math.sqrt(1 - 0.99**step) / (math.sqrt(square) + 1e-8)
            if rectified and length > 5:
                factor *= math.sqrt((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length))
            elif rectified:
                factor = 1.0
            weight -= 0.05 * unbiased * factor
        results[rectified] = weight
    settings = {"initial_learning_rate": 0.05, "betas": (0.8, 0.99)}
    assert by_torch("adam", **settings) == pytest.approx(results[False], abs=1e-6)
    assert by_torch("radam", **settings) == pytest.approx(results[True], abs=1e-6)
    assert results[False] != pytest.approx(results[True], abs=1e-3)


def test_adadelta():
    """Zeiler 2012."""
    weight, squares, changes = 1.0, 0.0, 0.0
    for _ in range(STEPS):
        gradient = slope(weight)
        squares = 0.7 * squares + 0.3 * gradient**2
        change = math.sqrt(changes + 1e-6) / math.sqrt(squares + 1e-6) * gradient
        changes = 0.7 * changes + 0.3 * change**2
        weight -= 1.5 * change
    assert by_torch("adadelta", initial_learning_rate=1.5, decay=0.7) == pytest.approx(weight)
