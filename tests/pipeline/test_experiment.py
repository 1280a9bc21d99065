"""Experiments, with folds that are trained already."""

import json

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.plan import ComparisonSpec
from autoseg.io.workspace import write_json, write_text
from autoseg.pipeline.experiment import by_domain, held_out_scores, members, run_experiment, scores_of
from autoseg.pipeline.training import TrainingOptions

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
    return tiny_plan.model_copy(update={"configurations": configurations, "recommended": "all"})


def test_what_is_held_out_is_compared(compared):
    experiment = run_experiment(compared, "Tiny", "dimensions", TrainingOptions(resume=True, device="cpu"))
    assert experiment is not None
    dice = experiment.comparisons["dice"]
    assert (dice.methods, dice.baseline, len(dice.cases)) == (("2d", "3d_fullres"), "2d", 6)
    for row in dice.rows:
        if row.scope == "label":
            found = held_out_scores(compared, "Tiny", row.method, "dice")
            values = [labels[row.label] for labels in found.values() if labels[row.label] is not None]
            assert row.mean == pytest.approx(sum(values) / len(values))
    assert [fact[0::2] for fact in experiment.facts] == [("2d", "100"), ("3d_fullres", "100")]
    assert {fact[3] for fact in experiment.facts} == {"1.0"}  # minutes: the mean of 0.5 and 1.5
    page = (experiment.folder / "experiment.md").read_text(encoding="utf-8")
    assert page.startswith("# Slices or volumes")
    assert "Dice by domain" not in page  # there is one
    assert (experiment.folder / "hd_mm/comparison.csv").is_file()


def test_a_comparison_that_the_plan_lacks_is_named(compared, workspace):
    with pytest.raises(BadInput, match=r"no comparison 'dimension' \(did you mean dimensions"):
        run_experiment(compared, "Tiny", "dimension", TrainingOptions(resume=True))
    with pytest.raises(BadInput, match="it has none; plan with --recipe"):
        run_experiment(workspace, "Tiny", "dimensions", TrainingOptions(resume=True))


def test_each_case_is_asked_of_the_model_of_its_domain(workspace, sites):
    spec = ComparisonSpec(title="Sites", configurations=("all", "all_*"), baseline="all")
    assert members(sites, spec) == ["all", "all_a", "all_b"]
    own = scores_of(workspace, sites, "all_*", "dice", DOMAINS)
    assert {case: labels["core"] for case, labels in own.items()} == pytest.approx(
        {"case0": 0.1, "case1": 0.11, "case2": 0.22, "case3": 0.23}
    )
    matrix = by_domain(workspace, sites, spec, DOMAINS)
    assert matrix[1] == ("all_a", "0.105 ± 0.007", "0.125 ± 0.007")
