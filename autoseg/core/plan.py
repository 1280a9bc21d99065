"""Every decision about a dataset, in one JSON document.

Spatial entries are in *working* axes: working axis ``i`` is canonical axis ``axis_order[i]``
(0 = left-right, 1 = back-front, 2 = down-up), or with the orientation ``stored`` axis ``axis_order[i]`` of
the file, never flipped. A 2D configuration cuts slices across working axis 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import PydanticCustomError, from_json

from autoseg.core import plan_inheritance
from autoseg.core.document import Frozen
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.geometry import Orientation
from autoseg.core.labels import Labels

SCHEMA_VERSION = 1
_DISAGREE = "disagree"

Normalization = Literal["zscore", "ct", "rescale_0_1", "rgb_0_1", "none"]
Count = Annotated[int, Field(ge=1)]
Length = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class NetworkSpec(Frozen):
    """The network by its catalogue name, and its topology; stage 0 is full resolution."""

    name: str
    dimensions: Literal[2, 3]
    features_per_stage: tuple[Count, ...]
    kernel_sizes: tuple[tuple[Count, ...], ...]
    strides: tuple[tuple[Count, ...], ...]
    blocks_per_stage: tuple[Count, ...]
    blocks_per_decoder_stage: tuple[Count, ...]

    @property
    def size_multiple(self) -> tuple[int, ...]:
        """Each axis of an input must be a multiple of this: the product of its strides."""
        multiple = [1] * self.dimensions
        for stride in self.strides:
            multiple = [m * s for m, s in zip(multiple, stride, strict=True)]
        return tuple(multiple)

    @model_validator(mode="after")
    def _stages_agree(self) -> NetworkSpec:
        stages = len(self.strides)
        problems = [] if stages > 1 else [("strides", f"{stages} entries; a network has at least 2 stages")]
        for field in ("features_per_stage", "kernel_sizes", "blocks_per_stage"):
            problems += _length(field, getattr(self, field), stages, "strides")
        problems += _length("blocks_per_decoder_stage", self.blocks_per_decoder_stage, stages - 1, "strides but one")
        for field in ("strides", "kernel_sizes"):
            for stage, entry in enumerate(getattr(self, field)):
                problems += _length(f"{field}.{stage}", entry, self.dimensions, "dimensions")
        for stage, kernel in enumerate(self.kernel_sizes):
            if any(taps % 2 == 0 for taps in kernel):
                problems.append((f"kernel_sizes.{stage}", f"{_listed(kernel)} has an even number"))
        _refuse(problems)
        return self


class AugmentationSpec(Frozen):
    """What depends on the dataset; the rest of the transform list is fixed."""

    rotation_degrees: float = Field(ge=0, le=180)
    dummy_2d: bool  # rotate and scale in the plane of axes 1 and 2 only
    mirror_axes: tuple[Annotated[int, Field(ge=0)], ...]


class TrainingSpec(Frozen):
    """The optimisation. With ``time_budget_s`` the schedule runs over elapsed time, not steps."""

    epochs: int = Field(1000, ge=1)
    steps_per_epoch: int = Field(250, ge=1)
    validation_steps: int = Field(50, ge=1)
    time_budget_s: float | None = Field(None, gt=0)
    patience_epochs: int | None = Field(
        None, ge=1
    )  # without a better validation Dice, before the schedule is shortened
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
    spacing_mm: tuple[Length, ...]  # one per network dimension: 2D keeps the spacing of axis 0
    median_shape_voxels: tuple[Length, ...]
    patch_size: tuple[Count, ...]
    batch_size: int = Field(ge=1)
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
        problems: list[tuple[str, str]] = []
        for field in ("spacing_mm", "median_shape_voxels", "patch_size"):
            problems += _length(field, getattr(self, field), self.network.dimensions, "dimensions of the network")
        multiple = self.network.size_multiple
        if len(self.patch_size) == len(multiple) and any(p % m for p, m in zip(self.patch_size, multiple, strict=True)):
            problems.append(("patch_size", f"{_listed(self.patch_size)} is no multiple of {_listed(multiple)}"))
        axes = self.augmentation.mirror_axes
        if len(set(axes)) < len(axes) or any(axis >= self.network.dimensions for axis in axes):
            problems.append(("augmentation.mirror_axes", f"{_listed(axes)} are no axes of the network, each once"))
        _refuse(problems)
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
    orientation: Orientation = "canonical"
    axis_order: tuple[int, int, int]
    intensities: tuple[IntensityStatistics, ...]
    configurations: dict[str, Configuration]
    recommended: str
    decisions: tuple[Decision, ...]

    @model_validator(mode="after")
    def _parts_agree(self) -> Plan:
        problems: list[tuple[str, str]] = []
        if sorted(self.axis_order) != [0, 1, 2]:
            problems.append(("axis_order", f"{_listed(self.axis_order)} is no order of the axes 0, 1, 2"))
        problems += _length("intensities", self.intensities, len(self.channels), "channels")
        if self.recommended not in self.configurations:
            problems.append(("recommended", f"{self.recommended!r} is no configuration of this plan"))
        for key, configuration in self.configurations.items():
            problems += [(f"configurations.{key}.{path}", text) for path, text in self._misfits(key, configuration)]
        _refuse(problems)
        return self

    def _misfits(self, key: str, configuration: Configuration) -> Iterator[tuple[str, str]]:
        """Where a configuration does not fit this plan."""
        if configuration.name != key:
            yield "name", f"{configuration.name!r} should be {key!r}, as the configuration is called in the plan"
        for field in ("normalization", "mask_normalization"):
            yield from _length(field, getattr(configuration, field), len(self.channels), "channels")
        previous = configuration.previous_stage
        if previous is not None and previous not in self.configurations:
            yield "previous_stage", f"{previous!r} is no configuration of this plan"
        elif previous is not None and self.configurations[previous].previous_stage is not None:
            yield "previous_stage", f"{previous!r} has a previous stage itself"


def read_plan(text: str, source: str) -> Plan:
    """Parse a plan and write out what is inherited; every error is listed with its path in one BadInput sentence."""
    try:
        document, problems = plan_inheritance.resolve(from_json(text))
        if not problems:
            return Plan.model_validate(document)
    except ValidationError as error:
        problems = [problem for item in error.errors() for problem in _problems(item)]
    except ValueError as error:
        problems = [("document", f"Invalid JSON: {error}")]
    listed = "; ".join(f"{path}: {problem}" for path, problem in problems)
    raise BadInput(f"{source} is not a valid plan ({listed}): correct it or run `autoseg plan` again.")


def _problems(item: Any) -> Iterator[tuple[str, str]]:
    """The (path, sentence) of one error of pydantic; those that ``_refuse`` has put together are taken apart."""
    place = tuple(str(part) for part in item["loc"])
    found = item["ctx"]["problems"] if item["type"] == _DISAGREE else [("", item["msg"])]
    for path, problem in found:
        yield ".".join([*place, *filter(None, [path])]) or "document", problem


def _refuse(problems: Sequence[tuple[str, str]]) -> None:
    """Raise what pydantic lists with its other errors, unless there are no problems."""
    if problems:
        listed = "; ".join(f"{path}: {problem}" for path, problem in problems)
        raise PydanticCustomError(_DISAGREE, "{listed}", {"listed": listed, "problems": problems})


def _length(path: str, values: Sequence[Any], wanted: int, of: str) -> list[tuple[str, str]]:
    """A problem unless there are as many values as ``of``."""
    return [] if len(values) == wanted else [(path, f"{len(values)} entries for {wanted} {of}")]


def _listed(values: Iterable[int]) -> str:
    return " x ".join(str(value) for value in values)
