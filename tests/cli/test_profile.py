"""``--profile`` of train and predict samples the real run; the verb measures without a trained model."""

import csv
import json

import pytest

from autoseg.cli.profile import numbers
from autoseg.core.errors import BadInput
from autoseg.pipeline import memory_sweeps
from autoseg.runtime.profiling import COLUMNS
from tests.cli.commands import TRAIN


def read_rows(path):
    with path.open(newline="") as lines:
        return list(csv.DictReader(lines))


def test_a_training_and_a_prediction_are_sampled_by_phase(autoseg, capsys, tiny_bids, tiny_plan, tmp_path):
    assert autoseg("convert-bids", tiny_bids, "--dataset", "Tiny") == 0
    (tmp_path / "workspace/datasets/Tiny/plan.json").write_text(tiny_plan.model_dump_json())
    samples = tmp_path / "train.csv"
    train = ("train", "Tiny", "3d_fullres", "fold0", "--device", "cpu", "--epochs", 3)
    assert autoseg(*train, "--profile", samples) == 0
    rows = read_rows(samples)
    assert tuple(rows[0]) == COLUMNS
    assert "train" in {row["phase"] for row in rows}
    summary = json.loads((tmp_path / "train.json").read_text(encoding="utf-8"))["train Tiny 3d_fullres fold0"]
    progress = (
        (tmp_path / "workspace/models/Tiny/3d_fullres/fold0/progress.jsonl").read_text(encoding="utf-8").splitlines()
    )
    assert summary["train"]["times_s"]["epoch"]["number"] == len(progress)
    assert summary["predict"]["times_s"]["case"]["number"] == 2
    assert summary["predict"]["times_s"]["forward"]["mean"] > 0
    assert "averages and peaks by phase" in capsys.readouterr().err

    samples = tmp_path / "predict.csv"
    predict = ("predict", tiny_bids, "-o", tmp_path / "out", "--dataset", "Tiny", "--device", "cpu")
    assert autoseg(*predict, "--profile", samples) == 0
    summary = json.loads((tmp_path / "predict.json").read_text(encoding="utf-8"))["predict with Tiny"]
    assert summary["predict"]["times_s"]["case"]["number"] == 6


@pytest.mark.parametrize(("name", "problem"), [("samples.txt", "ends in .csv"), ("there.csv", "is there already")])
def test_no_file_is_written_over(autoseg, workspace, capsys, tmp_path, name, problem):
    (tmp_path / "there.json").write_text("mine")
    assert autoseg(*TRAIN, "1s", "--resume", "--profile", tmp_path / name) == 2
    assert problem in capsys.readouterr().err
    assert (tmp_path / "there.json").read_text(encoding="utf-8") == "mine"


def test_sweeps_instead_of_the_profile(autoseg, workspace, capsys, monkeypatch, tmp_path):
    sweep = memory_sweeps.ClassSweep("3d_fullres", "cpu", (16, 16, 16), 2, (2, 8, 32), (1.0, 1.6, 4.0), 0.1, 0.8, 1.0)
    volume = memory_sweeps.LargestVolume("3d_fullres", "cpu", "fp32", 3.0, 4, 112, 2.9, {112: 2.9, 116: None})
    monkeypatch.setattr(memory_sweeps, "memory_by_classes", lambda plan, one, classes, *rest: sweep)
    monkeypatch.setattr(memory_sweeps, "largest_volume", lambda *arguments: volume)
    command = ("profile", "Tiny", "-o", tmp_path / "out", "--device", "cpu", "--classes", "2,8,32", "--largest-volume")
    assert autoseg(*command, "--memory", "3GB", "--json") == 0
    document = json.loads(capsys.readouterr().out)
    assert document["classes"][0]["slope_gb"] == 0.1
    assert document["largest_volume"][0]["size"] == 112
    assert "runs" not in document
    assert autoseg(*command) == 0
    assert "largest volume" in capsys.readouterr().out
    assert (tmp_path / "out/classes.svg").is_file()


@pytest.mark.slow
def test_the_verb_end_to_end(autoseg, workspace, capsys, tmp_path):
    """Starts a process for each library."""
    output = tmp_path / "profile"
    assert autoseg("profile", "Tiny", "--seconds", "1", "--device", "cpu", "-o", output, "--json") == 0
    runs = json.loads(capsys.readouterr().out)["runs"]
    assert runs[0]["library"] == "torch"
    assert all(run["phases"]["predict"]["memory_gb"]["peak"] > 0.1 for run in runs)
    assert {path.name for path in output.iterdir()} == {
        "profile.json",
        "profile.md",
        "profile.png",
        "profile.svg",
        "samples.csv",
    }


@pytest.mark.parametrize("text", ["", "2,x", "1,2", "-3"])
def test_numbers_of_classes(text):
    assert numbers("8, 2,8") == [2, 8]
    with pytest.raises(BadInput, match="--classes"):
        numbers(text)
