"""Train the configurations of a comparison alike, in cross-validation, and compare what they find in held-out cases."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path

import numpy as np

from autoseg.core.errors import BadInput
from autoseg.core.plan import ComparisonSpec, Plan
from autoseg.evaluation.comparison import Comparison, compare
from autoseg.evaluation.scores import SCORES
from autoseg.io.workspace import Workspace, nearest_name, write_text
from autoseg.pipeline.comparison import read_scores, write_comparison
from autoseg.pipeline.preparation import read_or_make_plan
from autoseg.pipeline.training import TrainingOptions, train
from autoseg.reporting.comparison_tables import markdown_table, marks_rule, score_rows
from autoseg.runtime.progress import say

SCORES_COMPARED = ("dice", "hd_mm")
OWN_DOMAIN = "*"  # at the end of a name: the configurations for single domains, each on the cases of its own
FACTS = ("Configuration", "Stored numbers", "Steps", "Training (min)")

ScoresOfCases = dict[str, dict[str, float | None]]  # case -> label -> score


@dataclass(frozen=True)
class Experiment:
    """A finished experiment: a comparison for each score, and what each configuration took, under ``FACTS``."""

    folder: Path
    title: str
    comparisons: Mapping[str, Comparison]
    facts: Sequence[tuple[str, ...]]


def run_experiment(workspace: Workspace, name: str, comparison: str, options: TrainingOptions) -> Experiment | None:
    """Train and validate every fold of every configuration of a comparison of the plan, then compare them.

    Folds that are finished are kept, so that it can be run again. Writes tables, tests and figures for each score into
    the folder of the experiment. None if it was interrupted. BadInput for a comparison that the plan does not have.
    """
    plan = read_or_make_plan(workspace, name)
    if comparison not in plan.comparisons:
        known = nearest_name(comparison, plan.comparisons) if plan.comparisons else "it has none; plan with --recipe"
        raise BadInput(f"the plan of {name} has no comparison {comparison!r} ({known}).")
    spec = plan.comparisons[comparison]
    for configuration in members(plan, spec):
        say(f"{comparison}: {configuration}")
        if not train(workspace, name, configuration, "cv", options):
            return None
    folder = workspace.root / "experiments" / name / comparison
    domains = {case.name: case.domain for case in workspace.read_dataset(name).cases}
    comparisons = {}
    for score in SCORES_COMPARED:
        found = {one: scores_of(workspace, plan, one, score, domains) for one in spec.configurations}
        comparisons[score] = compare(found, score, spec.baseline)
        write_comparison(comparisons[score], folder / score)
    facts = [what_it_took(workspace, name, configuration) for configuration in members(plan, spec)]
    experiment = Experiment(folder, spec.title, comparisons, facts)
    matrix = by_domain(workspace, plan, spec, domains)
    write_text(folder / "experiment.md", markdown(experiment, sorted(set(domains.values())), matrix))
    return experiment


def members(plan: Plan, spec: ComparisonSpec) -> list[str]:
    """The configurations that are trained for a comparison."""
    found: dict[str, None] = {}
    for entry in spec.configurations:
        alone = [name for name, one in plan.configurations.items() if one.train_domains and name.startswith(entry[:-1])]
        found |= dict.fromkeys(alone if entry.endswith(OWN_DOMAIN) else [entry])
    return list(found)


def scores_of(workspace: Workspace, plan: Plan, entry: str, score: str, domains: Mapping[str, str]) -> ScoresOfCases:
    """One score of all held-out cases; with ``*`` each case by the configuration of its own domain."""
    if not entry.endswith(OWN_DOMAIN):
        return held_out_scores(workspace, plan.dataset, entry, score)
    own: ScoresOfCases = {}
    for domain in sorted(set(domains.values())):
        configuration = f"{entry[:-1]}{domain}"
        if configuration in plan.configurations:
            found = held_out_scores(workspace, plan.dataset, configuration, score)
            own |= {case: labels for case, labels in found.items() if domains[case] == domain}
    return own


def held_out_scores(workspace: Workspace, name: str, configuration: str, score: str) -> ScoresOfCases:
    """The scores of all folds together: each case by the fold that held it out."""
    scores: ScoresOfCases = {}
    for folder in _folds(workspace, name, configuration):
        scores |= read_scores(folder / "validation", score)
    return scores


def what_it_took(workspace: Workspace, name: str, configuration: str) -> tuple[str, ...]:
    """Under ``FACTS``: weights of the network; steps and minutes of training, the mean over folds."""
    from safetensors import safe_open

    steps, minutes, num_weights = [], [], 0
    for folder in _folds(workspace, name, configuration):
        last = json.loads((folder / "progress.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        steps.append(last["step"])
        minutes.append(last["elapsed_s"] / 60)
        with safe_open(str(folder / "final.safetensors"), framework="numpy") as weights:
            num_weights = sum(prod(weights.get_slice(key).get_shape()) for key in weights.keys())  # noqa: SIM118
    return configuration, f"{num_weights:,}", f"{sum(steps) / len(steps):.0f}", f"{sum(minutes) / len(minutes):.1f}"


def by_domain(
    workspace: Workspace, plan: Plan, spec: ComparisonSpec, domains: Mapping[str, str]
) -> list[tuple[str, ...]]:
    """Mean Dice (sd) over cases and labels, a row for each configuration and a column for each domain."""
    rows = []
    for configuration in members(plan, spec):
        scores = held_out_scores(workspace, plan.dataset, configuration, "dice")
        cells = []
        for domain in sorted(set(domains.values())):
            cases = [labels.values() for case, labels in scores.items() if domains[case] == domain]
            values = np.array([value for labels in cases for value in labels if value is not None])
            cells.append(f"{values.mean():.3f} ± {values.std(ddof=1):.3f}" if values.size > 1 else "-")
        rows.append((configuration, *cells))
    return rows


def markdown(experiment: Experiment, domains: Sequence[str], matrix: Sequence[tuple[str, ...]]) -> str:
    """The whole experiment on a page: what it took, each score, and with several domains where it holds."""
    parts = [f"# {experiment.title}", markdown_table(FACTS, experiment.facts)]
    for score, comparison in experiment.comparisons.items():
        parts.append(f"## {SCORES[score].title}\n\n{marks_rule(comparison.baseline)} Tests: {score}/comparison.md.")
        parts.append(markdown_table(("Label", *comparison.methods), score_rows(comparison)))
    if len(domains) > 1:
        parts.append(
            "## Dice by domain\n\nRows: what a model was trained on; columns: the held-out cases it segmented."
        )
        parts.append(markdown_table(("Configuration", *domains), matrix))
    return "\n\n".join(parts).replace("*", "\\*") + "\n"


def _folds(workspace: Workspace, name: str, configuration: str) -> Iterator[Path]:
    """The folders of the trained folds."""
    for fold in workspace.trained_configurations(name).get(configuration, ()):
        if fold != "all":
            yield workspace.model_folder(name, configuration, fold)
