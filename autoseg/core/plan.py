"""Every decision about a dataset, in one JSON document.

Spatial entries are in *working* axes: working axis ``i`` is canonical axis ``axis_order[i]``
(0 = left-right, 1 = back-front, 2 = down-up), or with the orientation ``stored`` axis ``axis_order[i]`` of
the file, never flipped. A 2D configuration cuts slices across working axis 0.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, model_validator
from pydantic_core import from_json

from autoseg.core import plan_inheritance
from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.document import DISAGREE, Edge, Frozen, Length, Problem, Share, length, listed, refuse
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.geometry import Orientation
from autoseg.core.labels import Labels
from autoseg.core.network_spec import TAGS, Network
from autoseg.core.trained_ranges import DomainRanges
from autoseg.core.training_spec import TrainingSpec

SCHEMA_VERSION = 1

Normalization = Literal["zscore", "ct", "rescale_0_1", "rgb_0_1", "dataset_zscore", "none"]
Sampling = Literal["patches", "slices", "cases", "candidates"]
Balance = Literal["cases", "domains"]


class CandidateSpec(Frozen):
    """Which voxels a classifier of single voxels looks at, and how what it finds becomes lesions.

    A candidate has a normalised intensity above ``threshold`` in ``channel``. After a previous stage, it also has a
    probability of that stage above ``previous_training`` in training and ``previous_inference`` in prediction; a case
    without any candidate in training has those above ``fallback_threshold`` in the channel.
    """

    channel: Annotated[int, Field(ge=0)] = 0
    threshold: float = 0.5
    previous_training: Share = 0.5
    previous_inference: Share = 0.8
    fallback_threshold: float = 2.0
    decision: Share = 0.8  # at least this probability
    smallest_lesion_voxels: Annotated[int, Field(ge=0)] = 20  # components over faces must have more
    smallest_total_ml: Annotated[float, Field(ge=0)] = 0.0  # with less in all, nothing is kept


class Configuration(Frozen):
    """One way of solving the dataset."""

    name: str
    spacing_mm: tuple[Length, ...]  # one per network dimension: 2D keeps the spacing of axis 0
    median_shape_voxels: tuple[Length, ...]
    patch_size: tuple[Edge, ...]
    batch_size: int = Field(ge=1)
    whole_case: bool = False  # the patch holds any case: one forward pass, no tiles
    batch_dice: bool
    previous_stage: str | None = None  # the configuration whose label map the network sees as well
    crop: Literal["nonzero", "none", "centre"] = "nonzero"  # centre: to the patch size
    native_spacing: bool = False  # cases keep their own grid; spacing_mm is the median of the dataset
    resized_shape: tuple[Edge, Edge, Edge] | None = None  # every case is resized to it; spacing_mm is the median
    sampling: Sampling = "patches"  # slices, cases: each once an epoch
    candidates: CandidateSpec | None = None
    train_domains: tuple[str, ...] = ()  # only cases of these train, and choose the weights; empty: all
    balance: Balance = "cases"  # what patches are drawn from equally often, however few cases a domain has
    normalization: tuple[Normalization, ...]
    mask_normalization: tuple[bool, ...]  # statistics over nonzero voxels, zeros outside
    bias_field_correction: bool = False  # N4, before the normalisation, of channels that are no CT and no colour
    network: Network
    augmentation: AugmentationSpec
    training: TrainingSpec = TrainingSpec()

    @model_validator(mode="after")
    def _sizes_agree(self) -> Configuration:
        problems: list[tuple[str, str]] = []
        for field in ("spacing_mm", "median_shape_voxels", "patch_size"):
            problems += length(field, getattr(self, field), self.network.dimensions, "dimensions of the network")
        multiple = self.network.size_multiple
        if len(self.patch_size) == len(multiple) and any(p % m for p, m in zip(self.patch_size, multiple, strict=True)):
            problems.append(("patch_size", f"{listed(self.patch_size)} is no multiple of {listed(multiple)}"))
        if (self.sampling == "candidates") != (self.candidates is not None):
            problems.append(("candidates", 'belong to sampling "candidates", and the one to the other'))
        if self.balance == "domains" and self.sampling != "patches":
            problems.append(("balance", f'"domains" needs sampling "patches", and it is "{self.sampling}"'))
        axes = self.augmentation.mirror_axes
        if len(set(axes)) < len(axes) or any(axis >= self.network.dimensions for axis in axes):
            problems.append(("augmentation.mirror_axes", f"{listed(axes)} are no axes of the network, each once"))
        refuse(problems)
        return self


class SplitSpec(Frozen):
    """How cases are shared out.

    ``by``: what is never on two sides. A group holds whole subjects (``group`` of a conversion recipe; a subject
    without one is its own), and a subject all its sessions, runs and contrasts. Split by file, training and
    validation share subjects: scores are too good.

    ``folds`` of cross-validation, or with ``shares`` one split into training, validation and test. With
    ``validation_share`` so much of the training side of a fold chooses the weights, and the fold's own held-out cases
    are only tested.
    """

    by: Literal["group", "subject", "file"] = "group"
    folds: Annotated[int, Field(ge=2)] = 5
    shares: tuple[Share, Share, Share] | None = None
    validation_share: Share = 0.0
    seed: int = 12345


class ComparisonSpec(Frozen):
    """Configurations that are to be compared with the ``baseline``.

    ``NAME_*`` stands for the configurations ``NAME_DOMAIN`` that are trained on single domains, each asked about the
    cases of its own one.
    """

    title: str
    configurations: tuple[str, ...] = Field(min_length=2)
    baseline: str


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
    split: SplitSpec = SplitSpec()
    recipe: str | None = None  # its name, and the fidelity where that is not the paper's
    recipe_sha256: str | None = None  # of its content
    comparisons: dict[str, ComparisonSpec] = Field(default_factory=dict)
    trained_ranges: dict[str, DomainRanges] = Field(default_factory=dict)  # by domain; empty: inputs are not compared
    decisions: tuple[Decision, ...]

    @model_validator(mode="after")
    def _parts_agree(self) -> Plan:
        problems: list[tuple[str, str]] = []
        if sorted(self.axis_order) != [0, 1, 2]:
            problems.append(("axis_order", f"{listed(self.axis_order)} is no order of the axes 0, 1, 2"))
        problems += length("intensities", self.intensities, len(self.channels), "channels")
        if self.recommended not in self.configurations:
            problems.append(("recommended", f"{self.recommended!r} is no configuration of this plan"))
        for key, comparison in self.comparisons.items():
            problems += [(f"comparisons.{key}.{path}", text) for path, text in self._unknown(comparison)]
        for key, configuration in self.configurations.items():
            problems += [(f"configurations.{key}.{path}", text) for path, text in self._misfits(key, configuration)]
        refuse(problems)
        return self

    def _unknown(self, comparison: ComparisonSpec) -> Iterator[Problem]:
        """What a comparison names that this plan, or it itself, has not."""
        for entry in comparison.configurations:
            if entry not in self.configurations and not own_models(self, entry):
                yield "configurations", f"{entry!r} is no configuration of this plan"
        if comparison.baseline not in comparison.configurations:
            yield "baseline", f"{comparison.baseline!r} is none of its configurations"

    def _misfits(self, key: str, configuration: Configuration) -> Iterator[tuple[str, str]]:
        """Where a configuration does not fit this plan."""
        if configuration.name != key:
            yield "name", f"{configuration.name!r} should be {key!r}, as the configuration is called in the plan"
        for field in ("normalization", "mask_normalization"):
            yield from length(field, getattr(configuration, field), len(self.channels), "channels")
        if configuration.candidates is not None and configuration.candidates.channel >= len(self.channels):
            yield "candidates.channel", f"{configuration.candidates.channel} is none of {len(self.channels)} channels"
        previous = configuration.previous_stage
        if previous is not None and previous not in self.configurations:
            yield "previous_stage", f"{previous!r} is no configuration of this plan"
        elif previous is not None and self.configurations[previous].previous_stage is not None:
            yield "previous_stage", f"{previous!r} has a previous stage itself"


def own_models(plan: Plan, entry: str) -> dict[str, str]:
    """Of ``NAME_*`` in a comparison, domain -> the configuration that is trained on it alone; else nothing."""
    alone = {one.train_domains[0]: name for name, one in plan.configurations.items() if len(one.train_domains) == 1}
    return {
        domain: name for domain, name in sorted(alone.items()) if entry.endswith("*") and name == entry[:-1] + domain
    }


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
    place = tuple(str(part) for part in item["loc"] if part not in TAGS)
    found = item["ctx"]["problems"] if item["type"] == DISAGREE else [("", item["msg"])]
    for path, problem in found:
        yield ".".join([*place, *filter(None, [path])]) or "document", problem
