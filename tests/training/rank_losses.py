"""The share of one process in every loss, for the tests: ``python -m tests.training.rank_losses FOLDER``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import get_args

import torch
from safetensors.torch import save_file

from autoseg.core.labels import Labels
from autoseg.core.training_spec import Loss
from autoseg.runtime import ranks
from autoseg.training.losses import deep_supervision_loss

KINDS = {
    "classes": Labels(values={"shell": 1, "core": 2}),
    "regions": Labels(values={"ball": (1, 2), "core": (2,)}, region_order=(1, 2)),
    "ignoring": Labels(values={"shell": 1, "ignore": 2}),
}


def every_loss() -> Iterator[tuple[str, Labels, bool, Loss]]:
    """A name, the labels, whether Dice is of the batch, and the loss."""
    for (kind, labels), batch_dice, loss in product(KINDS.items(), (False, True), get_args(Loss)):
        yield f"{kind} {batch_dice} {loss}", labels, batch_dice, loss


def batch_of(labels: Labels) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits and target of three samples."""
    random = torch.Generator().manual_seed(0)
    logits = torch.randn(3, labels.num_outputs, 5, 6, 7, generator=random)
    return logits, torch.randint(3, (3, 5, 6, 7), generator=random)


def main(folder: Path) -> None:
    """Write the loss, which all processes have, and the gradient of the own logits."""
    found = {}
    with ranks.joined("cpu"):
        own = slice((0, 2, 3)[ranks.number()], (2, 3, 3)[ranks.number()])
        for name, labels, batch_dice, loss in every_loss():
            logits, target = (part[own] for part in batch_of(labels))
            logits.requires_grad_()
            value = deep_supervision_loss([logits], target, labels, batch_dice, loss)
            value.backward()
            found |= {f"{name} loss": value.detach(), f"{name} gradient": logits.grad}
        save_file(found, folder / f"{ranks.number()}.safetensors")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
