"""The label map of a previous stage as input of the next one (nnU-Net's cascade)."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration, Plan


def num_previous_channels(labels: Labels) -> int:
    """One channel for each label index but background."""
    return len(labels.stored_values) - 1


def num_input_channels(plan: Plan, configuration: Configuration) -> int:
    """What the network of a configuration sees: the channels of the image, and those of the previous stage.

    A classifier of single voxels sees no label map: the previous stage chooses its voxels.
    """
    has_map = configuration.previous_stage is not None and configuration.candidates is None
    return len(plan.channels) + (num_previous_channels(plan.labels) if has_map else 0)


def one_hot_channels(indices: npt.NDArray[np.integer], labels: Labels) -> npt.NDArray[np.float32]:
    """Label indices ``(*shape)`` -> ``(L, *shape)``: 1 where the label is, 0 elsewhere."""
    channels = np.empty((num_previous_channels(labels), *indices.shape), np.float32)
    for index, channel in enumerate(channels, start=1):
        np.equal(indices, index, out=channel, casting="unsafe")
    return channels
