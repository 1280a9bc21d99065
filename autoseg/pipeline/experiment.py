"""Train the configurations of a comparison alike, in cross-validation, and compare what they find in held-out cases."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.plan import ComparisonSpec, Configuration, Plan, own_models, read_plan
from autoseg.evaluation.comparison import Comparison, compare
from autoseg.evaluation.scores import SCORES
from autoseg.io.files import write_text
from autoseg.io.weights_header import read_weights_header
from autoseg.io.workspace import Workspace, nearest_name
from autoseg.pipeline.comparison import read_scores, write_comparison
from autoseg.pipeline.preparation import read_or_make_plan
from autoseg.pipeline.runs import recorded_split, within_domains
from autoseg.pipeline.training import TrainingOptions, resolve_folds, with_options
from autoseg.pipeline.trainings import Training, train_all
from autoseg.planning.folds import Fold
from autoseg.reporting.comparison_tables import markdown_table, marks_rule, score_rows

SCORES_COMPARED = ("dice", "hd_mm")
FACTS = ("Configuration", "Weights", "Steps", "Training (min)")
# What a time budget fits to the machine; all else of a configuration is the same in every fold.
_FITTED: dict[str, Any] = {
    "batch_size": True,
    "network": {"features_per_stage"},
    "training": {
        "epochs",
        "steps_per_epoch",
        "validation_steps",
        "momentum",
        "warmup_steps",
        "initial_learning_rate",
    },
}

ScoresOfCases = dict[str, dict[str, float | None]]  # case -> label -> score


@dataclass(frozen=True)
class Took:
    """What the training of a configuration used and took; steps and minutes are the mean over folds."""

    configuration: str
    num_weights: int
    num_steps: float
    training_minutes: float

    def row(self) -> tuple[str, ...]:
        """Under ``FACTS``."""
        return self.configuration, f"{self.num_weights:,}", f"{self.num_steps:.0f}", f"{self.training_minutes:.1f}"


@dataclass(frozen=True)
class Experiment:
    """A finished experiment: a comparison for each score, and what each configuration took."""

    folder: Path
    title: str
    comparisons: Mapping[str, Comparison]
    took: Sequence[Took]


@dataclass(frozen=True)
class CrossValidated:
    """The plan of a dataset, its folds, and the domain of each case."""

    workspace: Workspace
    plan: Plan
    folds: Mapping[str, Fold]
    domains: Mapping[str, str]

    def folders(self, configuration: str) -> list[Path]:
        """Where the folds of a configuration are."""
        return [self.workspace.model_folder(self.plan.dataset, configuration, fold) for fold in self.folds]

    def scores(self, configuration: str, score: str) -> ScoresOfCases:
        """Each held-out case by the fold that held it out."""
        found: ScoresOfCases = {}
        for folder in self.folders(configuration):
            found |= read_scores(folder / "validation", score)
        return found


def comparisons_of(workspace: Workspace, name: str) -> list[str]:
    """The names of the comparisons of a dataset's plan; BadInput where it has none."""
    plan = read_or_make_plan(workspace, name)
    if not plan.comparisons:
        raise BadInput(f"the plan of {name} has no comparisons; plan it by a recipe that has, with --recipe.")
    return list(plan.comparisons)


def run_experiment(workspace: Workspace, name: str, comparison: str, options: TrainingOptions) -> Experiment:
    """Train and validate every fold of every configuration of a comparison of the plan, then compare them.

    Folds that are finished are kept, so that it can be run again. Writes tables, tests and figures for each score into
    the folder of the experiment. FloatingPointError, when all others are trained, for a configuration whose loss became
    no number. BadInput for a comparison that the plan does not have, and for a fold that was trained for another time,
    on other cases or by another plan.
    """
    dataset, plan = workspace.read_dataset(name), read_or_make_plan(workspace, name)
    if comparison not in plan.comparisons:
        known = nearest_name(comparison, comparisons_of(workspace, name))
        raise BadInput(f"the plan of {name} has no comparison {comparison!r} ({known}).")
    spec = plan.comparisons[comparison]
    domains = {case.name: case.domain for case in dataset.cases}
    trained = CrossValidated(workspace, plan, resolve_folds(dataset, plan, "cv", None), domains)
    chosen = members(plan, spec)
    for configuration in chosen:
        require_alike(trained, with_options(plan.configurations[configuration], options), dataset.cases)
    train_all([Training(workspace, name, configuration, "cv") for configuration in chosen], options)
    folder = workspace.root / "experiments" / name / comparison
    comparisons = {}
    for score in SCORES_COMPARED:
        found = {one: scores_of(trained, one, score) for one in spec.configurations}
        comparisons[score] = compare(found, score, spec.baseline)
        write_comparison(comparisons[score], folder / score)
    took = [what_it_took(trained, configuration) for configuration in chosen]
    experiment = Experiment(folder, spec.title, comparisons, took)
    page = markdown(experiment, sorted(set(domains.values())), by_domain(trained, chosen))
    write_text(folder / "experiment.md", page)
    return experiment


