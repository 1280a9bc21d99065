"""A few of each kind of fault; ``bin/faults`` injects many, and writes ``docs/reliability.md``."""

import json
import subprocess
import sys

import pytest

from tests.faults import __main__ as faults
from tests.faults.kills import unreadable
from tests.faults.row import Row


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["kills", "terminations", "two_at_once", "determinism"])
def test_every_stage_survives(kind):
    """In a process of its own: a server that forks must not have the threads of other tests."""
    command = [sys.executable, "-m", "tests.faults", kind, "--share", "0.05"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_did_not_survive_is_shown_and_fails(monkeypatch, capsys):
    rows = [Row("training killed", 50, 49, "12 files", ("training, kill 3: final.safetensors differs",))]
    monkeypatch.setattr(faults, "KINDS", {"kills": (lambda size, seed, folder: iter(rows), 50)})
    monkeypatch.setattr(sys, "argv", ["faults", "kills"])
    assert faults.main() == 1
    shown = capsys.readouterr().out
    assert "  training, kill 3: final.safetensors differs" in shown
    assert "| training killed | 50 | 49 | 12 files |" in shown


def test_half_written_files_are_found(tmp_path):
    (tmp_path / "whole.json").write_text(json.dumps({"a": 1}))
    (tmp_path / "half.json").write_text('{"a"')
    (tmp_path / ".9.partial.half.json").write_text('{"a"')
    (tmp_path / "half.nii.gz").write_bytes(b"\x1f\x8b\x08")
    (tmp_path / "half.safetensors").write_bytes(b"\x10")
    (tmp_path / "half.b2nd").write_bytes(b"\x10")
    found = list(unreadable(tmp_path))
    assert [problem.split(" is half written")[0] for problem in found] == [
        "half.b2nd",
        "half.json",
        "half.nii.gz",
        "half.safetensors",
    ]
