"""The optimiser of a plan."""

from __future__ import annotations

import torch
from torch import nn

from autoseg.core.training_spec import TrainingSpec


def make_optimizer(network: nn.Module, spec: TrainingSpec) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum, Adam, RAdam or Adadelta over the weights that are not frozen.

    The rate is set before every step (``schedule.Clock``).
    """
    weights = [weight for weight in network.parameters() if weight.requires_grad]
    rate, decay = spec.initial_learning_rate, spec.weight_decay
    if spec.optimizer == "sgd":
        nesterov = spec.momentum > 0
        return torch.optim.SGD(weights, rate, momentum=spec.momentum, nesterov=nesterov, weight_decay=decay)
    if spec.optimizer == "adam":
        return torch.optim.Adam(weights, rate, betas=spec.betas, weight_decay=decay)
    if spec.optimizer == "radam":
        return torch.optim.RAdam(weights, rate, betas=spec.betas, weight_decay=decay)
    return torch.optim.Adadelta(weights, rate, rho=spec.decay, weight_decay=decay)
