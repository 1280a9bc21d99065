"""Verbs about several methods: experiment."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from autoseg.cli.terminal import (
    INTERRUPTED,
    DatasetArgument,
    DeviceOption,
    JsonOption,
    print_json,
    print_table,
    seconds,
    workspace_root,
)


def experiment(
    dataset: DatasetArgument,
    comparison: Annotated[str, typer.Argument(help="A comparison of the plan, such as architecture.")],
    recipe: Annotated[
        str | None, typer.Option(metavar="NAME|FILE", help="Plan by this recipe first, unless it is planned so.")
    ] = None,
    fidelity: Annotated[
        Literal["paper", "code"], typer.Option(help="Which to follow where a recipe's sources differ.")
    ] = "paper",
    time_budget: Annotated[str | None, typer.Option(help="Time for each training, such as 20m: equal for all.")] = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of each training.")] = None,
    device: DeviceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train the configurations of a comparison in every fold, and compare what they find in held-out cases.

    Means, spreads, paired tests and box plots of Dice and Hausdorff distance. Run again, it keeps what is finished.

    Example: autoseg experiment Hippocampus architecture --recipe voxhrnet --time-budget 10m
    """
    from autoseg.evaluation.comparison import document
    from autoseg.evaluation.scores import SCORES
    from autoseg.io.workspace import Workspace
    from autoseg.pipeline.experiment import FACTS, run_experiment
    from autoseg.pipeline.preparation import plan_by_recipe
    from autoseg.pipeline.training import TrainingOptions
    from autoseg.reporting.comparison_tables import score_rows

    workspace = Workspace(workspace_root())
    if recipe is not None:
        plan_by_recipe(workspace, dataset, recipe, fidelity)
    budget_s = seconds(time_budget) if time_budget else None
    options = TrainingOptions(epochs, budget_s, resume=True, device=device)
    result = run_experiment(workspace, dataset, comparison, options)
    if result is None:
        raise typer.Exit(INTERRUPTED)
    if as_json:
        scores = {score: document(one) for score, one in result.comparisons.items()}
        print_json({"folder": result.folder, "title": result.title, "facts": result.facts, "scores": scores})
        return
    print_table(result.title, FACTS, result.facts)
    for score, one in result.comparisons.items():
        print_table(SCORES[score].title, ("label", *one.methods), list(score_rows(one)))
    print(f"details: {result.folder}")
