"""The configuration ``full_volume``: the patch is a whole case, so prediction is one forward pass.

It has the spacing of ``3d_fullres``, a patch that holds the largest case, and as many features as fit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from autoseg.core.plan import Configuration, Decision
from autoseg.planning.memory import BYTES_OF_PROCESS, largest_batch, training_bytes
from autoseg.planning.planners import PLAIN, Architecture
from autoseg.planning.topology import choose_topology_with_pooling, network_spec

BASE_FEATURES = (32, 24, 16, 12, 8)  # tried in this order
LARGEST_BATCH = 8


def full_volume(
    fullres: Configuration,
    largest_shape: Sequence[int],
    dataset_voxels: float,
    num_classes: int,
    memory_gb: float,
    architecture: Architecture = PLAIN,
) -> tuple[Configuration | None, Decision]:
    """The widest network that trains on whole cases in ``memory_gb``, or None with the reason.

    ``largest_shape`` is the maximum over cases of the resampled crop, axis by axis, in working axes.
    The augmentation of ``fullres`` is kept but for what depends on the patch.
    """
    topology = choose_topology_with_pooling(fullres.spacing_mm, largest_shape)
    patch, in_channels = topology.patch_size, len(fullres.normalization)
    size = " x ".join(str(edge) for edge in patch)
    for base in BASE_FEATURES:
        network = network_spec(topology, base, architecture)
        fits = largest_batch(network, patch, in_channels, num_classes, memory_gb)
        if fits < 1:
            continue
        share = round(dataset_voxels * 0.05 / math.prod(patch))
        batch = max(1, min(fits, share, LARGEST_BATCH))
        flat = max(patch) / patch[0] > 3
        augmentation = fullres.augmentation.model_copy(
            update={"dummy_2d": flat, "rotation_degrees": 180.0 if flat else 30.0}
        )
        update = {
            "name": "full_volume",
            "patch_size": patch,
            "batch_size": batch,
            "whole_case": True,
            "network": network,
            "augmentation": augmentation,
        }
        need = (training_bytes(network, patch, batch, in_channels, num_classes) + BYTES_OF_PROCESS) / 1e9
        reason = (
            f"{size} voxels hold every case; a training step of batch {batch} with {base} features in the first "
            f"stage needs about {need:.1f} of {memory_gb:g} GB"
        )
        choice = f"patch {size}, batch {batch}, {base} features"
        configuration = Configuration.model_validate(fullres.model_dump() | update)
        return configuration, Decision(what="full_volume", choice=choice, reason=reason)
    narrowest = network_spec(topology, BASE_FEATURES[-1], architecture)
    need = (training_bytes(narrowest, patch, 1, in_channels, num_classes) + BYTES_OF_PROCESS) / 1e9
    reason = (
        f"one case of {size} voxels needs about {need:.1f} GB to train even with {BASE_FEATURES[-1]} features, "
        f"and {memory_gb:g} GB are given"
    )
    return None, Decision(what="full_volume", choice="left out", reason=reason)
