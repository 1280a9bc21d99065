"""Several trainings, by workers: what they leave, and what fails."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.pipeline import trainings
from autoseg.pipeline.training import TrainingOptions, train
from autoseg.pipeline.trainings import Training, done_share, train_all
from autoseg.runtime.own_process import STOPPED

ONE_EPOCH = TrainingOptions(epochs=1, device="cpu")


@pytest.fixture
def two_splits(workspace):
    names = [case.name for case in workspace.read_dataset("Tiny").cases]
    splits = [{"train": names[2:], "val": names[:2]}, {"train": names[:2], "val": names[2:]}]
    (workspace.dataset_folder("Tiny") / "splits.json").write_text(json.dumps(splits))
    path = workspace.dataset_folder("Tiny") / "plan.json"
    plan = json.loads(path.read_text())
    plan["configurations"]["3d_fullres"]["training"]["precision"] = "fp32"  # bfloat16 is too coarse to compare losses
    path.write_text(json.dumps(plan))
    return workspace


def figures(folder):
    """The losses of the epochs."""
    lines = [json.loads(line) for line in (folder / "progress.jsonl").read_text().splitlines()]
    return [line["loss"] for line in lines]


def folds(workspace):
    return [workspace.model_folder("Tiny", "3d_fullres", fold) for fold in ("fold0", "fold1")]


@pytest.mark.slow  # 30 s: each training is a process that loads torch
def test_folds_trained_by_workers_are_those_of_this_process(two_splits, workers):
    training = Training(two_splits, "Tiny", "3d_fullres", "cv")
    shared = train_all([training], replace(ONE_EPOCH, workers=workers))[0]
    assert all(summary["held_out"] for summary in shared.values())
    losses = [figures(folder) for folder in folds(two_splits)]
    alone = train(two_splits, "Tiny", "3d_fullres", "cv", replace(ONE_EPOCH, overwrite=True))
    assert alone.keys() == shared.keys()
    # A worker has other numbers of cores, over which the batch is spread: sums are rounded otherwise.
    np.testing.assert_allclose([figures(folder) for folder in folds(two_splits)], losses, rtol=1e-5)
    assert train_all([training], replace(ONE_EPOCH, workers=workers))[0] == alone  # kept


def answering(monkeypatch, answer):
    """The process of each fold gives this answer."""

    class Workers:
        num_workers = 1

        def results(self, function, items, share=0.0):
            for item in items:
                yield item, function(item)

        def require_seen(self, paths):
            pass

    monkeypatch.setattr(trainings, "run_module", lambda module, request, wanted: answer(request["training"]["fold"]))
    monkeypatch.setattr(trainings, "is_wanted", lambda: lambda: True)
    monkeypatch.setattr(trainings, "prepare_cases", lambda *_: None)
    return replace(ONE_EPOCH, workers=Workers())


def test_workers_are_told_places_that_do_not_depend_on_where_they_are(two_splits, monkeypatch, tmp_path):
    (tmp_path / "own.json").write_bytes((two_splits.dataset_folder("Tiny") / "splits.json").read_bytes())
    monkeypatch.chdir(tmp_path)
    options, asked = answering(monkeypatch, lambda fold: {"summary": None}), []
    monkeypatch.setattr(trainings, "run_module", lambda _, request, __: asked.append(request) or {"summary": None})
    options = replace(options, splits=Path("own.json"), init_from=Path("model.zip"))
    train_all([Training(two_splits, "Tiny", "3d_fullres", "fold0")], options)
    assert asked[0]["options"]["splits"] == str(tmp_path / "own.json")
    assert asked[0]["options"]["init_from"] == str(tmp_path / "model.zip")


def test_a_fold_that_fails_leaves_the_others_trained(two_splits, monkeypatch):
    failed = {"error": "FloatingPointError", "sentence": "the loss became nan."}
    options = answering(monkeypatch, lambda fold: failed if fold == "fold0" else {"summary": {"mean": {}}})
    with pytest.raises(FloatingPointError, match=r"^the loss became nan\.$"):
        train_all([Training(two_splits, "Tiny", "3d_fullres", "cv")], options)


def test_a_process_without_memory_is_told(two_splits, monkeypatch):
    options = answering(monkeypatch, lambda fold: STOPPED)
    with pytest.raises(MemoryError, match=r"fold1: the system ended its training, .* --resume continues\.$"):
        train_all([Training(two_splits, "Tiny", "3d_fullres", "fold1")], options)


def test_what_is_there_is_not_lost(two_splits, monkeypatch):
    options = answering(monkeypatch, lambda fold: {"summary": None})
    training = Training(two_splits, "Tiny", "3d_fullres", "fold0")
    folder = folds(two_splits)[0]
    folder.mkdir(parents=True)
    (folder / "state.safetensors").touch()
    with pytest.raises(BadInput, match="holds an unfinished training"):
        train_all([training], options)
    assert train_all([training], replace(options, resume=True)) == [{"fold0": None}]
    (folder / "state.safetensors").rename(folder / "final.safetensors")
    with pytest.raises(BadInput, match="is trained already"):
        train_all([training], options)
    with pytest.raises(BadInput, match="lies where --overwrite trains anew"):
        train_all([training], replace(options, overwrite=True, init_from=folder / "final.safetensors"))
    assert (folder / "final.safetensors").is_file()
    train_all([training], replace(options, overwrite=True))
    assert not (folder / "final.safetensors").exists()


def test_how_far_a_fold_is_can_be_read_while_it_is_trained(two_splits):
    training = Training(two_splits, "Tiny", "3d_fullres", "fold0")
    folder = folds(two_splits)[0]
    assert done_share(training) == 0
    folder.mkdir(parents=True)
    plan = json.loads((two_splits.dataset_folder("Tiny") / "plan.json").read_text())  # 3 epochs of 4 steps
    (folder / "plan.json").write_text(json.dumps(plan))
    (folder / "progress.jsonl").write_text('{"step": 4, "elapsed_s": 20.0}\n{"step": 8, "elapsed_s": 30.0}\n')
    assert done_share(training) == pytest.approx(8 / 12)
    plan["configurations"]["3d_fullres"]["training"]["time_budget_s"] = 120.0
    (folder / "plan.json").write_text(json.dumps(plan))
    assert done_share(training) == pytest.approx(30 / 120, abs=0.01)
    (folder / "final.safetensors").touch()
    assert done_share(training) == 1


def test_several_fail_together(two_splits, monkeypatch):
    def fails(*_):
        raise FloatingPointError("the loss became nan.")

    monkeypatch.setattr(trainings, "train", fails)
    both = [Training(two_splits, "Tiny", "3d_fullres", fold) for fold in ("fold0", "fold1")]
    with pytest.raises(FloatingPointError, match=r"failed: the loss became nan \(so failed 2 trainings"):
        train_all(both, ONE_EPOCH)


@pytest.mark.parametrize("ended", [KeyboardInterrupt(), ChildProcessError("failed in its own process.")])
def test_a_training_whose_worker_ends_is_given_back(two_splits, monkeypatch, ended):
    distributed = pytest.importorskip("distributed")

    def end(*_):
        raise ended

    monkeypatch.setattr(trainings, "run_module", end)
    training, wanted = Training(two_splits, "Tiny", "3d_fullres", "fold0"), []
    monkeypatch.setattr(trainings, "is_wanted", lambda: lambda: bool(wanted))
    with pytest.raises(distributed.Reschedule):
        trainings.train_in_process(ONE_EPOCH, training)
    wanted.append(True)
    answer = trainings.train_in_process(ONE_EPOCH, training)
    assert answer["error"] == "ChildProcessError"
    assert answer["sentence"].endswith(str(ended) or "was stopped; --resume continues.")
