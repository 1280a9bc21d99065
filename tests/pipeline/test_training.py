"""Folds from the dataset to their validation, and what a second command does."""

import json
import math
import shutil
import signal
from dataclasses import replace

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.plan import Configuration, SplitSpec
from autoseg.inference.predictor import load_predictor
from autoseg.io.images import read_image, read_labels
from autoseg.pipeline.training import TrainingOptions, resolve_folds, train, with_options
from autoseg.training import probe, trainer

ONE_EPOCH = TrainingOptions(epochs=1, device="cpu")


def test_a_fold_is_trained_validated_and_recorded(workspace):
    summaries = train(workspace, "Tiny", "3d_fullres", "fold0", ONE_EPOCH)
    folder = workspace.model_folder("Tiny", "3d_fullres", "fold0")
    split = json.loads((folder / "split.json").read_text())
    held_out = {path.name for path in (folder / "validation").glob("*.nii.gz")}
    assert held_out == {f"{name}.nii.gz" for name in split["val"]}
    assert summaries["fold0"]["mean"]["num_cases"] == len(split["val"])
    assert summaries["fold0"]["held_out"]
    assert json.loads((folder / "validation/evaluation.json").read_text()) == summaries["fold0"]
    plan = json.loads((folder / "plan.json").read_text())
    assert plan["configurations"]["3d_fullres"]["training"]["epochs"] == 1
    assert (folder / "final.safetensors").is_file()
    assert (folder / "best.safetensors").is_file()


def test_a_fold_keeps_the_split_that_it_began_with(workspace, tmp_path):
    names = [case.name for case in workspace.read_dataset("Tiny").cases]
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps([{"train": names[:2], "val": names[2:4]}]))
    train(workspace, "Tiny", "3d_fullres", "fold0", replace(ONE_EPOCH, splits=splits))
    again = train(workspace, "Tiny", "3d_fullres", "fold0", replace(ONE_EPOCH, resume=True))
    assert [case["case"] for case in again["fold0"]["cases"]] == names[2:4]


def test_a_finished_fold_is_not_lost_by_training_it_again(workspace):
    train(workspace, "Tiny", "3d_fullres", "fold0", ONE_EPOCH)
    weights = workspace.model_folder("Tiny", "3d_fullres", "fold0") / "final.safetensors"
    before = weights.stat().st_mtime_ns
    with pytest.raises(BadInput, match="is trained already"):
        train(workspace, "Tiny", "3d_fullres", "fold0", ONE_EPOCH)
    summary = train(workspace, "Tiny", "3d_fullres", "fold0", replace(ONE_EPOCH, resume=True))
    assert summary["fold0"] is not None
    assert weights.stat().st_mtime_ns == before
    train(workspace, "Tiny", "3d_fullres", "fold0", replace(ONE_EPOCH, overwrite=True))
    assert weights.stat().st_mtime_ns > before


def test_an_unfinished_fold_asks_for_resume_and_keeps_its_own_plan(workspace, monkeypatch):
    steps, original = [], trainer.training_step

    def interrupted(*arguments):
        steps.append(1)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return original(*arguments)

    monkeypatch.setattr(trainer, "training_step", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(workspace, "Tiny", "3d_fullres", "fold0", replace(ONE_EPOCH, seed=7))
    with pytest.raises(BadInput, match="add --resume"):
        train(workspace, "Tiny", "3d_fullres", "fold0", ONE_EPOCH)
    folder = workspace.model_folder("Tiny", "3d_fullres", "fold0")
    began = json.loads((folder / "execution.json").read_text())
    monkeypatch.setattr(probe, "seconds_per_step", lambda *_: pytest.fail("a resumed run is not probed again"))
    assert train(workspace, "Tiny", "3d_fullres", "fold0", TrainingOptions(device="cpu", resume=True))
    assert json.loads((folder / "execution.json").read_text()) == began
    plan = json.loads((workspace.model_folder("Tiny", "3d_fullres", "fold0") / "plan.json").read_text())
    assert (
        plan["configurations"]["3d_fullres"]["training"] | {"epochs": 1, "seed": 7}
        == (plan["configurations"]["3d_fullres"]["training"])
    )


def test_cross_validation_predicts_every_case_once(workspace):
    summaries = train(workspace, "Tiny", "3d_fullres", "cv", ONE_EPOCH)
    assert list(summaries) == [f"fold{i}" for i in range(5)]
    predicted = [case["case"] for summary in summaries.values() for case in summary["cases"]]
    assert sorted(predicted) == sorted(case.name for case in workspace.read_dataset("Tiny").cases)


def test_scores_of_training_cases_are_not_called_held_out(workspace, tmp_path):
    (case,) = [case.name for case in workspace.read_dataset("Tiny").cases][:1]
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps([{"train": [case], "val": [case]}]))
    summaries = train(workspace, "Tiny", "3d_fullres", "fold0", replace(ONE_EPOCH, splits=splits))
    assert not summaries["fold0"]["held_out"]