def require_alike(trained: CrossValidated, configuration: Configuration, cases: Collection[CaseFiles]) -> None:
    """Refuse a fold that exists and was not trained as the experiment would: the comparison would be unfair."""
    name = configuration.name
    for folder, fold in zip(trained.folders(name), trained.folds.values(), strict=True):
        path = folder / "plan.json"
        if not path.is_file():
            continue
        own = read_plan(path.read_text(encoding="utf-8"), str(path)).configurations[name]
        budget_s, asked_s = own.training.time_budget_s, configuration.training.time_budget_s
        same = own.model_dump(exclude=_FITTED) == configuration.model_dump(exclude=_FITTED)
        if asked_s is None:
            same = same and own.training.epochs == configuration.training.epochs
        if not same or recorded_split(folder) != within_domains(fold, cases, configuration):
            what = "for another time" if budget_s != asked_s else "otherwise or on other cases"
            raise BadInput(
                f"{folder}: was trained {what} than the experiment trains, so that they cannot be compared; "
                "ask for the same again, or move the folder away."
            )


def members(plan: Plan, spec: ComparisonSpec) -> list[str]:
    """The configurations that are trained for a comparison."""
    lists = (own_models(plan, entry).values() or (entry,) for entry in spec.configurations)
    return list(dict.fromkeys(name for names in lists for name in names))


def scores_of(trained: CrossValidated, entry: str, score: str) -> ScoresOfCases:
    """One score of all held-out cases; of ``NAME_*`` each case by the configuration of its own domain."""
    own = own_models(trained.plan, entry)
    if not own:
        return trained.scores(entry, score)
    return {
        case: labels
        for domain, configuration in own.items()
        for case, labels in trained.scores(configuration, score).items()
        if trained.domains[case] == domain
    }


def what_it_took(trained: CrossValidated, configuration: str) -> Took:
    """Weights of the network; steps and minutes of training, the mean over folds."""
    steps, minutes, num_weights = [], [], 0
    for folder in trained.folders(configuration):
        last = json.loads((folder / "progress.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        steps.append(last["step"])
        minutes.append(last["elapsed_s"] / 60)
        num_weights = read_weights_header(folder / "final.safetensors").num_weights
    return Took(configuration, num_weights, sum(steps) / len(steps), sum(minutes) / len(minutes))


def by_domain(trained: CrossValidated, configurations: Sequence[str]) -> list[tuple[str, ...]]:
    """Mean Dice (sd) over cases and labels, a row for each configuration and a column for each domain."""
    rows = []
    for configuration in configurations:
        scores = trained.scores(configuration, "dice")
        cells = []
        for domain in sorted(set(trained.domains.values())):
            cases = [labels.values() for case, labels in scores.items() if trained.domains[case] == domain]
            values = np.array([value for labels in cases for value in labels if value is not None])
            cells.append(f"{values.mean():.3f} ± {values.std(ddof=1):.3f}" if values.size > 1 else "-")
        rows.append((configuration, *cells))
    return rows


def markdown(experiment: Experiment, domains: Sequence[str], matrix: Sequence[tuple[str, ...]]) -> str:
    """The whole experiment on a page: what it took, each score, and with several domains where it holds."""
    parts = [f"# {experiment.title}", markdown_table(FACTS, [one.row() for one in experiment.took])]
    for score, comparison in experiment.comparisons.items():
        parts.append(f"## {SCORES[score].title}\n\n{marks_rule(comparison.baseline)} Tests: {score}/comparison.md.")
        parts.append(markdown_table(("Label", *comparison.methods), score_rows(comparison)))
    if len(domains) > 1:
        parts.append(
            "## Dice by domain\n\nRows: what a model was trained on; columns: the held-out cases it segmented."
        )
        parts.append(markdown_table(("Configuration", *domains), matrix))
    return "\n\n".join(parts).replace("*", "\\*") + "\n"
