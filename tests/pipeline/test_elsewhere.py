"""Segmentations by workers are, byte for byte, those of this process."""

import os
from dataclasses import replace

import pytest

from autoseg.pipeline import elsewhere
from autoseg.pipeline.models import workspace_models
from autoseg.pipeline.prediction import PredictionOptions, line_of, predict
from autoseg.pipeline.segmenting import Line

CPU = PredictionOptions(device="cpu", engine="torch")


def contents(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("naming", ["image", "bids"])
def test_the_same_files_are_written(validated, tiny_bids, tmp_path, workers, naming):
    models, options = workspace_models(validated, "Tiny"), replace(CPU, naming=naming)
    alone = predict(models, [tiny_bids], tmp_path / "alone", options=options)
    shared = predict(models, [tiny_bids], tmp_path / "shared", options=replace(options, workers=workers))
    assert len(shared.written) == len(alone.written) == 6
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
    again = predict(models, [tiny_bids], tmp_path / "shared", options=replace(options, workers=workers))
    assert (len(again.written), len(again.skipped)) == (0, 6)


def test_an_image_that_cannot_be_used_is_left_out(validated, tiny_bids, tmp_path, workers):
    folder = tmp_path / "in"
    folder.mkdir()
    for path in sorted(tiny_bids.glob("sub-*/anat/*_T1w.nii.gz"))[:2]:
        (folder / path.name).symlink_to(path)
    (folder / "broken_T1w.nii.gz").write_bytes(b"no image")
    result = predict(
        workspace_models(validated, "Tiny"), [folder], tmp_path / "out", options=replace(CPU, workers=workers)
    )
    assert len(result.written) == 2
    assert len(result.problems) == 1
    assert "broken_T1w" in result.problems[0]


def killing_line(request: tuple) -> Line:
    """A line whose process ends at one case."""
    flag, wanted, own = request
    line = line_of(own)
    original = line.guard.predictor.prepare

    def prepare(name, image):
        if name == wanted and not (flag.is_file() and flag.read_text() == "spared"):
            flag.touch()
            os.kill(os.getpid(), 9)
        return original(name, image)

    object.__setattr__(line.guard.predictor, "prepare", prepare)
    return line


def test_a_case_that_its_workers_do_not_survive_is_left_out_and_the_others_are_done(
    validated, tiny_bids, tmp_path, workers, monkeypatch
):
    original = elsewhere.segment_elsewhere
    flag = tmp_path / "flag"

    def deadly(workers, make_line, request, todo, outputs):
        wanted = [case.name for case in todo][2]
        return original(workers, killing_line, (flag, wanted, request), todo, outputs)

    monkeypatch.setattr("autoseg.pipeline.prediction.segment_elsewhere", deadly)
    result = predict(
        workspace_models(validated, "Tiny"), [tiny_bids], tmp_path / "out", options=replace(CPU, workers=workers)
    )
    assert flag.is_file()
    assert len(result.written) == 5
    assert len(result.short_of_memory) == 1
    assert "2 workers with nothing else to do were lost over it" in result.problems[0]
    monkeypatch.undo()
    assert len(predict(workspace_models(validated, "Tiny"), [tiny_bids], tmp_path / "out", options=CPU).written) == 1
