"""A study: one model for each dataset and one for all, every one of them on the test cases of every dataset."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput
from autoseg.core.plan import Configuration, Plan, read_plan
from autoseg.core.study import StudySpec, read_study
from autoseg.evaluation.scores import FAMILIES, SCORES
from autoseg.evaluation.study import GENERAL, Matrix, StudyModel, TestSet, make_matrix
from autoseg.io.files import read_text, write_json, write_text
from autoseg.io.locks import held
from autoseg.io.recipes import recipe_text
from autoseg.io.workspace import RawDataset, Workspace, nearest_name
from autoseg.pipeline.experiment import CrossValidated, require_alike, what_it_took
from autoseg.pipeline.preparation import plan_dataset, read_or_make_plan, require_configuration
from autoseg.pipeline.study_cells import Rows, fill_rows, scores_of
from autoseg.pipeline.study_datasets import StudyDataset, joined_dataset, study_datasets
from autoseg.pipeline.training import TrainingOptions, resolve_folds, with_options
from autoseg.pipeline.trainings import Training, train_all
from autoseg.reporting.study_page import Facts, StudyResults, write_study

BALANCED = "general_balanced"


@dataclass(frozen=True)
class PlannedModel:
    """A model of the study, and where its training is in the workspace of the study."""

    model: StudyModel
    dataset: RawDataset
    plan: Plan
    configuration: Configuration  # with the budget and the seed of the study
    fold: str

    @property
    def place(self) -> tuple[str, str, str]:
        """Dataset, configuration and fold."""
        return self.dataset.name, self.configuration.name, self.fold

    def cross_validated(self, study: Workspace) -> CrossValidated:
        """For what is asked about the folds of an experiment."""
        return CrossValidated(study, self.plan, resolve_folds(self.dataset, self.plan, self.fold, None), {})


def read_study_file(path: Path) -> StudySpec:
    """The study in a file; BadInput if it is none."""
    spec = read_study(read_text(path), str(path))
    for metric in spec.metrics:
        if metric not in SCORES:
            raise BadInput(f"{path}: there is no score called {metric!r} ({nearest_name(metric, SCORES)}).")
    return spec


def run_study(
    workspace: Workspace,
    spec: StudySpec,
    folder: Path,
    options: TrainingOptions,
    leave_one_out: bool = False,
) -> StudyResults:
    """Train the models of the study, segment every test set with each, and compare.

    ``folder`` is what entries of ``spec`` are relative to; ``options`` are the epochs or the time budget, and the
    device. Everything is in ``studies/NAME``, a workspace of its own. Trainings and cells that are finished are kept;
    BadInput if a training is not as the study would train now.
    """
    study = Workspace(workspace.root / "studies" / spec.name)
    with held(study.root, "run"):
        results = _results(workspace, study, spec, folder, options, leave_one_out)
        write_study(results)
    return results


def _results(
    workspace: Workspace, study: Workspace, spec: StudySpec, folder: Path, options: TrainingOptions, leave_one_out: bool
) -> StudyResults:
    """Datasets, trainings, the cells of the matrix and its statistics."""
    write_json(study.root / "study.json", spec.model_dump(mode="json"))
    sets = study_datasets(workspace, study, spec, folder)
    models = models_of([one.name for one in sets if not one.unseen], spec, leave_one_out)
    if taken := {model.name for model in models} & {one.name for one in sets}:
        raise BadInput(f"{min(taken)}: is what a model of the study is called; rename the dataset.")
    planned = [plan_model(study, model, sets, spec, folder, options) for model in models]
    for one in planned:
        require_alike(one.cross_validated(study), one.configuration, one.dataset.cases)
    train_all([Training(study, *one.place) for one in planned], options)
    families = [family for family in FAMILIES if {score.name for score in FAMILIES[family]} & set(spec.metrics)]
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    rows = Rows(study, sets, families, options.device)
    for place, row in fill_rows(rows, {one.model.name: one.place for one in planned}, options.workers):
        cells |= {(place, test): evaluation for test, evaluation in row.items()}
    matrix = matrix_of(models, sets, cells, spec)
    problems = [problem for evaluation in cells.values() for problem in evaluation["problems"]]
    return StudyResults(spec.name, study.root, matrix, [facts_of(study, one) for one in planned], problems)


def models_of(names: Sequence[str], spec: StudySpec, leave_one_out: bool) -> list[StudyModel]:
    """The rows of the matrix: ``only_NAME`` of each dataset, the general models, then ``without_NAME`` of each.

    Of two datasets, the one without the other is the specific model and no row of its own.
    """
    models = [StudyModel(f"only_{name}", "specific", (name,)) for name in names]
    models.append(StudyModel(GENERAL, "general", tuple(names)))
    if spec.balance == "domains":
        models.append(StudyModel(BALANCED, "balanced", tuple(names)))
    if leave_one_out and len(names) > 2:
        models += [
            StudyModel(f"without_{name}", "left_out", tuple(other for other in names if other != name))
            for name in names
        ]
    return models


def plan_model(
    study: Workspace,
    model: StudyModel,
    sets: Sequence[StudyDataset],
    spec: StudySpec,
    folder: Path,
    options: TrainingOptions,
) -> PlannedModel:
    """The training set of a model, planned from its own cases alone, and how it is trained.

    All its cases train; if the plan keeps the best weights, ``fold0`` trains and the rest of the cases choose them.
    """
    name = GENERAL if model.kind == "balanced" else model.name
    recipe = None
    if spec.recipe is not None:
        is_file = spec.recipe.endswith(".json")
        recipe = str(folder / spec.recipe) if is_file else spec.recipe
    made_with = {"recipe": recipe_text(recipe)[1] if recipe else ""}
    dataset = joined_dataset(study, name, [one.part for one in sets if one.name in model.trained_on], made_with)
    path = dataset.folder / "plan.json"
    plan = read_or_make_plan(study, name) if path.is_file() else plan_dataset(study, name, recipe=recipe)
    configuration = require_configuration(plan, spec.configuration or plan.recommended)
    if configuration.previous_stage is not None:
        raise BadInput(f"{configuration.name}: follows another configuration; a study trains those that stand alone.")
    if model.kind == "balanced":
        plan, configuration = with_balanced(plan, configuration.name, path)
    spec_of = configuration.training
    fold = "fold0" if spec_of.weights == "best" or spec_of.patience_epochs else "all"
    return PlannedModel(model, dataset, plan, with_options(configuration, options), fold)


def with_balanced(plan: Plan, name: str, path: Path) -> tuple[Plan, Configuration]:
    """The plan with a copy of a configuration to which the datasets are shown equally often; written if it is new."""
    copy = f"{name}_balanced"
    if copy not in plan.configurations:
        changed = plan.configurations[name].model_copy(update={"name": copy, "balance": "domains"})
        plan = plan.model_copy(update={"configurations": {**plan.configurations, copy: changed}})
        plan = read_plan(plan.model_dump_json(), f"{path} with balanced datasets")
        write_text(path, plan.model_dump_json(indent=1) + "\n")
    return plan, plan.configurations[copy]


def matrix_of(
    models: Sequence[StudyModel],
    sets: Sequence[StudyDataset],
    cells: dict[tuple[str, str], dict[str, Any]],
    spec: StudySpec,
) -> Matrix:
    """The statistics of the evaluations ``cells`` by (model, dataset)."""
    tests = [TestSet(one.name, one.unseen, {case.name: case.subject for case in one.testing}) for one in sets]
    found = {place: scores_of(evaluation) for place, evaluation in cells.items()}
    return make_matrix(models, tests, found, spec.metrics, spec.seed)


def facts_of(study: Workspace, one: PlannedModel) -> Facts:
    """What a training used and took."""
    took = what_it_took(one.cross_validated(study), one.configuration.name)
    numbers = took.num_weights, took.num_steps, took.training_minutes
    return Facts(one.model.name, one.model.trained_on, len(one.dataset.cases), took.configuration, *numbers)
