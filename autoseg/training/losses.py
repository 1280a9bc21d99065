"""Soft Dice plus cross-entropy, over the resolutions of deep supervision.

Logits are ``(B, K, *spatial)``; targets are ``(B, *spatial)`` int64 with values 0..K-1.
Definitions: Isensee et al., Nature Methods 2021, and nnU-Net's code (smooth term 1e-5, background
left out of Dice).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

SMOOTH = 1e-5


def dice_and_cross_entropy(logits: torch.Tensor, target: torch.Tensor, batch_dice: bool) -> torch.Tensor:
    """Mean cross-entropy minus mean soft Dice of the foreground classes.

    Dice of a class is ``(2 I + s) / (G + P + s)`` with sums over the voxels of a sample, or of the
    whole batch with ``batch_dice``. Only the probability of the true class is gathered, so that no
    one-hot volume of K channels is held.
    """
    log_probabilities = F.log_softmax(logits.float().flatten(2), dim=1)  # (B, K, N)
    index = target.flatten(1)  # (B, N)
    true_log_probability = log_probabilities.gather(1, index[:, None])[:, 0]
    cross_entropy = -true_log_probability.mean()

    batch, classes, _ = log_probabilities.shape
    predicted = log_probabilities.exp().sum(2)  # (B, K)
    empty = predicted.new_zeros(batch, classes)
    intersection = empty.scatter_add(1, index, true_log_probability.exp())
    reference = empty.scatter_add(1, index, torch.ones_like(true_log_probability))
    if batch_dice:
        predicted, intersection, reference = (t.sum(0, keepdim=True) for t in (predicted, intersection, reference))
    dice = (2 * intersection + SMOOTH) / (reference + predicted + SMOOTH)
    return cross_entropy - dice[:, 1:].mean()


def supervision_weights(num_outputs: int) -> list[float]:
    """1, 1/2, 1/4, ... with the coarsest set to 0 (if there are several), normalised to sum 1."""
    weights = [0.5**level for level in range(num_outputs)]
    if num_outputs > 1:
        weights[-1] = 0.0
    return [weight / sum(weights) for weight in weights]


def deep_supervision_loss(outputs: Sequence[torch.Tensor], target: torch.Tensor, batch_dice: bool) -> torch.Tensor:
    """The weighted loss of all outputs, finest first; the target is sampled down to each of them.

    Nearest-exact sampling takes the voxel at the centre of each coarse one.
    """
    total = outputs[0].new_zeros((), dtype=torch.float32)
    for logits, weight in zip(outputs, supervision_weights(len(outputs)), strict=True):
        if weight > 0:
            size = logits.shape[2:]
            coarse = target
            if target.shape[1:] != size:
                coarse = F.interpolate(target[:, None].float(), size=size, mode="nearest-exact")[:, 0].long()
            total = total + weight * dice_and_cross_entropy(logits, coarse, batch_dice)
    return total


def overlap_counts(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """True positives, false positives, false negatives of each foreground class: ``(3, K - 1)`` int64."""
    classes = logits.shape[1]
    joint = torch.bincount((target * classes + logits.argmax(1)).flatten(), minlength=classes * classes)
    confusion = joint.view(classes, classes)  # rows: target, columns: prediction
    hits = confusion.diagonal()
    return torch.stack((hits, confusion.sum(0) - hits, confusion.sum(1) - hits))[:, 1:]


def dice_from_counts(counts: torch.Tensor) -> list[float | None]:
    """Dice of each foreground class; None where the class is neither predicted nor present."""
    return [2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None for tp, fp, fn in counts.T.tolist()]
