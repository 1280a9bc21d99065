"""Curves on disk."""

import json

import pytest

from autoseg.training.tracking import tracker


def test_lines_and_events_are_written_and_a_resumed_run_drops_what_it_repeats(tmp_path):
    with tracker(tmp_path, 0) as record:
        for epoch in range(3):
            record({"epoch": epoch, "loss": 1.0 / (epoch + 1), "patch_dice": {"core": 0.5, "shell": None}})
    with tracker(tmp_path, 2) as record:
        record({"epoch": 2, "loss": 9.0, "patch_dice": {"core": 0.6, "shell": 0.1}})
    lines = [json.loads(line) for line in (tmp_path / "progress.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == [0, 1, 2]
    assert lines[2]["loss"] == 9.0


def test_tensorboard_reads_the_events(tmp_path):
    loading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with tracker(tmp_path, 0) as record:
        record({"epoch": 0, "loss": 0.25, "patch_dice": {"core": 0.5}})
    events = loading.EventAccumulator(str(tmp_path)).Reload()
    assert [event.value for event in events.Scalars("loss")] == [0.25]
    assert [event.value for event in events.Scalars("patch_dice/core")] == [0.5]
