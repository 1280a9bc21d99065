"""From an image as stored to its label map on the same grid."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources.abc import Traversable
from math import prod

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from autoseg.core.case import Case, Image
from autoseg.core.errors import BadInput
from autoseg.core.geometry import box_shape
from autoseg.core.network_spec import PublishedNetwork
from autoseg.core.plan import Configuration, Plan, read_plan
from autoseg.inference.certainty import Sums, logits_sums
from autoseg.inference.engines import Engine, EngineName, choose_engine, openvino_engine, torch_engine
from autoseg.inference.full_volume import full_volume_logits
from autoseg.inference.lanes import Lanes, choose_lanes
from autoseg.inference.sliding_window import mirror_combinations, sliding_window_logits, sliding_window_slabs
from autoseg.io.files import read_text
from autoseg.networks import build_planned, model_file
from autoseg.preprocessing import prepare
from autoseg.preprocessing.previous_stage import num_input_channels, one_hot_channels
from autoseg.preprocessing.resample_logits import labels_of_slabs
from autoseg.preprocessing.resample_slabs import Slab
from autoseg.runtime.devices import Execution, choose_device, native_precisions
from autoseg.runtime.profiling import timed

# Logits up to this size may wait for their way back to labels while the next case is computed.
WAITING_LOGITS_BYTES = 2**27

Labels = npt.NDArray[np.integer]
PreviousStage = Callable[[str, Image], Labels]  # name and image of a case -> its label map, as stored


@dataclass(frozen=True)
class Predictor:
    """The networks of one or more folds, ready on a device; they share one preparation.

    In a cascade ``previous`` gives the label map of the previous stage.
    """

    plan: Plan
    configuration: Configuration
    engines: Sequence[Engine]
    engine_name: EngineName
    execution: Execution
    lanes: Lanes
    mirror: bool = True
    step: float = 0.5
    previous: PreviousStage | None = None

    def describe(self) -> str:
        """Such as ``cpu (2 threads), fp32, channels last, torch``."""
        return f"{self.execution.describe()}, {self.engine_name}"

    def predict(self, name: str, image: Image) -> Labels:
        """``image`` -> label values ``(X, Y, Z)`` on the stored grid."""
        return self.segment(self.prepare(name, image))()

    def prepare(self, name: str, image: Image) -> Case:
        """What the networks see of ``image``; BadInput if it has not the channels of the model."""
        if image.voxels.shape[0] != len(self.plan.channels):
            raise BadInput(
                f"{name}: has {image.voxels.shape[0]} channel(s), the model was trained with "
                f"{len(self.plan.channels)} ({', '.join(self.plan.channels)}); give one file for each."
            )
        if self.previous is None:
            return prepare.apply(name, image, None, self.plan, self.configuration)
        case = prepare.apply(name, image, None, self.plan, self.configuration, self.previous(name, image))
        assert case.previous is not None
        channels = one_hot_channels(case.previous, self.plan.labels)
        return replace(case, image=np.concatenate((case.image, channels)), previous=None)

    def segment(self, case: Case, sums: Sums | None = None) -> Callable[[], Labels]:
        """Run the networks; what is returned gives the labels ``(X, Y, Z)`` on the stored grid, once.

        It is cheap unless logits have to be resampled, which another thread can do meanwhile. Logits too
        large to be held beside those of the next case are resampled before this returns. When the labels are given,
        the ``certainty.logits_sums`` of the case have been added to ``sums``: of each voxel of the networks' own grid.
        """
        if not self.configuration.whole_case and self._by_slabs(case):
            return partial(prepare.undo_labels, self._labels_by_slabs(case, sums), case.trace, self.plan.labels)
        logits = self.logits(case.image)

        def decide() -> Labels:
            if sums is not None:
                sums[...] += logits_sums(logits, self.plan.labels)
            return prepare.undo(logits, case.trace, self.plan.labels)

        if logits.nbytes <= WAITING_LOGITS_BYTES:
            return decide
        finished = decide()
        return lambda: finished

    def _by_slabs(self, case: Case) -> bool:
        """Whether nothing is resampled, or the logits of the whole case are too large to wait."""
        grid = tuple(case.trace.resampled_shape)
        return grid == box_shape(case.trace.box) or 4 * self.plan.labels.num_outputs * prod(grid) > WAITING_LOGITS_BYTES

    def _labels_by_slabs(self, case: Case, sums: Sums | None) -> Labels:
        """Indices in the box, decided some planes at a time: the logits of the whole case are never there."""
        labels, trace = self.plan.labels, case.trace

        def summed() -> Iterator[Slab]:
            for planes, slab in sliding_window_slabs(*self._window(case.image)):
                if sums is not None:
                    sums[...] += logits_sums(slab, labels)
                yield planes, slab

        shape = box_shape(trace.box)
        indices = np.empty(shape, np.uint8 if len(labels.stored_values) <= 256 else np.uint16)
        whole = (labels.num_outputs, *trace.resampled_shape)
        separate = prepare.axis_back(trace)
        for planes, part in labels_of_slabs(summed(), whole, shape, separate, labels.written_indices):
            indices[planes] = part
        return indices

    def logits(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Prepared ``(C, *shape)`` -> ``(K, *shape)``."""
        configuration = self.configuration
        if configuration.whole_case:
            multiple = configuration.network.size_multiple
            return full_volume_logits(self.engines, image, configuration.patch_size, multiple, self.lanes)
        return sliding_window_logits(*self._window(image))

    def _window(
        self, image: npt.NDArray[np.float32]
    ) -> tuple[Sequence[Engine], npt.NDArray[np.float32], Sequence[int], int, Lanes, Sequence[int], float]:
        mirror_axes = self.configuration.augmentation.mirror_axes if self.mirror else ()
        patch = self.configuration.patch_size
        return self.engines, image, patch, self.plan.labels.num_outputs, self.lanes, mirror_axes, self.step


