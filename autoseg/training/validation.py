"""How a network does on patches of the validation cases, at the end of an epoch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.runtime import ranks
from autoseg.runtime.devices import Execution
from autoseg.runtime.profiling import phase
from autoseg.training.frozen import set_to_train
from autoseg.training.losses import one_loss
from autoseg.training.overlap import overlap_counts
from autoseg.training.patches import Batch
from autoseg.training.step import batch_parts, forward, in_parts


@dataclass(frozen=True, eq=False)
class Sample:
    """One patch: ``image`` (C, *patch), ``logits`` (K, *patch) and ``target`` (*patch), on the CPU."""

    image: torch.Tensor
    logits: torch.Tensor
    target: torch.Tensor


@dataclass(frozen=True, eq=False)
class Validation:
    """``counts`` as ``overlap.overlap_counts``, over all batches; the mean loss; the first patch of all.

    Counts and loss are those of all processes; the patch is this one's, None where it has no share of any batch.
    """

    counts: torch.Tensor
    loss: float
    sample: Sample | None


@phase("evaluate")
def validate(
    network: nn.Module,
    batches: Iterator[Batch],
    execution: Execution,
    configuration: Configuration,
    labels: Labels,
    num_batches: int,
) -> Validation:
    """Of the finest output, without dropout and with the running statistics of batch norms."""
    network.eval()
    counts, losses, sample = torch.zeros(()), [], None
    for _ in range(num_batches):
        batch = next(batches)
        image, target = execution.place(batch.image), batch.target.to(execution.device)

        @torch.no_grad()
        def count(
            part: slice, image: torch.Tensor = image, target: torch.Tensor = target
        ) -> tuple[torch.Tensor, torch.Tensor]:
            logits = forward(network, image[part], execution)[0]
            return logits, overlap_counts(logits, target[part], labels).cpu()

        parts = in_parts(count, batch_parts(len(image), execution, network))
        counts = counts + torch.stack([of_part for _, of_part in parts]).sum(0)
        logits = torch.cat([of_part for of_part, _ in parts])
        losses.append(float(one_loss(logits, target, labels, configuration.batch_dice, configuration.training.loss)))
        if sample is None and len(image):
            sample = Sample(batch.image[0], logits[0].float().cpu(), batch.target[0])
    set_to_train(network)
    return Validation(ranks.total(counts), sum(losses) / len(losses), sample)
