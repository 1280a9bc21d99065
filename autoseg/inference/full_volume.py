"""Logits of a whole case from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from autoseg.inference.sliding_window import pad_to
from autoseg.runtime.devices import Execution


@torch.inference_mode()
def full_volume_logits(
    networks: Sequence[nn.Module],
    image: npt.NDArray[np.float32],
    patch_size: Sequence[int],
    size_multiple: Sequence[int],
    execution: Execution,
) -> npt.NDArray[np.float32]:
    """``(C, *shape)`` -> logits ``(K, *shape)``: the mean over networks of one pass each.

    The case is zero-padded to the size that the networks were trained at (their instance
    normalisation sees the padding), or to the next multiple of their strides where it is larger.
    """
    size = [
        max(patch, -(-extent // multiple) * multiple)
        for patch, extent, multiple in zip(patch_size, image.shape[1:], size_multiple, strict=True)
    ]
    padded, inside = pad_to(torch.from_numpy(image)[None], size)
    batch = execution.place(padded)
    total = torch.zeros(())
    for network in networks:
        with execution.autocast():
            logits = network(batch)
        total = total + logits[..., *inside].float().cpu()
    mean: npt.NDArray[np.float32] = total.div_(len(networks))[0].numpy()
    return mean
