"""A module in a process of its own: JSON in, JSON out, and what became of it."""

import time

import pytest

from autoseg.runtime.own_process import STOPPED, run_module


@pytest.fixture
def module(tmp_path, monkeypatch):
    """``module(source)`` -> the name of a module of that source, which a new process finds."""
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    def write(source: str) -> str:
        (tmp_path / "own.py").write_text("import json, os, sys\nrequest = json.load(sys.stdin)\n" + source)
        return "own"

    return write


def test_the_last_line_is_the_answer_and_autoseg_is_found(module):
    source = "import autoseg.core.labels\nprint('noise')\nprint(json.dumps({'twice': 2 * request['number']}))"
    assert run_module(module(source), {"number": 21}) == {"twice": 42}


def test_a_process_that_a_signal_ends_is_stopped(module):
    assert run_module(module("os.kill(os.getpid(), 9)"), {}) == STOPPED


def test_an_interrupt_reaches_the_caller(module):
    with pytest.raises(KeyboardInterrupt):
        run_module(module("os.kill(os.getpid(), 15)"), {})


@pytest.mark.parametrize(
    ("source", "reason"), [("raise ValueError('no such thing')", "no such thing"), ("", "nothing")]
)
def test_a_failure_is_told_with_its_reason(module, source, reason):
    with pytest.raises(
        ChildProcessError, match=rf"^own: failed in its own process \(.*{reason}.*\); run the command again"
    ):
        run_module(module(source), {})


def test_a_crash_is_one_sentence_with_what_it_worked_on(module):
    with pytest.raises(ChildProcessError) as caught:
        run_module(module("os.kill(os.getpid(), 11)"), {"configuration": "2d"})
    assert str(caught.value) == (
        'own: its process was ended by SIGSEGV while it worked on {"configuration": "2d"}; run the command again.'
    )


def test_what_is_not_wanted_any_more_is_asked_to_end(module, tmp_path):
    source = f"""
import pathlib, signal, time
from autoseg.runtime.lifeline import end_with_parent

def end(*_):
    pathlib.Path({str(tmp_path / "saved")!r}).touch()
    print(1)
    sys.exit()

signal.signal(signal.SIGTERM, end)
end_with_parent()
time.sleep(60)
"""
    started = time.monotonic()
    assert run_module(module(source), {}, wanted=lambda: time.monotonic() < started + 2) == 1
    assert (tmp_path / "saved").is_file()
    assert time.monotonic() - started < 30
