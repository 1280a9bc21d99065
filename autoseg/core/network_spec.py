"""The network of a configuration: a U-Net that the planner makes to measure, or one of the catalogue as published."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, JsonValue, Tag, model_validator

from autoseg.core.document import Edge, Frozen, Problem, length, listed, refuse

MADE_TO_MEASURE = ("plain_unet", "residual_encoder_unet")
_MADE, _PUBLISHED = "<made to measure>", "<published>"
TAGS = {_MADE, _PUBLISHED}  # pydantic puts them into the paths of errors


# Far beyond what any network has: a document that asks for more is refused before anything is built.
MOST_STAGES, MOST_BLOCKS, WIDEST, LARGEST_KERNEL, LARGEST_STRIDE = 16, 64, 2**16, 63, 64
Entry = TypeVar("Entry")
Stages = Annotated[tuple[Entry, ...], Field(max_length=MOST_STAGES)]
Width = Annotated[int, Field(ge=1, le=WIDEST)]
Taps = Annotated[int, Field(ge=1, le=LARGEST_KERNEL)]
Stride = Annotated[int, Field(ge=1, le=LARGEST_STRIDE)]
Blocks = Annotated[int, Field(ge=1, le=MOST_BLOCKS)]


class NetworkSpec(Frozen):
    """A U-Net by its catalogue name, and its topology; stage 0 is full resolution."""

    name: str
    dimensions: Literal[2, 3]
    features_per_stage: Stages[Width]
    kernel_sizes: Stages[tuple[Taps, ...]]
    strides: Stages[tuple[Stride, ...]]
    blocks_per_stage: Stages[Blocks]
    blocks_per_decoder_stage: Stages[Blocks]

    @property
    def size_multiple(self) -> tuple[int, ...]:
        """Each axis of an input must be a multiple of this: the product of its strides."""
        multiple = [1] * self.dimensions
        for stride in self.strides:
            multiple = [m * s for m, s in zip(multiple, stride, strict=True)]
        return tuple(multiple)

    def describe(self) -> str:
        """Such as ``plain_unet, 32 features``: at full resolution."""
        return f"{self.name}, {self.features_per_stage[0]} features"

    @model_validator(mode="after")
    def _stages_agree(self) -> NetworkSpec:
        stages = len(self.strides)
        problems: list[Problem] = (
            [] if stages > 1 else [("strides", f"{stages} entries; a network has at least 2 stages")]
        )
        for field in ("features_per_stage", "kernel_sizes", "blocks_per_stage"):
            problems += length(field, getattr(self, field), stages, "strides")
        problems += length("blocks_per_decoder_stage", self.blocks_per_decoder_stage, stages - 1, "strides but one")
        for field in ("strides", "kernel_sizes"):
            for stage, entry in enumerate(getattr(self, field)):
                problems += length(f"{field}.{stage}", entry, self.dimensions, "dimensions")
        for stage, kernel in enumerate(self.kernel_sizes):
            if any(taps % 2 == 0 for taps in kernel):
                problems.append((f"kernel_sizes.{stage}", f"{listed(kernel)} has an even number"))
        refuse(problems)
        return self


class PublishedNetwork(Frozen):
    """A network as published: its catalogue name and the parameters of its builder.

    With ``batch_statistics`` its batch norms use the statistics of the batch at hand in prediction too.
    """

    name: str
    dimensions: Literal[2, 3]
    size_multiple: tuple[Edge, ...]  # of the sizes that it is given
    params: dict[str, JsonValue] = Field(default_factory=dict)
    batch_statistics: bool = False

    def describe(self) -> str:
        """Such as ``voxhrnet (size base)``."""
        params = ", ".join(f"{name} {value}" for name, value in self.params.items())
        return f"{self.name} ({params})" if params else self.name

    @model_validator(mode="after")
    def _sizes_agree(self) -> PublishedNetwork:
        problems = length("size_multiple", self.size_multiple, self.dimensions, "dimensions")
        for name, value in self.params.items():
            numbers = list(_numbers(value))
            if len(numbers) > MOST_STAGES * MOST_BLOCKS or any(abs(number) > WIDEST for number in numbers):
                problems.append((f"params.{name}", f"has a number above {WIDEST}, or too many"))
        refuse(problems)
        return self


def _numbers(value: JsonValue) -> Iterator[float]:
    """All numbers in a parameter, however nested."""
    if isinstance(value, dict | list):
        for part in value.values() if isinstance(value, dict) else value:
            yield from _numbers(part)
    elif isinstance(value, int | float):
        yield value


def _kind(network: Any) -> str:
    name = network.get("name") if isinstance(network, dict) else getattr(network, "name", None)
    return _MADE if name in MADE_TO_MEASURE else _PUBLISHED


Network = Annotated[
    Annotated[NetworkSpec, Tag(_MADE)] | Annotated[PublishedNetwork, Tag(_PUBLISHED)], Discriminator(_kind)
]
