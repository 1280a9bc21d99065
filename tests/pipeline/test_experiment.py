"""Experiments, with folds that are trained already."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.plan import ComparisonSpec
from autoseg.io.files import write_json, write_text
from autoseg.pipeline.experiment import CrossValidated, by_domain, members, run_experiment, scores_of
from autoseg.pipeline.training import TrainingOptions
from autoseg.planning.folds import Fold

DIMENSIONS = ComparisonSpec(title="Slices or volumes", configurations=("2d", "3d_fullres"), baseline="2d")
DOMAINS = {"case0": "a", "case1": "a", "case2": "b", "case3": "b"}


@pytest.fixture
def compared(validated, tiny_pair_plan):
    """Two configurations with what a training would have recorded."""
    plan = tiny_pair_plan.model_copy(update={"comparisons": {"dimensions": DIMENSIONS}})
    write_text(validated.dataset_folder("Tiny") / "plan.json", plan.model_dump_json())
    for configuration in DIMENSIONS.configurations:
        for fold in ("fold0", "fold1"):
            line = {"step": 100, "elapsed_s": 30.0 if fold == "fold0" else 90.0}
            write_text(validated.model_folder("Tiny", configuration, fold) / "progress.jsonl", json.dumps(line) + "\n")
    return validated


@pytest.fixture
def sites(workspace, tiny_plan):
    """A plan with one configuration for all domains and one for each, and their scores of made-up cases."""
    one = tiny_plan.configurations["3d_fullres"]
    names = {"all": (), "all_a": ("a",), "all_b": ("b",)}
    configurations = {
        name: one.model_copy(update={"name": name, "train_domains": domains}) for name, domains in names.items()
    }
    for number, name in enumerate(configurations):
        folder = workspace.model_folder("Tiny", name, "fold0")
        cases = [
            {"case": case, "labels": {"core": {"dice": 0.1 * number + 0.01 * place}}}
            for place, case in enumerate(DOMAINS)
        ]
        write_json(folder / "validation/evaluation.json", {"cases": cases})
        write_text(folder / "final.safetensors", "")
    plan = tiny_plan.model_copy(update={"configurations": configurations, "recommended": "all"})
    return CrossValidated(workspace, plan, {"fold0": Fold((), tuple(DOMAINS))}, DOMAINS)


def test_what_is_held_out_is_compared(compared):
    experiment = run_experiment(compared, "Tiny", "dimensions", TrainingOptions(resume=True, device="cpu"))
    assert experiment is not None
    dice = experiment.comparisons["dice"]
    assert (dice.methods, dice.baseline, len(dice.cases)) == (("2d", "3d_fullres"), "2d", 6)
    for row in dice.rows:
        if row.scope == "label":
            values = []
            for fold in ("fold0", "fold1"):
                path = compared.model_folder("Tiny", row.method, fold) / "validation/evaluation.json"
                values += [case["labels"][row.label]["dice"] for case in json.loads(path.read_text())["cases"]]
            values = [value for value in values if value is not None]
            assert row.mean == pytest.approx(sum(values) / len(values))
    assert [(one.configuration, one.num_steps) for one in experiment.took] == [("2d", 100), ("3d_fullres", 100)]
    assert {one.training_minutes for one in experiment.took} == {1.0}  # minutes: the mean of 0.5 and 1.5
    page = (experiment.folder / "experiment.md").read_text(encoding="utf-8")
    assert page.startswith("# Slices or volumes")
    assert "Dice by domain" not in page  # there is one
    assert (experiment.folder / "hd_mm/comparison.csv").is_file()


def test_a_comparison_that_the_plan_lacks_is_named(compared, workspace):
    with pytest.raises(BadInput, match=r"no comparison 'dimension' \(did you mean dimensions"):
        run_experiment(compared, "Tiny", "dimension", TrainingOptions(resume=True))
    with pytest.raises(BadInput, match="has no comparisons; plan it by a recipe"):
        run_experiment(workspace, "Tiny", "dimensions", TrainingOptions(resume=True))


def with_less_weight_decay(document):
    document["configurations"]["3d_fullres"]["training"]["weight_decay"] = 0.0


def with_a_budget(document):
    document["configurations"]["3d_fullres"]["training"]["time_budget_s"] = 9.0


@pytest.mark.parametrize(
    ("change", "what"), [(with_less_weight_decay, "otherwise or on other cases"), (with_a_budget, "for another time")]
)
def test_what_was_trained_otherwise_is_not_compared(compared, change, what):
    path = compared.model_folder("Tiny", "3d_fullres", "fold1") / "plan.json"
    document = json.loads(path.read_text())
    change(document)
    path.write_text(json.dumps(document))
    with pytest.raises(BadInput, match=rf"fold1: was trained {what} than the experiment trains"):
        run_experiment(compared, "Tiny", "dimensions", TrainingOptions(resume=True, device="cpu"))


def test_what_was_trained_for_another_time_or_on_other_cases_is_not_compared(compared):
    with pytest.raises(BadInput, match="was trained for another time"):
        run_experiment(compared, "Tiny", "dimensions", TrainingOptions(resume=True, time_budget_s=60.0))
    with pytest.raises(BadInput, match="was trained otherwise"):
        run_experiment(compared, "Tiny", "dimensions", TrainingOptions(resume=True, epochs=7))
    splits = compared.dataset_folder("Tiny") / "splits.json"
    splits.write_text(json.dumps(json.loads(splits.read_text())[::-1]))
    with pytest.raises(BadInput, match="on other cases"):
        run_experiment(compared, "Tiny", "dimensions", TrainingOptions(resume=True))


def test_each_case_is_asked_of_the_model_of_its_domain(sites):
    spec = ComparisonSpec(title="Sites", configurations=("all", "all_*"), baseline="all")
    assert members(sites.plan, spec) == ["all", "all_a", "all_b"]
    own = scores_of(sites, "all_*", "dice")
    assert {case: labels["core"] for case, labels in own.items()} == pytest.approx(
        {"case0": 0.1, "case1": 0.11, "case2": 0.22, "case3": 0.23}
    )
    matrix = by_domain(sites, members(sites.plan, spec))
    assert matrix[1] == ("all_a", "0.105 ± 0.007", "0.125 ± 0.007")


def test_a_configuration_whose_loss_became_no_number_is_told_when_the_others_are_trained(compared, monkeypatch):
    """One fold of one configuration fails: all other folds are still trained, and nothing is compared."""
    trained = []

    def fails(workspace, dataset, plan, configuration, fold, *_):
        trained.append((configuration, fold))
        if trained[-1] == ("2d", "fold0"):
            raise FloatingPointError("FOLDER: the loss became nan.")
        return True

    monkeypatch.setattr("autoseg.pipeline.training.train_fold", fails)
    monkeypatch.setattr("autoseg.pipeline.training.validate_fold", lambda *_: {})
    for path in compared.root.glob("models/Tiny/*/*/final.safetensors"):
        path.unlink()
    with pytest.raises(FloatingPointError, match=r"^Tiny 2d failed: FOLDER: the loss became nan\.$"):
        run_experiment(compared, "Tiny", "dimensions", TrainingOptions(device="cpu"))
    assert trained == [(one, fold) for one in ("2d", "3d_fullres") for fold in ("fold0", "fold1")]
    assert not (compared.root / "experiments").exists()
