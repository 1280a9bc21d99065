"""How training patches are changed at random: nnU-Net's list, or the operations of a recipe in their order.

Axes are those of the patch; every operation happens with probability ``p``.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from autoseg.core.document import Frozen, Share

Range = tuple[float, float]
Axis = Annotated[int, Field(ge=0, le=2)]


class Mirror(Frozen):
    """Reverse an axis."""

    op: Literal["mirror"]
    axis: Axis
    p: Share = 0.5


class Rotate(Frozen):
    """Rotate in the plane of the last two axes by up to ``degrees`` either way; nearest neighbour, zeros outside."""

    op: Literal["rotate"]
    degrees: float = Field(gt=0, le=180)
    p: Share = 1.0


class ResizedCrop(Frozen):
    """Enlarge a box of the plane of the last two axes to the patch; linear.

    The box has a share ``area`` of the plane and the sides' ratio ``aspect``, inverted half of the time.
    """

    op: Literal["resized_crop"]
    area: Range
    aspect: Range
    p: Share = 1.0


class Elastic(Frozen):
    """Move every voxel by a smooth random field, the same for all channels and labels.

    Per axis: uniform noise in -1..1, smoothed with a Gaussian of ``sigma`` and multiplied by ``alpha``, both in
    voxels or, if ``relative``, in sizes of that axis. ``independent_labels`` draws the labels' field anew, as the
    code of Paugam et al. does.
    """

    op: Literal["elastic"]
    alpha: Range
    sigma: Range
    relative: bool = False
    interpolation: Literal["linear", "nearest"] = "linear"
    border: Literal["zero", "nearest"] = "zero"
    independent_labels: bool = False
    p: Share = 1.0


class ChannelShift(Frozen):
    """Add to a channel up to ``share`` of its largest value, either way."""

    op: Literal["channel_shift"]
    share: float = Field(gt=0)
    p: Share = 1.0


class GaussianNoise(Frozen):
    """Add noise with a standard deviation drawn from ``deviation``."""

    op: Literal["gaussian_noise"]
    deviation: Range
    p: Share = 1.0


class HalfTurns(Frozen):
    """One of: half a turn in the plane of the last two axes, the last axis reversed, both."""

    op: Literal["half_turns"]
    p: Share = 0.5


Operation = Annotated[
    Mirror | Rotate | ResizedCrop | Elastic | ChannelShift | GaussianNoise | HalfTurns, Field(discriminator="op")
]


class AugmentationSpec(Frozen):
    """``operations`` replace nnU-Net's list (None), of which only what depends on the dataset is given here.

    ``mirror_axes`` are also those of the mirrored copies in prediction.
    """

    rotation_degrees: float = Field(ge=0, le=180)
    dummy_2d: bool  # rotate and scale in the plane of axes 1 and 2 only
    mirror_axes: tuple[Annotated[int, Field(ge=0)], ...]
    operations: tuple[Operation, ...] | None = None
