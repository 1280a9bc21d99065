"""The losses of published recipes: background counts as the other classes do.

Logits are ``(B, K, *spatial)``. Exclusive classes are a softmax, and their target ``(B, *spatial)`` is an index in
0..K-1; outputs that may overlap are sigmoids, and their reference ``(B, K, *spatial)`` is boolean. ``known``
``(B, *spatial)`` tells where there is a reference; None: everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F

from autoseg.runtime import ranks

POOLED_SMOOTH = 1e-3
SMOOTH_WITH_BACKGROUND = 1e-4


@dataclass(frozen=True)
class Overlap:
    """Sums over the known voxels, ``(B, K)`` each; ``predicted`` of the probabilities or of their squares."""

    intersection: torch.Tensor
    predicted: torch.Tensor
    reference: torch.Tensor


def overlap_of_classes(
    logits: torch.Tensor, target: torch.Tensor, known: torch.Tensor | None, squares: bool
) -> Overlap:
    """Of the probabilities of exclusive classes with the target; no one-hot volume is held."""
    probabilities = logits.float().flatten(2).softmax(dim=1)
    index = target.flatten(1)
    weight = torch.ones_like(probabilities[:, 0])
    if known is not None:
        weight = known.flatten(1).to(weight.dtype)
        index = index * known.flatten(1)
        probabilities = probabilities * weight[:, None]
    empty = probabilities.new_zeros(probabilities.shape[:2])
    return Overlap(
        empty.scatter_add(1, index, probabilities.gather(1, index[:, None])[:, 0]),
        (probabilities.square() if squares else probabilities).sum(2),
        empty.scatter_add(1, index, weight),
    )


def overlap_of_regions(
    logits: torch.Tensor, reference: torch.Tensor, known: torch.Tensor | None, squares: bool
) -> Overlap:
    """Of the probabilities of outputs that may overlap with the reference."""
    probabilities, inside = logits.float().flatten(2).sigmoid(), reference.flatten(2).to(torch.float32)
    if known is not None:
        weight = known.flatten(1)[:, None].to(torch.float32)
        probabilities, inside = probabilities * weight, inside * weight
    predicted = (probabilities.square() if squares else probabilities).sum(2)
    return Overlap((probabilities * inside).sum(2), predicted, inside.sum(2))


def pooled_dice(overlap: Overlap) -> torch.Tensor:
    """``(s - 2 sum(p g)) / (sum(p^2) + sum(g^2) + s)`` with s = 0.001 and sums over the batch and all outputs.

    ``overlap`` is that of squares. Paugam et al.: about -1 where everything is right, 0 where nothing is.
    """
    squares = ranks.total(overlap.predicted.sum() + overlap.reference.sum())
    return (POOLED_SMOOTH - 2 * ranks.total(overlap.intersection.sum())) / (squares + POOLED_SMOOTH)


def class_dice(overlap: Overlap) -> torch.Tensor:
    """Of each output ``-(2 sum(p g) + s) / (sum(p^2) + sum(g^2) + s)`` with sums over the batch; their mean.

    Pooled, background decides: where labels cover a fiftieth of the image, a loss of -0.97 may find none of them. The
    sign of s is that of a class that is absent and not found: -1, where the pooled fraction's would reward finding it.
    """
    intersection = ranks.total(overlap.intersection.sum(0))
    squares = ranks.total((overlap.predicted + overlap.reference).sum(0))
    return -((2 * intersection + POOLED_SMOOTH) / (squares + POOLED_SMOOTH)).mean()


OF_SQUARES = {"pooled_dice": pooled_dice, "class_dice": class_dice}  # Milletari et al. 2016: squared probabilities


def dice_with_background(overlap: Overlap) -> torch.Tensor:
    """One minus the mean over samples and all outputs of ``(2 I + e) / (G + P + e)`` with e = 0.0001 (VoxHRNet)."""
    dice = 2 * overlap.intersection + SMOOTH_WITH_BACKGROUND
    dice = dice / (overlap.reference + overlap.predicted + SMOOTH_WITH_BACKGROUND)
    return 1 - ranks.mean(dice.mean(), dice.numel())


def cross_entropy(logits: torch.Tensor, target: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
    """The mean over the known voxels."""
    if known is None:
        return ranks.mean(F.cross_entropy(logits.float(), target), target.numel())
    entropy = F.cross_entropy(logits.float(), target * known, reduction="none")
    return ranks.total((entropy * known).sum()) / ranks.total(known.sum()).clamp(min=1)


def binary_cross_entropy(logits: torch.Tensor, reference: torch.Tensor, known: torch.Tensor | None) -> torch.Tensor:
    """The mean over the outputs and the known voxels."""
    inside = reference.to(torch.float32)
    if known is None:
        return ranks.mean(F.binary_cross_entropy_with_logits(logits.float(), inside), inside.numel())
    weight = known[:, None].to(torch.float32).expand_as(inside)
    entropy = F.binary_cross_entropy_with_logits(logits.float(), inside, weight, reduction="sum")
    return ranks.total(entropy) / ranks.total(weight.sum()).clamp(min=1)
