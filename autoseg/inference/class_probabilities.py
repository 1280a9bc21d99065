"""From logits to probabilities, and from probabilities of regions to label indices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Logits = npt.NDArray[np.float32]


def softmax(logits: Logits) -> Logits:
    """Probabilities over the first axis; ``logits`` are not changed."""
    exponential: Logits = logits - logits.max(axis=0)
    np.exp(exponential, out=exponential)
    exponential /= exponential.sum(axis=0)
    return exponential


def sigmoid(logits: Logits) -> Logits:
    """The probability of each region on its own; ``logits`` are not changed."""
    # By tanh, which does not overflow.
    half: Logits = logits * np.float32(0.5)
    np.tanh(half, out=half)
    half += 1
    half *= np.float32(0.5)
    return half


def painted(values: Logits, threshold: float, written: Sequence[int]) -> npt.NDArray[np.uint16]:
    """``(K, *shape)`` -> where a region exceeds ``threshold`` its index, later regions over earlier ones; else 0."""
    result = np.zeros(values.shape[1:], np.uint16)
    for region, index in zip(values, written, strict=True):
        result[region > threshold] = index
    return result
