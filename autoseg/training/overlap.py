"""What validation patches say: overlap counts and the measures that follow from them."""

from __future__ import annotations

import torch

from autoseg.core.labels import Labels
from autoseg.training.losses import inside_regions, known_voxels

MEASURES = ("precision", "recall", "specificity", "iou", "accuracy", "dice")


def overlap_counts(logits: torch.Tensor, target: torch.Tensor, labels: Labels) -> torch.Tensor:
    """True positives, false positives, false negatives, true negatives of each output but background.

    ``(4, outputs)`` int64, over the voxels that have a reference.
    """
    known = known_voxels(target, labels)
    if labels.has_regions:
        predicted, reference = (logits > 0).transpose(0, 1), inside_regions(target, labels).transpose(0, 1)
        if known is not None:
            predicted, reference = predicted & known, reference & known
        pairs = (predicted & reference, predicted & ~reference, reference & ~predicted)
        counts = torch.stack([pair.flatten(1).sum(1) for pair in pairs])
    else:
        classes = logits.shape[1]
        joint = target * classes + logits.argmax(1)
        joint = joint.flatten() if known is None else joint[known]
        confusion = torch.bincount(joint, minlength=classes * classes).view(classes, classes)
        hits = confusion.diagonal()  # rows: target, columns: prediction
        counts = torch.stack((hits, confusion.sum(0) - hits, confusion.sum(1) - hits))[:, 1:]
    total = target.numel() if known is None else known.sum()
    return torch.cat((counts, (total - counts.sum(0))[None]))


def dice_from_counts(counts: torch.Tensor) -> list[float | None]:
    """Dice of each output; None where it is neither predicted nor present."""
    return measures_from_counts(counts)["dice"]


def measures_from_counts(counts: torch.Tensor) -> dict[str, list[float | None]]:
    """Of each output, each of ``MEASURES``; None where its denominator is 0."""
    measures: dict[str, list[float | None]] = {name: [] for name in MEASURES}
    for tp, fp, fn, tn in counts.T.tolist():
        fractions = (
            (tp, tp + fp),
            (tp, tp + fn),
            (tn, tn + fp),
            (tp, tp + fp + fn),
            (tp + tn, tp + fp + fn + tn),
            (2 * tp, 2 * tp + fp + fn),
        )
        for name, (numerator, denominator) in zip(MEASURES, fractions, strict=True):
            measures[name].append(numerator / denominator if denominator else None)
    return measures
