"""How sure a segmentation is of itself: the Dice that its own probabilities let one expect.

If the probabilities were right, a voxel would belong to a label with its probability p. With m = 1 where the voxel is
given that label, the expectation of intersection over sizes is, to first order,

    2 sum(p m) / (sum(p) + sum(m)),

the soft Dice of a prediction with itself (``soft_dice``): 1 where every voxel is certain. Networks are surer than they
are right, so this number is no Dice yet; ``evaluation.expected_dice`` makes one of it. Only three sums are needed of
each label. They are taken where labels are decided anyway, some planes at a time.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from autoseg.core.labels import Labels
from autoseg.inference.class_probabilities import Logits, painted, sigmoid, softmax
from autoseg.preprocessing.resample_slabs import slabs

Sums = npt.NDArray[np.float64]  # (outputs, 3): sum(p m), sum(p), sum(m) of each of ``Labels.output_names``


def no_sums(labels: Labels) -> Sums:
    """``(outputs, 3)`` zeros, to which sums are added."""
    return np.zeros((len(labels.output_names), 3))


def overlap_sums(probabilities: Logits, indices: npt.NDArray[np.integer], labels: Labels, times: float = 1.0) -> Sums:
    """The sums over the voxels of ``probabilities`` ``(K, *shape)``, which are ``times`` too large.

    ``indices`` ``(*shape)`` is what was decided there: a region is where any of its indices is.
    """
    sums = no_sums(labels)
    of_outputs = probabilities[len(probabilities) - len(sums) :]  # without that of the background, where there is one
    member = np.zeros(len(labels.stored_values), np.bool_)
    for total, probability, own in zip(sums, of_outputs, labels.region_indices, strict=True):
        member[:] = False
        member[list(own)] = True
        mask = member[indices]
        total[:] = probability[mask].sum(dtype=np.float64), probability.sum(dtype=np.float64), np.count_nonzero(mask)
    sums[:, :2] /= times
    return sums


def logits_sums(logits: Logits, labels: Labels) -> Sums:
    """The sums of ``logits`` ``(K, *shape)``, with what they decide where nothing is resampled; slab by slab."""
    sums, written = no_sums(labels), labels.written_indices
    for planes in slabs(logits.shape[1:], len(logits)):
        if written:
            probabilities = sigmoid(logits[:, planes])
            indices: npt.NDArray[np.integer] = painted(probabilities, 0.5, written)
        else:
            probabilities = softmax(logits[:, planes])
            indices = probabilities.argmax(axis=0)
        sums += overlap_sums(probabilities, indices, labels)
    return sums


def soft_dice(sums: Sums, labels: Labels) -> Mapping[str, float | None]:
    """Of each label or region the soft Dice of the prediction with itself; None where no voxel was given the label."""
    return {
        name: None if mask == 0 else float(2 * both / (probability + mask))
        for name, (both, probability, mask) in zip(labels.output_names, sums, strict=True)
    }
