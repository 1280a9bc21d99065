"""From an image as stored to its label map on the same grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch import nn

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.core.plan import Configuration, Plan, read_plan
from autoseg.inference.full_volume import full_volume_logits
from autoseg.inference.sliding_window import sliding_window_logits
from autoseg.networks import build, model_file
from autoseg.preprocessing import prepare
from autoseg.runtime.devices import Execution, choose_device, native_precisions


@dataclass(frozen=True)
class Predictor:
    """The networks of one or more folds, ready on a device; they share one preparation."""

    plan: Plan
    configuration: Configuration
    networks: Sequence[nn.Module]
    execution: Execution
    mirror: bool = True
    step: float = 0.5

    def predict(self, name: str, image: Image) -> npt.NDArray[np.integer]:
        """``image`` -> label values ``(X, Y, Z)`` on the stored grid."""
        if image.voxels.shape[0] != len(self.plan.channels):
            raise BadInput(
                f"{name}: has {image.voxels.shape[0]} channel(s), the model was trained with "
                f"{len(self.plan.channels)} ({', '.join(self.plan.channels)}); give one file for each."
            )
        case = prepare.apply(name, image, None, self.plan, self.configuration)
        return prepare.undo(self.logits(case.image), case.trace)

    def logits(self, image: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Prepared ``(C, *shape)`` -> ``(K, *shape)``."""
        configuration = self.configuration
        if configuration.whole_case:
            multiple = configuration.network.size_multiple
            return full_volume_logits(self.networks, image, configuration.patch_size, multiple, self.execution)
        mirror_axes = configuration.augmentation.mirror_axes if self.mirror else ()
        return sliding_window_logits(
            self.networks,
            image,
            configuration.patch_size,
            self.plan.num_classes,
            self.execution,
            mirror_axes,
            self.step,
        )


def load_predictor(
    folders: Sequence[Path], configuration_name: str, device: str | None, mirror: bool = True, step: float = 0.5
) -> Predictor:
    """The final weights of the folds in ``folders`` (models/NAME/CONFIGURATION/foldK each).

    Folds may differ in the width of their networks (each keeps its own plan), not in how a case is prepared.
    """
    device = choose_device(device)
    execution = Execution(device, native_precisions(device)[0], channels_last=device.startswith("cuda"))
    plans = [read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder)) for folder in folders]
    first = plans[0].configurations[configuration_name]
    networks = []
    for folder, plan in zip(folders, plans, strict=True):
        configuration = plan.configurations[configuration_name]
        if _preparation(plan, configuration) != _preparation(plans[0], first):
            raise BadInput(
                f"{folder}: was trained with another preparation than {folders[0]}; "
                "predict with one of them (--folds) or train the folds anew."
            )
        network = build(configuration.network, len(plan.channels), plan.num_classes)
        weights = folder / "final.safetensors"
        tensors, _ = model_file.read(weights)
        model_file.load_weights(network, tensors, weights)
        networks.append(execution.place_network(network.eval(), configuration.network.dimensions))
    return Predictor(plans[0], first, networks, execution, mirror, step)


def _preparation(plan: Plan, configuration: Configuration) -> tuple[object, ...]:
    return (
        plan.channels,
        plan.labels,
        plan.axis_order,
        configuration.spacing_mm,
        configuration.patch_size,
        configuration.network.size_multiple,
        configuration.normalization,
        configuration.mask_normalization,
        plan.intensities if "ct" in configuration.normalization else None,
    )
