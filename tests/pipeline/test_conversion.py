"""What a person sees while BIDS datasets become a dataset."""

from autoseg.io.workspace import Workspace
from autoseg.pipeline.conversion import match, write
from autoseg.runtime import progress


def test_both_steps_say_what_they_do_and_how_far_they_are(tiny_bids, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(progress, "LOG_INTERVAL_S", 0.0)
    folder = Workspace(tmp_path).dataset_folder("Tiny")
    report = write(match([tiny_bids]), folder, "Tiny")
    lines = capsys.readouterr().err.splitlines()
    assert lines[0].startswith("look through 1 BIDS dataset: done in ")
    assert lines[1].startswith("convert 6 cases   17 %  ")
    assert lines[-1].startswith("convert 6 cases: done in ")
    assert len(report.cases) == len(Workspace(tmp_path).read_dataset("Tiny").cases) == 6


def test_a_dataset_is_replaced_only_if_asked(tiny_bids, tmp_path):
    conversion = match([tiny_bids])
    write(conversion, tmp_path / "Tiny", "Tiny")
    (tmp_path / "Tiny" / "plan.json").touch()
    assert len(write(conversion, tmp_path / "Tiny", "Tiny").cases) == 6
    assert (tmp_path / "Tiny" / "plan.json").exists()
    assert len(write(conversion, tmp_path / "Tiny", "Tiny", overwrite=True).cases) == 6
    assert not (tmp_path / "Tiny" / "plan.json").exists()
