"""Whether the memory suffices: told from the plan and the header before anything of the size in question is made.

Nothing is refused unless the estimate exceeds what is left by ``CLEARLY``. How estimates compare with measured peaks:
``planning.memory``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from autoseg.core.case import CaseFiles, Image
from autoseg.core.errors import BadInput
from autoseg.core.geometry import Shape, bounding_box, box_shape, spacing_mm, working_axes
from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Plan
from autoseg.io import images
from autoseg.planning.memory import prediction_bytes, training_bytes
from autoseg.preprocessing.case_grid import crop_box, prepared_grid
from autoseg.preprocessing.previous_stage import num_input_channels
from autoseg.runtime import ranks
from autoseg.runtime.memory import is_shortage, left_bytes

if TYPE_CHECKING:
    from autoseg.inference.predictor import Predictor

CLEARLY = 1.2
# Of what is estimated for fp32: measured under bf16 autocast 0.74 of a forward pass, 0.51 and 0.53 of a training step.
PREDICTING_IN_HALF, TRAINING_IN_HALF = 0.75, 0.6
BYTES_PER_GB = 1e9
_BYTES_PER_VALUE = 4  # fp32
_PREPARING_VALUES = 2**27  # of slabs at most, where a channel is prepared some planes at a time


@dataclass(frozen=True)
class Memory:
    """Bytes on the machine, and on the GPU where networks run on one (else 0)."""

    machine: int
    device: int


@dataclass(frozen=True)
class MemoryGuard:
    """What is left before the first case; ``instead`` are trained configurations that take less than the chosen one."""

    predictor: Any  # a pipeline.segmenting.Segmenter
    left: Memory
    instead: tuple[str, ...]

    def require_by_header(self, case: CaseFiles) -> int:
        """BadInput where a case clearly needs more than is left, whatever a crop to nonzero voxels leaves of it.

        Returns its number of values; 0 of a DICOM series.
        """
        if any(path.is_dir() for path in case.channels):
            return 0  # the header of a DICOM series is that of all its files
        headers = [images.read_header(path) for path in case.channels]
        (shape, affine), num_channels = headers[0][1], sum(channels for channels, _ in headers)
        self._require(case.name, num_channels, shape, affine, (1, 1, 1))
        return num_channels * prod(shape)

    def require(self, name: str, image: Image) -> None:
        """The same of an image that has been read, and so can tell what a crop leaves. Cheap where all of it fits."""
        whole = need(self.members, len(image.voxels), image.shape, image.affine, image.shape)
        if whole.machine <= self.left.machine and whole.device <= self.left.device:
            return
        box = bounding_box(np.any(image.voxels, axis=0))
        kept = image.shape if box is None else box_shape(box)
        self._require(name, len(image.voxels), image.shape, image.affine, kept)

    def sentence(self, name: str, error: BaseException) -> str:
        """Of a case for which there was no memory after all."""
        on_gpu = self.left.device > 0 and "cuda" in str(error).lower()
        return f"{name}: the memory did not suffice ({reason(error)}); {remedy(self.instead, on_gpu)}."

    @property
    def members(self) -> Sequence[Predictor]:
        """The predictors of an ensemble or the predictor itself; none where single voxels are classified."""
        members: Sequence[Predictor] = getattr(self.predictor, "members", [self.predictor])
        return [member for member in members if hasattr(member, "lanes")]

    def _require(
        self, name: str, num_channels: int, shape: Shape, affine: npt.NDArray[np.float64], kept: Shape
    ) -> None:
        needed = need(self.members, num_channels, shape, affine, kept)
        for place, most, left in (
            ("", needed.machine, self.left.machine),
            (" on the GPU", needed.device, self.left.device),
        ):
            if most > CLEARLY * left:
                most = min(most, 10**30)  # of a plan that asks for anything
                raise BadInput(
                    f"{name}: needs about {most / BYTES_PER_GB:.1f} GB of memory{place}, and "
                    f"{left / BYTES_PER_GB:.1f} GB are left; {remedy(self.instead, bool(place))}."
                )


def memory_guard(predictor: Any, trained: Sequence[str] = ()) -> MemoryGuard:
    """With what is left now; ``trained`` are the other configurations that could segment."""
    guard = MemoryGuard(predictor, Memory(left_bytes(), 0), ())
    if not guard.members:
        return guard
    device, configuration = guard.members[0].execution.device, guard.members[0].configuration
    smaller = [one for one in trained if one == "3d_lowres" or (configuration.whole_case and one != "full_volume")]
    on_gpu = left_bytes(device) if device.startswith("cuda") else 0
    return MemoryGuard(predictor, Memory(guard.left.machine, on_gpu), tuple(smaller))


def remedy(instead: Sequence[str], on_gpu: bool) -> str:
    """What a person can do."""
    first = f"choose {' or '.join(instead)} with --configuration, " if instead else ""
    return first + ("or add --device cpu" if on_gpu else "free memory, or use a machine with more")


def need(
    members: Sequence[Predictor], num_channels: int, shape: Shape, affine: npt.NDArray[np.float64], kept: Shape
) -> Memory:
    """The peak of segmenting a case of ``shape`` ``(X, Y, Z)``, of which ``kept`` stays if the crop is to nonzero.

    All members hold their prepared image and logits; one at a time prepares or computes.
    """
    held, working, device = 0, num_channels * prod(shape), 0
    for member in members:
        own, preparing, passing = _values(member, shape, affine, kept, by_slabs=len(members) == 1)
        on_cpu = member.execution.device == "cpu"
        held += own
        working = max(working, num_channels * prod(shape) + preparing, passing if on_cpu else 0)
        device = max(device, 0 if on_cpu else passing)
    # One byte a voxel for the mask of nonzero voxels, and as many for the labels.
    return Memory(_BYTES_PER_VALUE * (held + working) + 2 * prod(shape), _BYTES_PER_VALUE * device)


def _values(
    member: Predictor, shape: Shape, affine: npt.NDArray[np.float64], kept: Shape, by_slabs: bool
) -> tuple[int, int, int]:
    """Numbers of fp32: prepared image and logits; what preparing takes besides; what the forward passes take.

    ``by_slabs``: large logits are made labels some planes at a time, as where no others are averaged with them.
    """
    from autoseg.inference.predictor import WAITING_LOGITS_BYTES

    plan, configuration = member.plan, member.configuration
    axes = working_axes(affine, plan.axis_order, plan.orientation).axes
    spacing = tuple(spacing_mm(affine)[axis] for axis in axes)
    box = tuple((0, kept[axis]) for axis in axes)
    if configuration.crop != "nonzero":
        box = crop_box(np.broadcast_to(np.True_, tuple(shape[axis] for axis in axes)), spacing, configuration)
    grid, _ = prepared_grid(box, spacing, configuration)
    inputs, outputs = num_input_channels(plan, configuration), plan.labels.num_outputs
    logits = outputs * prod(grid)
    patch, passes = list(configuration.patch_size), member.lanes.batch * member.lanes.workers
    if configuration.whole_case:
        sizes = zip(patch, grid, configuration.network.size_multiple, strict=True)
        patch, passes = [max(size, -(-extent // multiple) * multiple) for size, extent, multiple in sizes], 1
    elif box_shape(box) == tuple(grid) or (by_slabs and _BYTES_PER_VALUE * logits > WAITING_LOGITS_BYTES):
        planes = patch[0] if len(patch) == 3 else 1
        logits = outputs * min(planes, grid[0]) * prod(grid[1:])
    if member.execution.device != "cpu":
        passes = 1  # a smaller batch is tried where the one planned does not fit
    passing = passes * (inputs + outputs) * prod(patch)
    if isinstance(configuration.network, NetworkSpec):
        passing = prediction_bytes(configuration.network, patch, passes, inputs, outputs) // _BYTES_PER_VALUE
        if member.execution.precision != "fp32":
            passing = round(PREDICTING_IN_HALF * passing)
    preparing = min(2 * max(prod(box_shape(box)), prod(grid)), _PREPARING_VALUES)
    return inputs * prod(grid) + logits, preparing, passing


def require_memory_to_train(plan: Plan, configuration: Configuration, device: str) -> None:
    """MemoryError, whose sentence names the remedy, where a training step clearly needs more than is left."""
    left = left_bytes(device)
    if not fits(plan, configuration, device, left):
        needed = training_need(plan, configuration, device) / BYTES_PER_GB
        place = f" on {device}" if device != "cpu" else ""
        raise MemoryError(
            f"{plan.dataset} {configuration.name}: a training step needs about {needed:.1f} GB of memory{place} and "
            f"{left / BYTES_PER_GB:.1f} GB are left; {remedy_of_training(plan, device, left)}."
        )


def fits(plan: Plan, configuration: Configuration, device: str, left: int) -> bool:
    """Whether a training step does not clearly need more than ``left`` bytes."""
    return training_need(plan, configuration, device) <= CLEARLY * left


def training_need(plan: Plan, configuration: Configuration, device: str) -> int:
    """Bytes of a training step; 0 where no estimate is known, as for published networks and Apple's GPUs."""
    from autoseg.runtime.devices import native_precisions

    if not isinstance(configuration.network, NetworkSpec) or device == "mps":
        return 0
    # Processes that share a batch have a GPU each, but the memory of the machine together.
    batch_size = configuration.batch_size if device == "cpu" else ranks.largest_share(configuration.batch_size)
    sizes = configuration.patch_size, batch_size, num_input_channels(plan, configuration)
    needed = training_bytes(configuration.network, *sizes, plan.labels.num_outputs)
    precision = configuration.training.precision
    in_fp32 = precision == "fp32" or (precision == "auto" and native_precisions(device)[0] == "fp32")
    return needed if in_fp32 else round(TRAINING_IN_HALF * needed)


def remedy_of_training(plan: Plan, device: str, left: int) -> str:
    """What a person can do where a training step is too large."""
    others = [one.name for one in plan.configurations.values() if 0 < training_need(plan, one, device) <= left]
    other = f"train {others[0]}, " if others else ""
    smaller = max(1, int(left / BYTES_PER_GB))
    return f"{other}plan for less (`autoseg plan {plan.dataset} --memory {smaller}GB`), or use a machine with more"


@contextmanager
def telling_shortage(plan: Plan, configuration: Configuration, device: str, state: Path) -> Iterator[None]:
    """Where memory runs out inside the block, MemoryError with the remedy, and with what of the training is kept."""
    left = left_bytes(device)
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        kept = "what is trained so far is kept (add --resume to continue); " if state.is_file() else ""
        raise MemoryError(
            f"{plan.dataset} {configuration.name}: the memory did not suffice for a training step "
            f"({reason(error)}); {kept}{remedy_of_training(plan, device, left // 2)}."
        ) from None


def reason(error: BaseException) -> str:
    """What an allocator said, in a few words."""
    return (str(error).strip().splitlines() or ["no more could be had"])[0][:120].rstrip(".")
