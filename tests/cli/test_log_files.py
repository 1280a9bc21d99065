"""In a file the progress of every verb is plain text."""

import re
import sys

import pytest

from tests.cli.commands import TRAIN

VERBS = {
    "convert-bids": ("SITE", "--dataset", "New"),
    "plan": ("Tiny",),
    "preprocess": ("Tiny", "3d_fullres"),
    "train": (*TRAIN[1:], "2s", "--overwrite"),
    "predict": ("SITE", "-o", "OUT", "--dataset", "Tiny", "--device", "cpu"),
    "evaluate": ("VALIDATION", "LABELS"),
    "export": ("Tiny", "-o", "OUT/Tiny.autoseg.zip"),
}
LAST = {
    "convert-bids": "convert 3 cases",
    "plan": "measure 6 cases",
    "preprocess": "prepare 6 cases for 3d_fullres",
    "train": "evaluate 2 cases",
    "predict": "predict 3 cases",
    "evaluate": "evaluate 2 cases",
    "export": "write Tiny.autoseg.zip",
}


@pytest.mark.parametrize("verb", VERBS)
def test_no_control_codes_where_nobody_watches(autoseg, workspace, site, tmp_path, monkeypatch, verb):
    places = {
        "SITE": site,
        "OUT": tmp_path / "out",
        "OUT/Tiny.autoseg.zip": tmp_path / "Tiny.autoseg.zip",
        "VALIDATION": workspace / "models/Tiny/3d_fullres/fold0/validation",
        "LABELS": workspace / "datasets/Tiny/labelsTr",
    }
    monkeypatch.setattr("autoseg.runtime.progress.LOG_INTERVAL_S", 0.2)
    log = tmp_path / "log"
    with log.open("w") as stderr:
        monkeypatch.setattr(sys, "stderr", stderr)
        assert autoseg(verb, *(places.get(one, one) for one in VERBS[verb])) == 0
    text = log.read_text()
    assert "\x1b" not in text
    assert "\r" not in text
    assert f"{LAST[verb]}: done in " in text
    if verb == "train":  # what, how far, how long, the current and the best Dice
        line = r"train  +\d+ %  .*left  step \d+  validation Dice 0\.\d+ \(smoothed 0\.\d+, best 0\.\d+\)"
        assert re.search(line, text)
