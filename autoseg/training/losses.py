"""Soft Dice plus cross-entropy, or another loss of the plan, over the resolutions of deep supervision.

Logits are ``(B, K, *spatial)``; targets are ``(B, *spatial)`` int64, the indices of ``core.labels``: 0..K-1, or
K where there is no reference; with regions, one more than the highest value.
Definitions: Isensee et al., Nature Methods 2021, and nnU-Net's code (smooth term 1e-5, background
left out of Dice; with regions every output counts).
Where several processes share a batch, sums and means are over all of it (``runtime.ranks``), so that each process
has the loss of the whole batch and the gradient of its own samples.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from autoseg.core.labels import Labels
from autoseg.core.training_spec import Loss
from autoseg.runtime import ranks
from autoseg.training import named_losses

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
        mean = ranks.mean(true_log_probability.mean(), true_log_probability.numel())
        cross_entropy, predicted = -mean, probabilities.sum(2)
    else:
        known_sum = ranks.total((true_log_probability * weight).sum())
        cross_entropy = -known_sum / ranks.total(weight.sum()).clamp(min=1)
        predicted = torch.einsum("bkn,bn->bk", probabilities, weight)
    empty = predicted.new_zeros(batch, classes)
    intersection = empty.scatter_add(1, index, true_log_probability.exp() * weight)
    reference = empty.scatter_add(1, index, weight)
    return cross_entropy - _mean_dice(intersection, predicted, reference, batch_dice, first=1)


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
        cross_entropy = ranks.mean(F.binary_cross_entropy_with_logits(logits, inside), logits.numel())
    else:
        weight = known.flatten(1)[:, None].to(torch.float32).expand_as(logits)
        cross_entropy = F.binary_cross_entropy_with_logits(logits, inside, weight, reduction="sum")
        cross_entropy = ranks.total(cross_entropy) / ranks.total(weight.sum()).clamp(min=1)
        probabilities, inside = probabilities * weight, inside * weight
    overlap = (probabilities * inside).sum(2)
    return cross_entropy - _mean_dice(overlap, probabilities.sum(2), inside.sum(2), batch_dice, first=0)


def _mean_dice(
    intersection: torch.Tensor, predicted: torch.Tensor, reference: torch.Tensor, batch_dice: bool, first: int
) -> torch.Tensor:
    """From sums ``(B, K)``: over the outputs from ``first`` on of each sample, or of the batch as a whole."""
    if batch_dice:
        sums = [one.sum(0, keepdim=True) for one in (intersection, predicted, reference)]
        intersection, predicted, reference = ranks.total(torch.stack(sums))
    dice = ((2 * intersection + SMOOTH) / (reference + predicted + SMOOTH))[:, first:]
    return dice.mean() if batch_dice else ranks.mean(dice.mean(), dice.numel())


def known_voxels(target: torch.Tensor, labels: Labels) -> torch.Tensor | None:
    """``(B, *spatial)``: where there is a reference; None where there is no label for the contrary."""
    return None if labels.ignore_index is None else target != labels.ignore_index


def inside_regions(target: torch.Tensor, labels: Labels) -> torch.Tensor:
    """``(B, regions, *spatial)`` boolean: which regions a voxel belongs to; none where it is ignored."""
    table = torch.zeros(len(labels.stored_values) + 1, labels.num_outputs, dtype=torch.bool, device=target.device)
    for output, indices in enumerate(labels.region_indices):
        table[list(indices), output] = True
    return table[target].movedim(-1, 1)


def supervision_weights(sizes: Sequence[Sequence[int]]) -> list[float]:
    """The weights of outputs of these sizes, finest first; they sum to 1.

    1, 1/2, 1/4, ... with the coarsest set to 0 (if there are several); outputs of one size (Double U-Net's two)
    count alike.
    """
    weights = [0.5**level for level in range(len(sizes))]
    if all(tuple(size) == tuple(sizes[0]) for size in sizes):
        weights = [1.0] * len(sizes)
    elif len(sizes) > 1:
        weights[-1] = 0.0
    return [weight / sum(weights) for weight in weights]


def deep_supervision_loss(
    outputs: Sequence[torch.Tensor],
    target: torch.Tensor,
    labels: Labels,
    batch_dice: bool,
    loss: Loss = "dice_and_cross_entropy",
) -> torch.Tensor:
    """The weighted loss of all outputs, finest first; the target is sampled down to each of them.

    Nearest-exact sampling takes the voxel at the centre of each coarse one.
    """
    total = outputs[0].new_zeros((), dtype=torch.float32)
    for logits, weight in zip(outputs, supervision_weights([one.shape[2:] for one in outputs]), strict=True):
        if weight > 0:
            size = logits.shape[2:]
            coarse = target
            if target.shape[1:] != size:
                coarse = F.interpolate(target[:, None].float(), size=size, mode="nearest-exact")[:, 0].long()
            total = total + weight * one_loss(logits, coarse, labels, batch_dice, loss)
    return total


def one_loss(logits: torch.Tensor, target: torch.Tensor, labels: Labels, batch_dice: bool, loss: Loss) -> torch.Tensor:
    """The loss of one output, by its name in the plan; ``batch_dice`` is for nnU-Net's."""
    known = known_voxels(target, labels)
    regions = inside_regions(target, labels) if labels.has_regions else None
    if loss == "dice_and_cross_entropy":
        if regions is None:
            return dice_and_cross_entropy(logits, target, batch_dice, known)
        return dice_and_binary_cross_entropy(logits, regions, batch_dice, known)
    total = logits.new_zeros((), dtype=torch.float32)
    if loss != "cross_entropy":
        dice, squares = named_losses.OF_SQUARES.get(loss), loss in named_losses.OF_SQUARES
        if regions is None:
            overlap = named_losses.overlap_of_classes(logits, target, known, squares)
        else:
            overlap = named_losses.overlap_of_regions(logits, regions, known, squares)
        total = total + (dice or named_losses.dice_with_background)(overlap)
    if loss in ("cross_entropy", "dice_with_background_and_cross_entropy"):
        if regions is None:
            total = total + named_losses.cross_entropy(logits, target, known)
        else:
            total = total + named_losses.binary_cross_entropy(logits, regions, known)
    return total
