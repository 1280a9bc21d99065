"""Curves on disk."""

import json

from autoseg.training.tracking import tracker


def test_lines_are_written_and_a_resumed_run_drops_what_it_repeats(tmp_path):
    record = tracker(tmp_path, 0)
    for epoch in range(3):
        record({"epoch": epoch, "loss": 1.0 / (epoch + 1), "patch_dice": {"core": 0.5, "shell": None}})
    tracker(tmp_path, 2)({"epoch": 2, "loss": 9.0, "patch_dice": {"core": 0.6, "shell": 0.1}})
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert lines[2]["loss"] == 9.0
