"""The losses against a float64 loop over voxels."""

import math

import numpy as np
import pytest
import torch

from autoseg.core.labels import Labels
from autoseg.training.losses import (
    SMOOTH,
    deep_supervision_loss,
    dice_and_cross_entropy,
    supervision_weights,
)

TWO = Labels(values={"one": 1, "two": 2})
IGNORING = Labels(values={"one": 1, "two": 2, "ignore": 3})
REGIONS = Labels(values={"both": (1, 2), "two": (2,), "ignore": 3}, region_order=(1, 2))


def loss_by_loop(logits: np.ndarray, target: np.ndarray, batch_dice: bool) -> float:
    """Cross-entropy minus foreground Dice, one voxel at a time in float64; a target of K is left out."""
    batch, classes = logits.shape[:2]
    intersection, predicted, reference = (np.zeros((batch, classes)) for _ in range(3))
    entropy = []
    for b in range(batch):
        for position in np.ndindex(target.shape[1:]):
            scores = [math.exp(logits[(b, k, *position)]) for k in range(classes)]
            true = target[(b, *position)]
            if true == classes:
                continue
            entropy.append(-math.log(scores[true] / sum(scores)))
            reference[b, true] += 1
            intersection[b, true] += scores[true] / sum(scores)
            for k in range(classes):
                predicted[b, k] += scores[k] / sum(scores)
    return float(np.mean(entropy) - dice_by_sums(intersection, predicted, reference, batch_dice)[:, 1:].mean())


def region_loss_by_loop(logits: np.ndarray, target: np.ndarray, batch_dice: bool) -> float:
    """The same for the outputs of REGIONS, each a sigmoid; a target of 3 is left out."""
    batch = len(logits)
    intersection, predicted, reference = (np.zeros((batch, 2)) for _ in range(3))
    entropy = []
    for b in range(batch):
        for position in np.ndindex(target.shape[1:]):
            if target[(b, *position)] == 3:
                continue
            for k, members in enumerate(((1, 2), (2,))):
                probability = 1 / (1 + math.exp(-logits[(b, k, *position)]))
                inside = target[(b, *position)] in members
                entropy.append(-math.log(probability if inside else 1 - probability))
                intersection[b, k] += probability * inside
                predicted[b, k] += probability
                reference[b, k] += inside
    return float(np.mean(entropy) - dice_by_sums(intersection, predicted, reference, batch_dice).mean())


def dice_by_sums(intersection: np.ndarray, predicted: np.ndarray, reference: np.ndarray, pooled: bool) -> np.ndarray:
    if pooled:
        intersection, predicted, reference = (a.sum(0, keepdims=True) for a in (intersection, predicted, reference))
    return (2 * intersection + SMOOTH) / (reference + predicted + SMOOTH)


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize(
    ("labels", "outputs", "highest", "oracle"),
    [
        (IGNORING, 3, 3, loss_by_loop),
        (REGIONS, 2, 3, region_loss_by_loop),
        (Labels(values={"both": (1, 2), "two": (2,)}, region_order=(1, 2)), 2, 2, region_loss_by_loop),
    ],
)
def test_regions_and_voxels_without_reference(labels, outputs, highest, oracle, batch_dice):
    random = np.random.default_rng(3)
    logits = random.normal(size=(2, outputs, 5, 6))
    target = random.integers(0, highest + 1, size=(2, 5, 6))
    tensor = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    loss = deep_supervision_loss([tensor], torch.tensor(target), labels, batch_dice)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(oracle(logits, target, batch_dice), abs=1e-5)
    ignored = torch.tensor(target == 3)[:, None].expand_as(tensor)
    assert not tensor.grad[ignored].any()
    position = tuple(np.argwhere(target != 3)[0])
    step = np.zeros_like(logits)
    step[position[0], 1, *position[1:]] = 1e-5
    slope = (oracle(logits + step, target, batch_dice) - oracle(logits - step, target, batch_dice)) / 2e-5
    assert float(tensor.grad[position[0], 1, *position[1:]]) == pytest.approx(slope, abs=1e-6)


def test_a_patch_without_any_reference_has_a_loss_without_slope():
    for labels, outputs in ((IGNORING, 3), (REGIONS, 2)):
        logits = torch.randn(2, outputs, 4, 4, requires_grad=True)
        loss = deep_supervision_loss([logits], torch.full((2, 4, 4), 3), labels, batch_dice=False)
        loss.backward()
        assert torch.isfinite(loss)
        assert not logits.grad.any()


@pytest.mark.parametrize("batch_dice", [True, False])
@pytest.mark.parametrize("shape", [(5, 4), (3, 4, 5)])
def test_loss_and_gradient_equal_the_definition(shape, batch_dice):
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, 3, *shape))
    target = random.integers(0, 3, size=(2, *shape))
    target[0][target[0] == 2] = 0  # a class that one sample lacks
    tensor = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    loss = dice_and_cross_entropy(tensor, torch.tensor(target), batch_dice)
    loss.backward()
    assert float(loss.detach()) == pytest.approx(loss_by_loop(logits, target, batch_dice), abs=1e-5)
    position = (1, 2, *(0,) * len(shape))
    step = np.zeros_like(logits)
    step[position] = 1e-5
    slope = (loss_by_loop(logits + step, target, batch_dice) - loss_by_loop(logits - step, target, batch_dice)) / 2e-5
    assert float(tensor.grad[position]) == pytest.approx(slope, abs=1e-6)


def test_supervision_weights_halve_and_leave_out_the_coarsest():
    assert supervision_weights([(8, 8)]) == [1.0]
    assert supervision_weights([(8, 8), (4, 4)]) == [1.0, 0.0]
    assert supervision_weights([(8,), (4,), (2,)]) == pytest.approx([2 / 3, 1 / 3, 0])
    assert supervision_weights([(8,), (4,), (2,), (1,)]) == pytest.approx([4 / 7, 2 / 7, 1 / 7, 0])


def test_outputs_of_one_size_count_alike():
    random = np.random.default_rng(5)
    outputs = [torch.tensor(random.normal(size=(1, 2, 8, 8)), dtype=torch.float32) for _ in range(2)]
    target = torch.tensor(random.integers(0, 2, size=(1, 8, 8)))
    expected = sum(loss_by_loop(one.numpy(), target.numpy(), False) for one in outputs) / 2
    assert float(deep_supervision_loss(outputs, target, TWO, False)) == pytest.approx(expected, abs=1e-5)


def test_deep_supervision_takes_the_central_voxel_of_each_coarse_one():
    random = np.random.default_rng(1)
    target = torch.tensor(random.integers(0, 2, size=(1, 8, 8)))
    outputs = [torch.tensor(random.normal(size=(1, 2, size, size)), dtype=torch.float32) for size in (8, 4, 2)]
    expected = 2 / 3 * loss_by_loop(outputs[0].numpy(), target.numpy(), False)
    expected += 1 / 3 * loss_by_loop(outputs[1].numpy(), target.numpy()[:, 1::2, 1::2], False)
    assert float(deep_supervision_loss(outputs, target, TWO, False)) == pytest.approx(expected, abs=1e-5)
