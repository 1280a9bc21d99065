"""Verbs about several methods: experiment, study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoseg.cli.executors import ExecutorOption, SchedulerOption, WorkersOption, chosen_workers
from autoseg.cli.terminal import (
    DatasetArgument,
    DeviceOption,
    JsonOption,
    print_json,
    print_table,
    seconds,
    workspace_root,
)

if TYPE_CHECKING:
    from autoseg.pipeline.experiment import Experiment
    from autoseg.reporting.study_page import StudyResults


def experiment(
    dataset: DatasetArgument,
    comparison: Annotated[
        str | None,
        typer.Argument(help="A comparison of the plan, such as architecture.", show_default="all of them in turn"),
    ] = None,
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Plan by this recipe first, unless it is planned so.")
    ] = None,
    fidelity: Annotated[
        Literal["paper", "code"], typer.Option(help="Which to follow where a recipe's sources differ.")
    ] = "paper",
    time_budget: Annotated[str | None, typer.Option(help="Time for each training, such as 20m: equal for all.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each training.")] = None,
    device: DeviceOption = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the configurations of a comparison in every fold, and compare what they find in held-out cases.

    Means, spreads, paired tests and box plots of Dice and Hausdorff distance. A configuration of several comparisons
    is trained once. Run again, it keeps what is finished.

    Example: autoseg experiment Hippocampus architecture --recipe voxhrnet --time-budget 10m
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.experiment import comparisons_of, run_experiment
    from autoseg.pipeline.preparation import plan_by_recipe
    from autoseg.pipeline.training import TrainingOptions

    workspace = Workspace(workspace_root())
    if recipe is not None:
        plan_by_recipe(workspace, dataset, recipe, fidelity)
    budget_s = seconds(time_budget) if time_budget else None
    results = []
    with chosen_workers(executor, scheduler, workers) as chosen:
        options = TrainingOptions(epochs, budget_s, resume=True, device=device, workers=chosen)
        for one in [comparison] if comparison else comparisons_of(workspace, dataset):
            result = run_experiment(workspace, dataset, one, options)
            results.append(result)
            if not as_json:
                print_experiment(result)
    if as_json:
        print_json({"experiments": [_document(result) for result in results]})


def print_experiment(result: Experiment) -> None:
    """What each configuration took, a table for each score, and where the rest is."""
    from autoseg.evaluation.scores import SCORES
    from autoseg.pipeline.experiment import FACTS
    from autoseg.reporting.comparison_tables import score_rows

    print_table(result.title, FACTS, [one.row() for one in result.took])
    for score, one in result.comparisons.items():
        print_table(SCORES[score].title, ("label", *one.methods), list(score_rows(one)))
    print(f"details: {result.folder}")


def _document(result: Experiment) -> dict[str, object]:
    from dataclasses import asdict

    from autoseg.evaluation.comparison import document

    scores = {score: document(one) for score, one in result.comparisons.items()}
    took = [asdict(one) for one in result.took]
    return {"folder": result.folder, "title": result.title, "took": took, "scores": scores}


def study(
    file: Annotated[Path, typer.Argument(metavar="STUDY.json", help="Which datasets train and which only test.")],
    leave_one_out: Annotated[
        bool, typer.Option("--leave-one-out", help="Also a general model without each dataset, which is unseen then.")
    ] = False,
    device: DeviceOption = None,
    executor: ExecutorOption = "local",
    scheduler: SchedulerOption = None,
    workers: WorkersOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model for each dataset and one for all, and test every one of them on every dataset.

    The page has a matrix of each score with intervals and paired tests against the general model, box plots, the worst
    cases and a conclusion. Run again, it keeps what is finished.

    Example: autoseg study study.json
    """
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.study import read_study_file, run_study
    from autoseg.pipeline.training import TrainingOptions

    spec = read_study_file(file)
    budget_s = seconds(spec.time_budget) if spec.time_budget else None
    with chosen_workers(executor, scheduler, workers) as chosen:
        how = TrainingOptions(spec.epochs, budget_s, resume=True, device=device, seed=spec.seed, workers=chosen)
        results = run_study(Workspace(workspace_root()), spec, file.absolute().parent, how, leave_one_out)
    if as_json:
        print_json(_study_document(results))
    else:
        print_study(results)


def print_study(results: StudyResults) -> None:
    """The matrix of each score, the conclusion, and where the rest is."""
    from autoseg.evaluation.scores import SCORES
    from autoseg.reporting.study_conclusion import conclusion
    from autoseg.reporting.study_page import matrix_rows, test_titles

    for score in results.matrix.scores:
        header = ("model", *test_titles(results.matrix))
        print_table(SCORES[score].title, header, list(matrix_rows(results.matrix, score)))
    for sentence in conclusion(results.matrix):
        print(f"- {sentence}")
    print(f"details: {results.folder / 'study.md'}")


def _study_document(results: StudyResults) -> dict[str, object]:
    from dataclasses import asdict

    from autoseg.reporting.study_conclusion import conclusion

    cells = [{key: value for key, value in asdict(cell).items() if key != "values"} for cell in results.matrix.cells]
    facts = [asdict(one) for one in results.facts]
    sentences = conclusion(results.matrix)
    return {
        "folder": results.folder,
        "conclusion": sentences,
        "models": facts,
        "cells": cells,
        "left_out": results.problems,
    }