def test_all_trains_on_every_case_and_holds_nothing_out(workspace):
    assert train(workspace, "Tiny", "3d_fullres", "all", ONE_EPOCH) == {"all": None}
    split = json.loads((workspace.model_folder("Tiny", "3d_fullres", "all") / "split.json").read_text())
    assert (len(split["train"]), split["val"]) == (6, [])


def test_a_time_budget_is_recorded_with_what_it_decided(workspace):
    assert train(workspace, "Tiny", "3d_fullres", "fold0", TrainingOptions(time_budget_s=2, device="cpu"))
    plan = json.loads((workspace.model_folder("Tiny", "3d_fullres", "fold0") / "plan.json").read_text())
    assert plan["configurations"]["3d_fullres"]["training"]["time_budget_s"] == 2
    assert "time budget" in [decision["what"] for decision in plan["decisions"]]


def test_an_unknown_fold_is_answered_with_the_nearest(workspace, tiny_plan):
    with pytest.raises(BadInput, match="did you mean fold4"):
        resolve_folds(workspace.read_dataset("Tiny"), tiny_plan, "fold44", None)


def test_a_plan_may_split_the_cases_itself_and_let_the_best_weights_predict(workspace, tiny_plan):
    """Of 6 subjects 3 train, one validates, two test; the weights of the best epoch segment those."""
    configuration = tiny_plan.configurations["3d_fullres"]
    spec = configuration.training.model_copy(
        update={"weights": "best", "best_by": "loss", "initial_learning_rate": 9.0}
    )
    plan = tiny_plan.model_copy(
        update={
            "configurations": {"3d_fullres": configuration.model_copy(update={"training": spec})},
            "split": SplitSpec(shares=(0.5, 0.2, 0.3)),
        }
    )
    (workspace.dataset_folder("Tiny") / "plan.json").write_text(plan.model_dump_json())
    summaries = train(workspace, "Tiny", "3d_fullres", "cv", replace(ONE_EPOCH, epochs=2))
    folder = workspace.model_folder("Tiny", "3d_fullres", "fold0")
    split = json.loads((folder / "split.json").read_text())
    assert [len(split[side]) for side in ("train", "val", "test")] == [3, 1, 2]
    assert list(summaries) == ["fold0"]
    assert [case["case"] for case in summaries["fold0"]["cases"]] == split["test"]
    assert summaries["fold0"]["held_out"]
    held_out = workspace.read_dataset("Tiny").cases
    image = read_image(next(case for case in held_out if case.name == split["test"][0]).channels[0])
    written = read_labels(folder / "validation" / f"{split['test'][0]}.nii.gz")
    shutil.copyfile(folder / "best.safetensors", folder / "final.safetensors")
    by_best = load_predictor([folder], "3d_fullres", "cpu").predict("x", image)
    assert np.array_equal(written, by_best)
    (folder / "best.safetensors").unlink()
    with pytest.raises(BadInput, match=r"best\.safetensors: the file is missing"):
        load_predictor([folder], "3d_fullres", "cpu")


def test_slices_are_counted_when_the_training_begins(workspace, tiny_pair_plan):
    flat = tiny_pair_plan.configurations["2d"].model_copy(update={"sampling": "slices", "batch_size": 10})
    plan = tiny_pair_plan.model_copy(update={"configurations": {"2d": flat}, "recommended": "2d"})
    (workspace.dataset_folder("Tiny") / "plan.json").write_text(plan.model_dump_json())
    train(workspace, "Tiny", "2d", "fold0", ONE_EPOCH)
    folder = workspace.model_folder("Tiny", "2d", "fold0")
    training = json.loads((folder / "plan.json").read_text())["configurations"]["2d"]["training"]
    cases = len(json.loads((folder / "split.json").read_text())["train"])
    assert training["steps_per_epoch"] == math.ceil(16 * cases / 10)
    (epoch,) = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    assert epoch["step"] == training["steps_per_epoch"]


def test_domains_are_balanced_where_patches_are_drawn_at_random(workspace, tiny_pair_plan, monkeypatch):
    seen = []

    def begun(assignment, *_):
        seen.append(assignment)
        raise KeyboardInterrupt

    monkeypatch.setattr(trainer, "train", begun)
    with pytest.raises(KeyboardInterrupt):
        train(workspace, "Tiny", "3d_fullres", "fold0", TrainingOptions(balance="domains", device="cpu"))
    (assignment,) = seen
    assert assignment.configuration.balance == "domains"
    assert assignment.domains == ["tiny"] * len(assignment.training)
    slices = tiny_pair_plan.configurations["2d"].model_copy(update={"sampling": "slices"})
    with pytest.raises(BadInput, match="--balance domains: 2d does not draw patches at random"):
        with_options(slices, TrainingOptions(balance="domains"))
    with pytest.raises(ValueError, match='"domains" needs sampling "patches", and it is "slices"'):
        Configuration.model_validate(slices.model_dump() | {"balance": "domains"})
