"""The command line, run in this process."""

import sys

import pytest

from autoseg.cli import main


@pytest.fixture
def autoseg(monkeypatch, tmp_path):
    """``autoseg(*arguments)`` -> exit status, in a workspace of the test."""

    def run(*arguments) -> int:
        line = ["autoseg", "--workspace", str(tmp_path / "workspace"), *map(str, arguments)]
        monkeypatch.setattr(sys, "argv", line)
        return main()

    return run
