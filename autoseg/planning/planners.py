"""The constants in which planners differ; the rules are the same for all.

Source: nnU-Net 2.8.1, ``ExperimentPlanner`` and ``nnUNetPlannerResEncM``, ``L`` and ``XL``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoseg.core.errors import BadInput


@dataclass(frozen=True)
class MemoryReference:
    """The activation count of one patch that fills ``memory_gb`` with ``batch_size`` patches.

    A patch is small enough once ``smallest_batch`` of it fit.
    """

    activations: float
    memory_gb: float
    batch_size: int
    smallest_batch: int


@dataclass(frozen=True)
class Architecture:
    """A network of the catalogue without its topology; ``encoder_blocks`` has one entry for each possible stage."""

    network: str
    encoder_blocks: tuple[int, ...]
    convolutions_per_decoder_stage: int


@dataclass(frozen=True)
class Planner:
    """``references`` by number of dimensions; a batch covers at most ``share_of_data`` of the dataset's voxels."""

    architecture: Architecture
    references: Mapping[int, MemoryReference]
    share_of_data: float

    @property
    def memory_gb(self) -> float:
        """The memory that the planner aims at unless told otherwise."""
        return self.references[3].memory_gb


PLAIN = Architecture("plain_unet", (2,) * 14, 2)
RESIDUAL = Architecture("residual_encoder_unet", (1, 3, 4, *(6,) * 11), 1)


def _residual(memory_gb: float, activations_3d: float, activations_2d: float) -> Planner:
    references = {
        3: MemoryReference(activations_3d, memory_gb, batch_size=2, smallest_batch=2),
        2: MemoryReference(activations_2d, memory_gb, batch_size=12, smallest_batch=12),
    }
    return Planner(RESIDUAL, references, share_of_data=1)


PLANNERS = {
    "default": Planner(
        PLAIN,
        {
            3: MemoryReference(560e6, 8, batch_size=2, smallest_batch=2),
            2: MemoryReference(85e6, 8, batch_size=12, smallest_batch=2),
        },
        share_of_data=0.05,
    ),
    "resenc-m": _residual(8, 680e6, 135e6),
    "resenc-l": _residual(24, 2100e6, 380e6),
    "resenc-xl": _residual(40, 3600e6, 560e6),
}


def planner_named(name: str) -> Planner:
    """The planner of the catalogue, else a sentence with those that there are."""
    if name not in PLANNERS:
        raise BadInput(f"--planner {name}: there is no such planner; choose one of {', '.join(PLANNERS)}.")
    return PLANNERS[name]
