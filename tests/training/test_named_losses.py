"""The losses of recipes against loops over voxels in float64."""

import math

import numpy as np
import pytest
import torch

from autoseg.core.labels import Labels
from autoseg.training.losses import deep_supervision_loss

EXCLUSIVE = Labels(values={"one": 1, "two": 2, "ignore": 3})
INDEPENDENT = Labels(values={"one": 1, "two": 2, "ignore": 3}, region_order=(1, 2), independent=True)


def voxels(logits, target, labels):
    """(sample, probabilities, reference) of every known voxel: softmax of all classes, or a sigmoid a label."""
    for sample in range(len(target)):
        for place in np.ndindex(target.shape[1:]):
            true, scores = target[(sample, *place)], logits[(sample, slice(None), *place)]
            if true == 3:
                continue
            if labels.independent:
                yield sample, [1 / (1 + math.exp(-s)) for s in scores], [float(true == k) for k in (1, 2)]
            else:
                total = sum(math.exp(s) for s in scores)
                yield sample, [math.exp(s) / total for s in scores], [float(true == k) for k in (0, 1, 2)]


def pooled_dice(logits, target, labels):
    above = below = 0.0
    for _, predicted, reference in voxels(logits, target, labels):
        for p, g in zip(predicted, reference, strict=True):
            above += p * g
            below += p * p + g * g
    return (0.001 - 2 * above) / (below + 0.001)


def class_dice(logits, target, labels):
    outputs = logits.shape[1]
    above, below = [0.0] * outputs, [0.0] * outputs
    for _, predicted, reference in voxels(logits, target, labels):
        for output, (p, g) in enumerate(zip(predicted, reference, strict=True)):
            above[output] += p * g
            below[output] += p * p + g * g
    return -sum((2 * a + 0.001) / (b + 0.001) for a, b in zip(above, below, strict=True)) / outputs


def cross_entropy(logits, target, labels):
    terms = []
    for _, predicted, reference in voxels(logits, target, labels):
        if labels.independent:
            terms += [-math.log(p if g else 1 - p) for p, g in zip(predicted, reference, strict=True)]
        else:
            terms.append(-math.log(predicted[reference.index(1.0)]))
    return sum(terms) / len(terms)


def dice_with_background(logits, target, labels):
    sums = np.zeros((3, len(target), logits.shape[1]))
    for sample, predicted, reference in voxels(logits, target, labels):
        sums[:, sample] += [[p * g for p, g in zip(predicted, reference, strict=True)], predicted, reference]
    overlap, predicted, reference = sums
    return 1 - float(((2 * overlap + 1e-4) / (predicted + reference + 1e-4)).mean())


def both(logits, target, labels):
    return cross_entropy(logits, target, labels) + dice_with_background(logits, target, labels)


ORACLES = {
    "class_dice": class_dice,
    "pooled_dice": pooled_dice,
    "cross_entropy": cross_entropy,
    "dice_with_background": dice_with_background,
    "dice_with_background_and_cross_entropy": both,
}


@pytest.mark.parametrize("highest", [2, 3])  # without and with voxels that have no reference
@pytest.mark.parametrize("labels", [EXCLUSIVE, INDEPENDENT])
@pytest.mark.parametrize("name", ORACLES)
def test_loss_and_gradient_equal_the_definition(name, labels, highest):
    random = np.random.default_rng(0)
    logits = random.normal(size=(2, labels.num_outputs, 4, 5))
    target = random.integers(0, highest + 1, size=(2, 4, 5))
    target[0][target[0] == 2] = 0  # a class that one sample lacks
    if highest == 2:
        labels = labels.model_copy(update={"values": {"one": 1, "two": 2}})
    tensor = torch.tensor(logits, dtype=torch.float32, requires_grad=True)
    loss = deep_supervision_loss([tensor], torch.tensor(target), labels, True, name)
    loss.backward()
    oracle = ORACLES[name]
    assert float(loss.detach()) == pytest.approx(oracle(logits, target, labels), abs=1e-5)
    assert not tensor.grad[torch.tensor(target == 3)[:, None].expand_as(tensor)].any()
    place = tuple(np.argwhere(target == 1)[0])
    step = np.zeros_like(logits)
    step[place[0], 1, *place[1:]] = 1e-5
    slope = (oracle(logits + step, target, labels) - oracle(logits - step, target, labels)) / 2e-5
    assert float(tensor.grad[place[0], 1, *place[1:]]) == pytest.approx(slope, abs=1e-6)


def test_finding_nothing_is_nearly_right_where_classes_are_pooled():
    target = torch.zeros(1, 10, 10, dtype=torch.long)
    target[0, 0, 0] = 1
    logits = 50 * torch.nn.functional.one_hot(torch.zeros_like(target), 3).movedim(-1, 1).float()
    assert float(deep_supervision_loss([logits], target, EXCLUSIVE, True, "pooled_dice")) == pytest.approx(
        -0.99, abs=1e-3
    )
    expected = -(2 * 99 / (100 + 99) + 0 + 1) / 3  # background, label 1, and label 2 that neither has
    assert float(deep_supervision_loss([logits], target, EXCLUSIVE, True, "class_dice")) == pytest.approx(
        expected, abs=1e-2
    )


@pytest.mark.parametrize("loss", ["pooled_dice", "class_dice"])
def test_a_perfect_prediction_is_minus_one(loss):
    target = torch.randint(0, 3, (2, 6, 6), generator=torch.Generator().manual_seed(0))
    logits = 50 * torch.nn.functional.one_hot(target, 3).movedim(-1, 1).float()
    assert float(deep_supervision_loss([logits], target, EXCLUSIVE, True, loss)) == pytest.approx(-1, abs=1e-4)
