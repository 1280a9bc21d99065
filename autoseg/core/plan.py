"""Every decision about a dataset, in one JSON document.

Spatial entries are in *working* axes: working axis ``i`` is canonical axis ``axis_order[i]``
(0 = left-right, 1 = back-front, 2 = down-up). A 2D configuration cuts slices across working axis 0.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, ValidationError, model_validator

from autoseg.core.document import Frozen
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.labels import Labels

SCHEMA_VERSION = 1

Normalization = Literal["zscore", "ct", "rescale_0_1", "rgb_0_1", "none"]


class NetworkSpec(Frozen):
    """The network by its catalogue name, and its topology; stage 0 is full resolution."""

    name: str
    dimensions: Literal[2, 3]
    features_per_stage: tuple[int, ...]
    kernel_sizes: tuple[tuple[int, ...], ...]
    strides: tuple[tuple[int, ...], ...]
    blocks_per_stage: tuple[int, ...]
    blocks_per_decoder_stage: tuple[int, ...]

    @property
    def size_multiple(self) -> tuple[int, ...]:
        """Each axis of an input must be a multiple of this: the product of its strides."""
        multiple = [1] * self.dimensions
        for stride in self.strides:
            multiple = [m * s for m, s in zip(multiple, stride, strict=True)]
        return tuple(multiple)


class AugmentationSpec(Frozen):
    """What depends on the dataset; the rest of the transform list is fixed."""

    rotation_degrees: float
    dummy_2d: bool  # rotate and scale in the plane of axes 1 and 2 only
    mirror_axes: tuple[int, ...]


class TrainingSpec(Frozen):
    """The optimisation. With ``time_budget_s`` the schedule runs over elapsed time, not steps."""

    epochs: int = Field(1000, ge=1)
    steps_per_epoch: int = Field(250, ge=1)
    validation_steps: int = Field(50, ge=1)
    time_budget_s: float | None = Field(None, gt=0)
    initial_learning_rate: float = Field(1e-2, gt=0)
    warmup_steps: int = Field(0, ge=0)  # the rate rises linearly over so many steps
    momentum: float = Field(0.99, ge=0, lt=1)
    weight_decay: float = Field(3e-5, ge=0)
    gradient_clip: float = Field(12.0, gt=0)
    foreground_share: float = Field(1 / 3, ge=0, le=1)
    seed: int = 0


class Configuration(Frozen):
    """One way of solving the dataset."""

    name: str
    spacing_mm: tuple[float, ...]  # one per network dimension: 2D keeps the spacing of axis 0
    median_shape_voxels: tuple[float, ...]
    patch_size: tuple[int, ...]
    batch_size: int = Field(ge=1)
    previous_stage: str | None = None  # the configuration whose label map is a further input, one channel a label
    whole_case: bool = False  # the patch holds any case: one forward pass, no tiles
    batch_dice: bool
    previous_stage: str | None = None  # the configuration whose label map the network sees as well
    normalization: tuple[Normalization, ...]
    mask_normalization: tuple[bool, ...]  # statistics over nonzero voxels, zeros outside
    network: NetworkSpec
    augmentation: AugmentationSpec
    training: TrainingSpec = TrainingSpec()

    @model_validator(mode="after")
    def _sizes_agree(self) -> Configuration:
        if len(self.patch_size) != self.network.dimensions or len(self.spacing_mm) != self.network.dimensions:
            raise ValueError(f"patch_size and spacing_mm need {self.network.dimensions} entries")
        if any(p % m for p, m in zip(self.patch_size, self.network.size_multiple, strict=True)):
            raise ValueError(f"patch_size {self.patch_size} is no multiple of {self.network.size_multiple}")
        return self


class Decision(Frozen):
    """One decision in words: what was decided, the choice, and why."""

    what: str
    choice: str
    reason: str


class Plan(Frozen):
    """The plan of a dataset."""

    schema_version: int = SCHEMA_VERSION
    dataset: str
    planner: str
    channels: tuple[str, ...]
    labels: Labels
    file_ending: str
    axis_order: tuple[int, int, int]
    intensities: tuple[IntensityStatistics, ...]
    configurations: dict[str, Configuration]
    recommended: str
    decisions: tuple[Decision, ...]


def read_plan(text: str, source: str) -> Plan:
    """Parse a plan; every error is listed with its path in one BadInput sentence."""
    try:
        return Plan.model_validate_json(text)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc']) or 'document'}: {item['msg']}" for item in error.errors()
        )
        raise BadInput(f"{source} is not a valid plan ({problems}): correct it or run `autoseg plan` again.") from None
