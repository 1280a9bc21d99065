"""From an image as stored to lesions on the same grid, by classifiers of its candidate voxels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.resources.abc import Traversable
from math import prod

import numpy as np
import numpy.typing as npt
from torch import nn

from autoseg.core.case import Case, Image, SpatialTrace
from autoseg.core.errors import BadInput
from autoseg.core.geometry import box_shape
from autoseg.core.plan import CandidateSpec, Configuration, Plan, read_plan
from autoseg.inference.certainty import Sums, overlap_sums
from autoseg.inference.ensemble import PROBABILITY_ONE
from autoseg.inference.postprocess import lesions
from autoseg.inference.predictor import Labels, load_network
from autoseg.inference.voxel_classifier import foreground_probability
from autoseg.io.files import read_text
from autoseg.preprocessing import prepare
from autoseg.preprocessing.resample import separate_axis
from autoseg.preprocessing.resample_slabs import resample_logits_slab
from autoseg.runtime.devices import Execution, choose_device, usual_execution

Probability = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Stage:
    """One trained classifier of a fold, and which voxels it looks at."""

    plan: Plan
    configuration: Configuration
    network: nn.Module

    @property
    def spec(self) -> CandidateSpec:
        """Of its configuration."""
        assert self.configuration.candidates is not None
        return self.configuration.candidates


Chain = Sequence[Stage]  # each stage looks only at what the one before has found


@dataclass(frozen=True)
class CandidatePredictor:
    """The chains of one or more folds, ready on a device; their last stages share one plan."""

    chains: Sequence[Chain]
    execution: Execution

    @property
    def configuration(self) -> Configuration:
        """Of the last stage."""
        return self.chains[0][-1].configuration

    @property
    def plan(self) -> Plan:
        """Of the last stage."""
        return self.chains[0][-1].plan

    def describe(self) -> str:
        """Such as ``cpu (2 threads), fp32, channels last, valverde_stage1 then valverde_stage2``."""
        return f"{self.execution.describe()}, " + " then ".join(one.configuration.name for one in self.chains[0])

    def predict(self, name: str, image: Image) -> Labels:
        """``image`` -> label values ``(X, Y, Z)`` on the stored grid."""
        return self.segment(self.prepare(name, image))()

    def prepare(self, name: str, image: Image) -> Case:
        """What the networks see of ``image``; BadInput if it has not the channels of the model."""
        channels = self.plan.channels
        if image.voxels.shape[0] != len(channels):
            raise BadInput(
                f"{name}: has {image.voxels.shape[0]} channel(s), the model was trained with "
                f"{len(channels)} ({', '.join(channels)}); give one file for each."
            )
        return prepare.apply(name, image, None, self.plan, self.configuration)

    def probability(self, image: npt.NDArray[np.float32]) -> Probability:
        """Prepared ``(C, *shape)`` -> the mean over the folds of the probability of a lesion ``(*shape)``."""
        total = np.zeros(image.shape[1:], np.float32)
        for chain in self.chains:
            total += chain_probability(chain, image, self.execution)
        total /= len(self.chains)
        return total

    def segment(self, case: Case, sums: Sums | None = None) -> Callable[[], Labels]:
        """Run the networks; what is returned gives the labels ``(X, Y, Z)`` on the stored grid, once.

        The ``certainty.overlap_sums`` of the case are then added to ``sums``.
        """
        return partial(self._decide, self.probability(case.image), case.trace, sums)

    def segment_with_probabilities(self, case: Case, sums: Sums | None = None) -> tuple[Labels, npt.NDArray[np.uint16]]:
        """Labels ``(X, Y, Z)`` and probabilities ``(2, X, Y, Z)`` in units of 1 / ``PROBABILITY_ONE``, as stored."""
        probability = self.probability(case.image)
        found = prepare.undo_box(_on_box(probability, case.trace), case.trace)
        lesion = np.rint(found * np.float32(PROBABILITY_ONE)).astype(np.uint16)
        return self._decide(probability, case.trace, sums), np.stack((PROBABILITY_ONE - lesion, lesion))

    def _decide(self, probability: Probability, trace: SpatialTrace, sums: Sums | None) -> Labels:
        on_box = _on_box(probability, trace)
        found = lesions(on_box, self.chains[0][-1].spec, prod(trace.spacing_mm) / 1000)
        if sums is not None:
            sums += overlap_sums(on_box[None], found.astype(np.uint8), self.plan.labels)
        return prepare.undo_labels(found.astype(np.uint8), trace, self.plan.labels)


def chain_probability(chain: Chain, image: npt.NDArray[np.float32], execution: Execution) -> Probability:
    """Prepared ``(C, *shape)`` -> the last stage's probability of a lesion ``(*shape)``; 0 where it does not look."""
    probability: Probability | None = None
    for stage in chain:
        candidates = image[stage.spec.channel] > stage.spec.threshold
        if probability is not None:
            candidates &= probability > stage.spec.previous_inference
        patch_size = stage.configuration.patch_size
        probability = foreground_probability(stage.network, patch_size, execution, image, candidates)
    assert probability is not None
    return probability


def load_candidate_predictor(
    folders: Sequence[Sequence[tuple[Traversable, str]]], device: str | None
) -> CandidatePredictor:
    """Of each fold the stages in turn: the folder of plan and weights, and the name of the configuration.

    BadInput: stages or folds were trained with another preparation, or the labels are not background and one more.
    """
    device = choose_device(device)
    execution = usual_execution(device)
    chains: list[list[Stage]] = []
    for of_fold in folders:
        chains.append([])
        for folder, name in of_fold:
            stage = _load_stage(folder, name, execution)
            chains[-1].append(stage)
            if _preparation(stage) != _preparation(chains[0][0]):
                raise BadInput(
                    f"{folder}: was trained with another preparation than {folders[0][0][0]}; "
                    "train the stages and folds anew with one plan."
                )
    return CandidatePredictor(chains, execution)


def require_one_label(plan: Plan, name: str) -> None:
    """BadInput unless the labels are background and one more."""
    if plan.labels.num_outputs != 2 or plan.labels.has_regions:
        raise BadInput(
            f"{plan.dataset}: {name} tells lesion from background and the dataset has "
            f"{len(plan.labels.foreground)} labels; merge them into one, or choose another configuration."
        )


def _load_stage(folder: Traversable, name: str, execution: Execution) -> Stage:
    plan = read_plan(read_text(folder / "plan.json"), str(folder))
    configuration = plan.configurations.get(name)
    if configuration is None or configuration.candidates is None:
        raise BadInput(f"{folder}: its plan has no classifier of voxels {name}; restore or retrain the fold.")
    require_one_label(plan, name)
    network = execution.place_network(load_network(folder, plan, configuration), configuration.network.dimensions)
    return Stage(plan, configuration, network)


def _preparation(stage: Stage) -> tuple[object, ...]:
    return stage.plan.channels, stage.plan.labels, prepare.settings_key(stage.plan, stage.configuration, [])


def _on_box(probability: Probability, trace: SpatialTrace) -> Probability:
    """On the grid of the crop, linearly."""
    shape = box_shape(trace.box)
    separate = separate_axis(trace.resampled_spacing_mm, trace.spacing_mm)
    found: Probability = resample_logits_slab(probability[None], shape, slice(0, shape[0]), separate)[0]
    return found
