"""What a prediction says of itself: where an image is unlike those of the training, and which Dice to expect."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoseg.core.calibration import CALIBRATION, Calibration, pooled, read_calibration
from autoseg.core.case import Image
from autoseg.core.labels import Labels
from autoseg.core.plan import Plan, read_plan
from autoseg.core.trained_ranges import DomainRanges, Finding, outside
from autoseg.evaluation.expected_dice import Curve, Expected, fit_curve
from autoseg.inference.certainty import Sums, no_sums, soft_dice
from autoseg.interop.prediction_table import MISSING, Row
from autoseg.io.files import read_text, write_text
from autoseg.pipeline.models import Choice, TrainedModels
from autoseg.planning.case_profile import profile_of
from autoseg.runtime.progress import counted, say

SCALED_ALONE = ("zscore", "rescale_0_1")  # normalisations that use nothing but the case
SHOWN = 5  # cases with a sentence of their own


@dataclass(frozen=True)
class Judgement:
    """Of one case: certainty and expected Dice of each label (None where unknown), and what is unlike the training."""

    labels: Mapping[str, tuple[float | None, Expected | None]]
    unlike: Sequence[Finding]

    def rows(self) -> list[Row]:
        """Its rows of the table of predictions."""
        unlike = "; ".join(map(str, self.unlike)) or MISSING
        return [
            (label, _shown(certainty), *_cells(expected), unlike)
            for label, (certainty, expected) in self.labels.items()
        ]

    def document(self) -> dict[str, Any]:
        """The same for a sidecar, in the way of BIDS."""
        known = {name: (certainty, dice) for name, (certainty, dice) in self.labels.items() if certainty is not None}
        return {
            "Certainty": {name: round(certainty, 4) for name, (certainty, _) in known.items()},
            "ExpectedDice": {
                name: {
                    "Dice": round(dice.dice, 4),
                    "Interval": [round(dice.low, 4), round(dice.high, 4)],
                    "CalibrationCases": dice.num_cases,
                }
                for name, (_, dice) in known.items()
                if dice is not None
            },
            "UnlikeTraining": [str(finding) for finding in self.unlike],
        }


@dataclass(frozen=True)
class Safety:
    """What cases are compared with (no domains: nothing) and how certainty becomes Dice (no curve: it does not)."""

    labels: Labels
    channels: Sequence[str] = ()
    domains: Mapping[str, DomainRanges] = field(default_factory=dict)
    scaled_alone: Sequence[str] = ()
    turned: bool = True
    curves: Mapping[str, Curve] = field(default_factory=dict)

    def no_sums(self) -> Sums:
        """What the sums of a case are added to."""
        return no_sums(self.labels)

    def unlike(self, image: Image) -> list[Finding]:
        """Where an image, read for the prediction anyway, is unlike every domain."""
        if not self.domains:
            return []
        return outside(profile_of(image), self.domains, self.channels, self.scaled_alone, self.turned)

    def judge(self, sums: Sums, unlike: Sequence[Finding]) -> Judgement:
        """The outcome of a case whose labels have been decided."""
        labels = {}
        for name, certainty in soft_dice(sums, self.labels).items():
            known = certainty is not None and name in self.curves
            labels[name] = certainty, self.curves[name].at(certainty) if known and certainty is not None else None
        return Judgement(labels, unlike)


def safety_of(models: TrainedModels, chosen: Choice) -> Safety:
    """What the plans and the cross-validation of the chosen configurations tell."""
    plans = {}
    for name in chosen.configurations:
        folder = models.folds[name][chosen.folds[0]]
        plans[name] = read_plan(read_text(folder / "plan.json"), str(folder))
    first = plans[chosen.configurations[0]]
    curves = {name: fit_curve(pairs) for name, pairs in calibration_of(models, chosen).labels.items()}
    return Safety(
        first.labels,
        first.channels,
        _domains(plans),
        [
            channel
            for number, channel in enumerate(first.channels)
            if all(plan.configurations[name].normalization[number] in SCALED_ALONE for name, plan in plans.items())
        ],
        first.orientation == "canonical",
        {name: curve for name, curve in curves.items() if curve is not None},
    )


def _domains(plans: Mapping[str, Plan]) -> dict[str, DomainRanges]:
    """The domains that all configurations were trained on."""
    only = [set(plan.configurations[name].train_domains) for name, plan in plans.items()]
    ranges = next(iter(plans.values())).trained_ranges
    return {domain: one for domain, one in ranges.items() if all(not some or domain in some for some in only)}


def calibration_of(models: TrainedModels, chosen: Choice) -> Calibration:
    """The held-out cases of the chosen folds; of several configurations, those of the selection if it is theirs."""
    if len(chosen.configurations) > 1:
        selection = models.selection
        same = selection is not None and selection.configurations == chosen.configurations
        return (selection.calibration if selection and same else None) or Calibration(labels={})
    files = [models.folds[chosen.configurations[0]][fold] / CALIBRATION for fold in chosen.folds]
    return pooled(read_calibration(read_text(file), str(file)) for file in files if file.is_file())


def calibrate(certainties: Mapping[str, Mapping[str, float]], dice: Mapping[str, Mapping[str, Any]]) -> Calibration:
    """The pairs of all cases that have both; the arguments are case -> label -> number."""
    pairs: dict[str, list[tuple[float, float]]] = {}
    for case, of_labels in certainties.items():
        for label, certainty in of_labels.items():
            score = dice.get(case, {}).get(label)
            if score is not None:
                pairs.setdefault(label, []).append((certainty, score))
    return Calibration(labels={label: tuple(of_label) for label, of_label in pairs.items()})


def dice_by_case(summary: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Case -> label -> Dice (None where it is undefined), of an ``evaluation.json``."""
    return {one["case"]: {label: scores["dice"] for label, scores in one["labels"].items()} for one in summary["cases"]}


def write_calibration(folder: Path, calibration: Calibration) -> None:
    """Into the folder of a fold, unless nothing is known."""
    if calibration.labels:
        write_text(folder / CALIBRATION, calibration.model_dump_json(indent=1) + "\n")


@dataclass
class Announcer:
    """Says which cases are unlike the training: the first few in a line each, all of them in the last one."""

    sentences: list[str] = field(default_factory=list)
    quantities: Counter[str] = field(default_factory=Counter)

    def tell(self, case: str, unlike: Sequence[Finding]) -> None:
        """One case, if there is anything to say."""
        if not unlike:
            return
        self.sentences.append(f"{case}: {'; '.join(map(str, unlike))}")
        self.quantities.update(finding.quantity for finding in unlike)
        if len(self.sentences) <= SHOWN:
            kind = "note" if all(finding.harmless for finding in unlike) else "warning"
            say(f"{kind}: {self.sentences[-1]}", style="yellow")

    def conclude(self, number: int, where: str) -> None:
        """How many of ``number`` cases, where there are too many for a line each."""
        if len(self.sentences) > SHOWN:
            listed = ", ".join(f"{quantity} in {times}" for quantity, times in self.quantities.most_common())
            say(
                f"{len(self.sentences)} of {counted(number, 'case')} are unlike the training ({listed}); "
                f"all of them are named in {where}.",
                style="yellow",
            )


def _shown(number: float | None) -> str:
    return MISSING if number is None else f"{number:.4f}"


def _cells(expected: Expected | None) -> tuple[str, str, str, str]:
    if expected is None:
        return MISSING, MISSING, MISSING, MISSING
    return _shown(expected.dice), _shown(expected.low), _shown(expected.high), str(expected.num_cases)
