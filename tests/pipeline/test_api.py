"""The functions for Python programs do what the verbs of the command line do."""

import json
import sys
from pathlib import Path

import pytest

import autoseg
from autoseg.cli import main
from autoseg.io.files import write_text
from autoseg.runtime import progress

DOCUMENTS = ("dataset.json", "cases.tsv", "fingerprint.json", "plan.json")


def command_line(monkeypatch, root, *arguments) -> None:
    monkeypatch.setattr(sys, "argv", ["autoseg", "--workspace", str(root), *map(str, arguments)])
    assert main() == 0


def test_a_dataset_and_its_plan_are_those_of_the_command_line(tiny_bids, tmp_path, monkeypatch):
    command_line(monkeypatch, tmp_path / "shell", "convert-bids", tiny_bids, "--dataset", "Tiny")
    command_line(monkeypatch, tmp_path / "shell", "plan", "Tiny", "--memory", "2GB")
    report = autoseg.convert_bids(str(tiny_bids), "Tiny", workspace=tmp_path / "python")
    plan = autoseg.plan("Tiny", memory_gb=2, workspace=str(tmp_path / "python"))
    assert (len(report.cases), report.labels) == (6, {"background": 0, "shell": 1, "core": 2})
    assert plan.recommended in plan.configurations
    for name in DOCUMENTS:
        shell, python = ((tmp_path / one / "datasets/Tiny" / name).read_text() for one in ("shell", "python"))
        assert shell == python


def test_each_epoch_of_a_training_is_reported(workspace):
    figures = []
    summaries = autoseg.train("Tiny", epochs=2, device="cpu", on_epoch=figures.append, workspace=workspace.root)
    folder = workspace.model_folder("Tiny", "3d_fullres", "fold0")  # the recommended one, of the first fold
    lines = (folder / "progress.jsonl").read_text().splitlines()
    assert figures == [json.loads(line) for line in lines]
    assert [one["epoch"] for one in figures] == [0, 1]
    assert {"loss", "learning_rate", "mean_patch_dice", "elapsed_s"} <= figures[0].keys()
    evaluation = json.loads((folder / "validation/evaluation.json").read_text())
    assert summaries["fold0"]["mean"] == evaluation["mean"]


def test_a_failing_report_ends_a_training_that_then_continues(workspace, monkeypatch):
    monkeypatch.setattr("autoseg.training.trainer.SAVE_INTERVAL_S", 0)

    def fail(figures):
        raise ConnectionError("the tracker is away")

    options = {"epochs": 2, "device": "cpu", "workspace": workspace.root}
    with pytest.raises(ConnectionError, match="the tracker is away"):
        autoseg.train("Tiny", "3d_fullres", on_epoch=fail, **options)
    figures = []
    autoseg.train("Tiny", "3d_fullres", on_epoch=figures.append, resume=True, **options)
    assert [one["epoch"] for one in figures][-1] == 1


def test_segmenting_evaluating_and_exporting(validated, tiny_bids, tmp_path, monkeypatch):
    root = validated.root
    command_line(
        monkeypatch, root, "predict", tiny_bids, "-o", tmp_path / "shell", "--dataset", "Tiny", "--device", "cpu"
    )
    monkeypatch.setenv("AUTOSEG_WORKSPACE", str(root))
    result = autoseg.predict(tiny_bids, tmp_path / "python", "Tiny", device="cpu")
    assert len(result.written) == 6
    for path in result.written:
        assert path.read_bytes() == (tmp_path / "shell" / path.relative_to(tmp_path / "python")).read_bytes()
    summary = autoseg.evaluate(tmp_path / "python", tiny_bids, output=tmp_path / "scores", metrics=["overlap"])
    assert summary["mean"] == json.loads((tmp_path / "scores/evaluation.json").read_text())["mean"]
    assert autoseg.select("Tiny", ensemble=False, device="cpu").configurations[0] in ("2d", "3d_fullres")
    members = autoseg.export("Tiny", tmp_path / "Tiny.autoseg.zip")
    assert "selection.json" in members
    assert (tmp_path / "Tiny.autoseg.zip").is_file()


def test_the_whole_path(tiny_bids, tiny_plan, tmp_path, monkeypatch):
    def tiny(workspace, name, memory_gb, workers):
        write_text(workspace.dataset_folder(name) / "plan.json", tiny_plan.model_dump_json())
        return tiny_plan

    monkeypatch.setattr("autoseg.pipeline.whole.plan_dataset", tiny)
    figures = []
    options = {"epochs": 1, "device": "cpu", "workspace": tmp_path}
    result = autoseg.run([tiny_bids], "Tiny", on_epoch=figures.append, **options)
    assert result["configuration"] == "3d_fullres"
    assert result["folds"]["fold0"]["mean"]["dice"] is not None
    assert len(figures) == 1
    assert autoseg.run(str(tiny_bids), "Tiny", **options) == result  # nothing is done twice


def test_without_a_workspace_it_is_that_of_the_environment_or_beside_the_program(tiny_bids, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AUTOSEG_WORKSPACE", raising=False)
    assert autoseg.convert_bids(tiny_bids, "Tiny").folder == tmp_path / "autoseg-workspace/datasets/Tiny"
    monkeypatch.setenv("AUTOSEG_WORKSPACE", str(tmp_path / "elsewhere"))
    assert autoseg.convert_bids(tiny_bids, "Tiny").folder == tmp_path / "elsewhere/datasets/Tiny"


def test_bad_input_is_one_sentence(tmp_path):
    with pytest.raises(autoseg.BadInput, match="there is no dataset of this name"):
        autoseg.train("Nothing", workspace=tmp_path)
    with pytest.raises(autoseg.BadInput, match="use letters, digits"):
        autoseg.convert_bids(Path("x"), "../x", workspace=tmp_path)


def test_progress_is_shown_as_on_the_command_line(tiny_bids, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LOG_INTERVAL_S", 0.0)
    autoseg.convert_bids(tiny_bids, "Tiny", workspace=tmp_path)
    captured = capsys.readouterr()
    assert "convert 6 cases: done in" in captured.err
    assert captured.out == ""
