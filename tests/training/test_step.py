"""A step in parts against one backward pass over the whole batch."""

import threading
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import nn

from autoseg.core.labels import Labels
from autoseg.networks import build_planned
from autoseg.runtime.devices import Execution
from autoseg.training import step
from autoseg.training.losses import deep_supervision_loss
from autoseg.training.optimizers import make_optimizer
from autoseg.training.patches import Batch

CPU = Execution("cpu", "fp32", channels_last=False)
LABELS = Labels(values={"a": 1, "b": 2})


@pytest.fixture
def three_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def network_and_batch(configuration, size):
    torch.manual_seed(0)
    network = build_planned(configuration.network, 1, 3)
    network.deep_supervision = True
    return network, torch.randn(size, 1, 16, 16, 16), torch.randint(3, (size, 16, 16, 16))


@pytest.mark.usefixtures("three_cores")
def test_the_batch_is_dealt_out_evenly():
    network = nn.InstanceNorm2d(3)
    assert step.batch_parts(7, CPU, network) == [slice(0, 2), slice(2, 4), slice(4, 7)]
    assert step.batch_parts(5, CPU, network) == [slice(0, 1), slice(1, 3), slice(3, 5)]
    assert step.batch_parts(2, Execution("cpu", "bf16", channels_last=True), network) == [slice(0, 1), slice(1, 2)]
    assert step.batch_parts(1, CPU, network) == [slice(0, 1)]
    assert step.batch_parts(7, Execution("cpu", "fp16", channels_last=True), network) == [slice(0, 7)]
    assert step.batch_parts(7, Execution("cuda", "bf16", channels_last=True), network) == [slice(0, 7)]


@pytest.mark.usefixtures("three_cores")
@pytest.mark.parametrize(
    ("layer", "whole_in_training", "whole_in_evaluation"),
    [
        (nn.BatchNorm2d(3), True, False),
        (nn.BatchNorm2d(3, track_running_stats=False), True, True),
        (nn.InstanceNorm2d(3, track_running_stats=True), True, False),
        (nn.Dropout2d(0.3), True, False),
        (nn.Dropout2d(0.0), False, False),
        (nn.GroupNorm(3, 3), False, False),
    ],
)
def test_a_batch_whose_samples_mix_is_not_taken_apart(layer, whole_in_training, whole_in_evaluation):
    network = nn.Sequential(nn.Conv2d(1, 3, 3), layer)
    for whole in (whole_in_training, whole_in_evaluation):
        assert (len(step.batch_parts(6, CPU, network)) == 1) == whole
        network.eval()


def test_a_network_may_have_one_output_or_several():
    image = torch.randn(2, 1, 8, 8)
    plain = nn.Conv2d(1, 2, 1)
    assert step.supervised(plain) is plain
    assert not hasattr(plain, "deep_supervision")
    (logits,) = step.forward(plain, image, CPU)
    assert torch.equal(logits, plain(image))


@pytest.mark.usefixtures("three_cores")
@pytest.mark.parametrize("batch_dice", [False, True])
@pytest.mark.parametrize("parts", [(1, 2), (2, 4, 7), (2, 5)])
def test_gradients_and_loss_are_those_of_the_whole_batch(tiny_configuration, parts, batch_dice):
    network, image, target = network_and_batch(tiny_configuration, parts[-1])
    expected = deep_supervision_loss(network(image), target, LABELS, batch_dice)
    expected.backward()
    gradients = [weight.grad for weight in network.parameters()]
    network.zero_grad(set_to_none=True)
    slices = [slice(start, stop) for start, stop in pairwise((0, *parts))]
    criterion = partial(deep_supervision_loss, labels=LABELS, batch_dice=batch_dice)
    loss = step.backward_in_parts(network, image, target, slices, CPU, criterion)
    torch.testing.assert_close(loss, expected)
    for weight, gradient in zip(network.parameters(), gradients, strict=True):
        if gradient is None:
            assert weight.grad is None  # the head of the coarsest output has no weight in the loss
        else:
            torch.testing.assert_close(weight.grad, gradient, rtol=1e-3, atol=1e-5)


@pytest.mark.usefixtures("three_cores")
def test_every_core_computes_a_part_and_repeats_its_bits(tiny_configuration, monkeypatch):
    original, seen = step.forward, []

    def spy(network, image, execution):
        seen.append((threading.get_ident(), len(image), torch.get_num_threads()))
        return original(network, image, execution)

    monkeypatch.setattr(step, "forward", spy)
    results = []
    for _ in range(2):
        network, image, target = network_and_batch(tiny_configuration, 7)
        optimizer = make_optimizer(network, tiny_configuration.training)
        scaler = torch.amp.GradScaler("cpu", enabled=False)
        step.training_step(network, optimizer, scaler, Batch(image, target), CPU, tiny_configuration, LABELS)
        results.append([weight.detach().clone() for weight in network.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    assert sorted((size, cores) for _, size, cores in seen[:3]) == [(2, 1), (2, 1), (3, 1)]
    assert len({thread for thread, _, _ in seen}) == 3
    assert torch.get_num_threads() == 3


def test_a_loss_that_is_no_number_stops_with_the_remedy(tiny_configuration):
    network, image, target = network_and_batch(tiny_configuration, 2)
    optimizer = make_optimizer(network, tiny_configuration.training)
    scaler = torch.amp.GradScaler("cpu", enabled=False)
    with pytest.raises(FloatingPointError, match="lower initial_learning_rate"):
        step.training_step(network, optimizer, scaler, Batch(image / 0, target), CPU, tiny_configuration, LABELS)