def load_predictor(
    folders: Sequence[Traversable],
    configuration_name: str,
    device: str | None,
    mirror: bool = True,
    step: float = 0.5,
    engine: str | None = None,
    num_cases: int = 1,
    previous: PreviousStage | None = None,
) -> Predictor:
    """The weights of the folds in ``folders``: models/NAME/CONFIGURATION/foldK each, or such in an archive.

    They are the final or the best ones, as the plan of the fold says.
    Folds may differ in the width of their networks (each keeps its own plan), not in how a case is prepared.
    ``engine`` is ``torch``, ``openvino`` or None for a choice that depends on ``num_cases``, how many will come.
    A configuration with a previous stage needs ``previous``.
    """
    device = choose_device(device)
    plans = [read_plan(read_text(folder / "plan.json"), str(folder)) for folder in folders]
    for folder, plan in zip(folders, plans, strict=True):
        if configuration_name not in plan.configurations:
            raise BadInput(
                f"{folder}: its plan has no configuration {configuration_name}; restore or retrain the fold."
            )
    first = plans[0].configurations[configuration_name]
    if (previous is None) != (first.previous_stage is None):
        raise ValueError(f"{configuration_name}: previous belongs to a configuration with a previous stage")
    copies = len(mirror_combinations(first.augmentation.mirror_axes)) if mirror and not first.whole_case else 1
    # OpenVINO is measured with the U-Nets made to measure only, and knows no statistics of a batch.
    as_published = isinstance(first.network, PublishedNetwork)
    batch_statistics = isinstance(first.network, PublishedNetwork) and first.network.batch_statistics
    if batch_statistics and engine == "openvino":
        raise BadInput(f"--engine openvino: {configuration_name} needs the statistics of a batch; use --engine torch.")
    chosen = choose_engine(engine, device, 0 if as_published else num_cases * copies * prod(first.median_shape_voxels))
    # In channels-last a 3D pass on a CPU takes 0.85 of the time; 2D is the same either way.
    channels_last = chosen == "torch" and (device.startswith("cuda") or device == "cpu")
    precision = "fp32" if first.training.precision == "fp32" else native_precisions(device)[0]
    execution = Execution(device, precision, channels_last)
    engines = []
    for folder, plan in zip(folders, plans, strict=True):
        configuration = plan.configurations[configuration_name]
        if _preparation(plan, configuration) != _preparation(plans[0], first):
            raise BadInput(
                f"{folder}: was trained with another preparation than {folders[0]}; "
                "predict with one of them (--folds) or train the folds anew."
            )
        engines.append(timed("forward", _load_engine(folder, plan, configuration, chosen, execution), device))
    # Torch computes a small layer of a batch of one in a slow way on a single core.
    lanes = choose_lanes(device, first.patch_size, smallest_batch=2 if chosen == "torch" else 1)
    if batch_statistics:  # those of a case, or of a tile, as in the authors' tests
        lanes = replace(lanes, batch=1)
    return Predictor(plans[0], first, engines, chosen, execution, lanes, mirror, step, previous)


def _load_engine(
    folder: Traversable, plan: Plan, configuration: Configuration, name: EngineName, execution: Execution
) -> Engine:
    network = load_network(folder, plan, configuration)
    in_channels = num_input_channels(plan, configuration)
    if name == "openvino":
        shape = (1, in_channels, *(2 * size for size in configuration.network.size_multiple))
        if isinstance(configuration.network, PublishedNetwork):  # which may need more
            shape = (1, in_channels, *configuration.patch_size)
        return openvino_engine(network, execution, shape)
    return torch_engine(execution.place_network(network, configuration.network.dimensions), execution)


def load_network(folder: Traversable, plan: Plan, configuration: Configuration) -> nn.Module:
    """The network of a fold for prediction, with its final weights, on the CPU."""
    sizes = num_input_channels(plan, configuration), plan.labels.num_outputs
    weights = folder / configuration.training.weights_file
    tensors = model_file.read_weights(weights)
    model_file.require_finite(tensors, weights)
    with torch.device("meta"):  # a plan may claim any size: nothing is allocated that the file does not fill
        model_file.require_fitting(build_planned(configuration.network, *sizes), tensors, weights)
    network = build_planned(configuration.network, *sizes).eval()
    model_file.load_weights(network, tensors, weights)
    return network


def _preparation(plan: Plan, configuration: Configuration) -> tuple[object, ...]:
    return (
        plan.channels,
        plan.labels,
        plan.orientation,
        plan.axis_order,
        configuration.spacing_mm,
        configuration.patch_size,
        configuration.network.size_multiple,
        configuration.normalization,
        configuration.mask_normalization,
        configuration.bias_field_correction,
        *(getattr(configuration, field) for field in prepare.GRID_FIELDS),
        plan.intensities if set(prepare.USED_STATISTICS) & set(configuration.normalization) else None,
    )
