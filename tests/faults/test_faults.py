"""A few of each kind of fault; ``bin/faults`` injects many, and writes ``docs/reliability.md``."""

import json
import subprocess
import sys

import pytest

from tests.faults import __main__ as faults
from tests.faults.kills import unreadable
from tests.faults.row import Row

SLOW = [pytest.param(kind, 0.05, marks=pytest.mark.slow) for kind in ("terminations", "two_at_once", "determinism")]


@pytest.mark.parametrize(("kind", "share"), [("kills", 0.02), *SLOW])
def test_every_stage_survives(kind, share):
    """In a process of its own: a server that forks must not have the threads of other tests."""
    command = [sys.executable, "-m", "tests.faults", kind, "--share", str(share)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=1200)
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_what_did_not_survive_is_shown_and_fails(monkeypatch, capsys, tmp_path):
    rows = [Row("training killed", 50, 49, "12 files", ("training, kill 3: final.safetensors differs",))]
    monkeypatch.setattr(faults, "KINDS", {"kills": (lambda size, seed, folder: iter(rows), 50)})
    monkeypatch.setattr(faults, "PAGE", tmp_path / "page.md")
    monkeypatch.setattr(faults, "when", lambda: "today")
    old = "| fault | injected | as it must be | compared | made |\n|---|---|---|---|---|\n"
    old += "| training killed | 50 | 50 | 11 files | before |\n| study killed | 50 | 50 | 9 files | before |\n"
    faults.PAGE.write_text(f"Above.\n{faults.BEGIN}\n{old}{faults.END}\nBelow.\n")
    monkeypatch.setattr(sys, "argv", ["faults", "kills", "--share", "0.5"])
    assert faults.main() == 1
    assert old in faults.PAGE.read_text()  # a part is shown, not recorded
    assert "  training, kill 3: final.safetensors differs" in capsys.readouterr().out
    monkeypatch.setattr(sys, "argv", ["faults", "kills"])
    assert faults.main() == 1
    above, table = faults.PAGE.read_text().split(faults.BEGIN)
    assert above == "Above.\n"
    assert "| training killed | 50 | 49 | 12 files | today |\n| study killed | 50 | 50 | 9 files | before |" in table
    assert table.endswith(f"{faults.END}\nBelow.\n")
    assert faults.main() == 1  # and once more, on what it wrote itself
    assert faults.PAGE.read_text().split(faults.BEGIN)[1] == table


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
