"""Logits of a whole case from one forward pass."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from autoseg.inference.engines import Engine
from autoseg.inference.lanes import Lanes, side_by_side


def full_volume_logits(
    engines: Sequence[Engine],
    image: npt.NDArray[np.float32],
    patch_size: Sequence[int],
    size_multiple: Sequence[int],
    lanes: Lanes,
) -> npt.NDArray[np.float32]:
    """``(C, *shape)`` -> logits ``(K, *shape)``: the mean over networks of one pass each.

    The case is zero-padded, centred (the odd voxel above), to the size that the networks were trained at
    (their instance normalisation sees the padding), or to the next multiple of their strides where it is larger.
    """
    shape = image.shape[1:]
    size = [
        max(patch, -(-extent // multiple) * multiple)
        for patch, extent, multiple in zip(patch_size, shape, size_multiple, strict=True)
    ]
    before = [(padded - extent) // 2 for padded, extent in zip(size, shape, strict=True)]
    inside = tuple(slice(start, start + extent) for start, extent in zip(before, shape, strict=True))
    padded = np.zeros((len(image), *size), np.float32)
    padded[:, *inside] = image
    batch = torch.from_numpy(padded)[None]
    total = None
    workers = lanes.shared(len(engines)).workers
    for logits in side_by_side(lambda engine: engine(batch)[0].cpu().numpy(), engines, workers):
        part = logits[:, *inside]
        total = part if total is None else np.add(total, part, out=total)
    assert total is not None
    total /= len(engines)
    return np.ascontiguousarray(total)
