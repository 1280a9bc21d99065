"""The losses against a float64 loop over voxels."""

import math

import numpy as np
import pytest
import torch

from autoseg.training.losses import (
    SMOOTH,
    deep_supervision_loss,
    dice_and_cross_entropy,
    dice_from_counts,
    overlap_counts,
    supervision_weights,
)


def loss_by_loop(logits: np.ndarray, target: np.ndarray, batch_dice: bool) -> float:
    """Cross-entropy minus foreground Dice, one voxel at a time in float64."""
    batch, classes = logits.shape[:2]
    intersection, predicted, reference = (np.zeros((batch, classes)) for _ in range(3))
    entropy = []
    for b in range(batch):
        for position in np.ndindex(target.shape[1:]):
            scores = [math.exp(logits[(b, k, *position)]) for k in range(classes)]
            true = target[(b, *position)]
            entropy.append(-math.log(scores[true] / sum(scores)))
            reference[b, true] += 1
            intersection[b, true] += scores[true] / sum(scores)
            for k in range(classes):
                predicted[b, k] += scores[k] / sum(scores)
    if batch_dice:
        intersection, predicted, reference = (a.sum(0, keepdims=True) for a in (intersection, predicted, reference))
    dice = (2 * intersection + SMOOTH) / (reference + predicted + SMOOTH)
    return float(np.mean(entropy) - dice[:, 1:].mean())


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
    assert supervision_weights(1) == [1.0]
    assert supervision_weights(3) == pytest.approx([2 / 3, 1 / 3, 0])
    assert supervision_weights(4) == pytest.approx([4 / 7, 2 / 7, 1 / 7, 0])


def test_deep_supervision_takes_the_central_voxel_of_each_coarse_one():
    random = np.random.default_rng(1)
    target = torch.tensor(random.integers(0, 2, size=(1, 8, 8)))
    outputs = [torch.tensor(random.normal(size=(1, 2, size, size)), dtype=torch.float32) for size in (8, 4, 2)]
    expected = 2 / 3 * loss_by_loop(outputs[0].numpy(), target.numpy(), False)
    expected += 1 / 3 * loss_by_loop(outputs[1].numpy(), target.numpy()[:, 1::2, 1::2], False)
    assert float(deep_supervision_loss(outputs, target, False)) == pytest.approx(expected, abs=1e-5)


def test_overlap_counts_equal_masks_counted_one_by_one():
    random = np.random.default_rng(2)
    logits = torch.tensor(random.normal(size=(2, 4, 6, 7)))
    target = torch.tensor(random.integers(0, 3, size=(2, 6, 7)))  # class 3 is never present
    prediction = logits.argmax(1)
    counts = overlap_counts(logits, target)
    for label in (1, 2, 3):
        p, t = prediction == label, target == label
        assert counts[:, label - 1].tolist() == [int((p & t).sum()), int((p & ~t).sum()), int((~p & t).sum())]


def test_dice_of_a_class_that_is_nowhere_is_not_a_number_but_none():
    assert dice_from_counts(torch.tensor([[3, 0], [1, 0], [2, 0]])) == [pytest.approx(2 * 3 / 9), None]
