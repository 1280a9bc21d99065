"""Soft Dice plus cross-entropy, over the resolutions of deep supervision.

Logits are ``(B, K, *spatial)``; targets are ``(B, *spatial)`` int64, the indices of ``core.labels``: 0..K-1, or
K where there is no reference; with regions, one more than the highest value.
Definitions: Isensee et al., Nature Methods 2021, and nnU-Net's code (smooth term 1e-5, background
left out of Dice; with regions every output counts).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from autoseg.core.labels import Labels

SMOOTH = 1e-5


def dice_and_cross_entropy(
    logits: torch.Tensor, target: torch.Tensor, batch_dice: bool, known: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean cross-entropy minus mean soft Dice of the foreground classes, over the ``known`` voxels (None: all).

    Dice of a class is ``(2 I + s) / (G + P + s)`` with sums over the voxels of a sample, or of the
    whole batch with ``batch_dice``. Only the probability of the true class is gathered, so that no
    one-hot volume of K channels is held.
    """
    log_probabilities = F.log_softmax(logits.float().flatten(2), dim=1)  # (B, K, N)
    index = target.flatten(1)  # (B, N)
    weight = torch.ones_like(log_probabilities[:, 0])
    if known is not None:
        weight = known.flatten(1).to(weight.dtype)
        index = index * known.flatten(1)
    true_log_probability = log_probabilities.gather(1, index[:, None])[:, 0]
    batch, classes, _ = log_probabilities.shape
    probabilities = log_probabilities.exp()
    if known is None:
        cross_entropy, predicted = -true_log_probability.mean(), probabilities.sum(2)
    else:
        cross_entropy = -(true_log_probability * weight).sum() / weight.sum().clamp(min=1)
        predicted = torch.einsum("bkn,bn->bk", probabilities, weight)
    empty = predicted.new_zeros(batch, classes)
    intersection = empty.scatter_add(1, index, true_log_probability.exp() * weight)
    reference = empty.scatter_add(1, index, weight)
    return cross_entropy - _dice(intersection, predicted, reference, batch_dice)[:, 1:].mean()


def dice_and_binary_cross_entropy(
    logits: torch.Tensor, reference: torch.Tensor, batch_dice: bool, known: torch.Tensor | None = None
) -> torch.Tensor:
    """The same for outputs that may overlap, each a sigmoid; ``reference`` is ``(B, K, *spatial)`` boolean.

    nnU-Net adds up the binary cross-entropy of the outputs where there are unknown voxels, and takes their mean
    where there are none; here it is the mean in both cases.
    """
    logits, inside = logits.float().flatten(2), reference.flatten(2).to(torch.float32)  # (B, K, N)
    probabilities = logits.sigmoid()
    if known is None:
        cross_entropy = F.binary_cross_entropy_with_logits(logits, inside)
    else:
        weight = known.flatten(1)[:, None].to(torch.float32).expand_as(logits)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, inside, weight, reduction="sum")
        cross_entropy = cross_entropy / weight.sum().clamp(min=1)
        probabilities, inside = probabilities * weight, inside * weight
    overlap = (probabilities * inside).sum(2)
    return cross_entropy - _dice(overlap, probabilities.sum(2), inside.sum(2), batch_dice).mean()


def _dice(
    intersection: torch.Tensor, predicted: torch.Tensor, reference: torch.Tensor, batch_dice: bool
) -> torch.Tensor:
    """From sums ``(B, K)``: ``(B, K)``, or ``(1, K)`` over the batch."""
    if batch_dice:
        intersection, predicted, reference = (t.sum(0, keepdim=True) for t in (intersection, predicted, reference))
    return (2 * intersection + SMOOTH) / (reference + predicted + SMOOTH)


def known_voxels(target: torch.Tensor, labels: Labels) -> torch.Tensor | None:
    """``(B, *spatial)``: where there is a reference; None where there is no label for the contrary."""
    return None if labels.ignore_index is None else target != labels.ignore_index


def inside_regions(target: torch.Tensor, labels: Labels) -> torch.Tensor:
    """``(B, regions, *spatial)`` boolean: which regions a voxel belongs to; none where it is ignored."""
    table = torch.zeros(len(labels.stored_values) + 1, labels.num_outputs, dtype=torch.bool, device=target.device)
    for output, indices in enumerate(labels.region_indices):
        table[list(indices), output] = True
    return table[target].movedim(-1, 1)


def supervision_weights(num_outputs: int) -> list[float]:
    """1, 1/2, 1/4, ... with the coarsest set to 0 (if there are several), normalised to sum 1."""
    weights = [0.5**level for level in range(num_outputs)]
    if num_outputs > 1:
        weights[-1] = 0.0
    return [weight / sum(weights) for weight in weights]


def deep_supervision_loss(
    outputs: Sequence[torch.Tensor], target: torch.Tensor, labels: Labels, batch_dice: bool
) -> torch.Tensor:
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
            known = known_voxels(coarse, labels)
            if labels.has_regions:
                loss = dice_and_binary_cross_entropy(logits, inside_regions(coarse, labels), batch_dice, known)
            else:
                loss = dice_and_cross_entropy(logits, coarse, batch_dice, known)
            total = total + weight * loss
    return total


def overlap_counts(logits: torch.Tensor, target: torch.Tensor, labels: Labels) -> torch.Tensor:
    """True positives, false positives, false negatives of each output but background: ``(3, outputs)`` int64."""
    known = known_voxels(target, labels)
    if labels.has_regions:
        predicted, reference = (logits > 0).transpose(0, 1), inside_regions(target, labels).transpose(0, 1)
        if known is not None:
            predicted, reference = predicted & known, reference & known
        pairs = (predicted & reference, predicted & ~reference, reference & ~predicted)
        return torch.stack([pair.flatten(1).sum(1) for pair in pairs])
    classes = logits.shape[1]
    joint = target * classes + logits.argmax(1)
    joint = joint.flatten() if known is None else joint[known]
    confusion = torch.bincount(joint, minlength=classes * classes).view(classes, classes)
    hits = confusion.diagonal()  # rows: target, columns: prediction
    return torch.stack((hits, confusion.sum(0) - hits, confusion.sum(1) - hits))[:, 1:]


def dice_from_counts(counts: torch.Tensor) -> list[float | None]:
    """Dice of each output; None where it is neither predicted nor present."""
    return [2 * tp / (2 * tp + fp + fn) if tp + fp + fn else None for tp, fp, fn in counts.T.tolist()]
