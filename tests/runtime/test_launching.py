"""Processes that are started together end together; what is said, and by whom."""

import subprocess
import sys
import time

import pytest

from autoseg.runtime import launching, lifeline

SLEEP = "import time; time.sleep(60)"


@pytest.fixture
def started(monkeypatch):
    """``started(*programs)`` -> the outcome of ``start`` with these programs for its processes."""

    def run(*programs):
        processes = []

        def process(arguments, rank, place, descriptors):
            processes.append(subprocess.Popen([sys.executable, "-c", programs[rank]]))
            return processes[-1]

        monkeypatch.setattr(launching, "_process", process)
        before = time.monotonic()
        try:
            return launching.start([], len(programs))
        finally:
            assert time.monotonic() - before < 20
            assert all(process.poll() is not None for process in processes)

    return run


def test_all_end_well(started):
    assert started("pass", "pass") == 0


def test_the_status_of_the_one_that_failed_by_itself_counts(started):
    assert started(f"raise SystemExit({lifeline.LOST})", "raise SystemExit(2)") == 2
    assert started("raise SystemExit(1)", SLEEP) == 1


@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_is_named_and_the_others_are_ended(started, killed):
    programs = [SLEEP, SLEEP]
    programs[killed] = "import os; os.kill(os.getpid(), 9)"
    with pytest.raises(ChildProcessError, match=f"^process {killed} of 2 of the training was ended by SIGKILL, so"):
        started(*programs)


def test_one_that_ends_before_the_others_is_told(started, monkeypatch):
    monkeypatch.setattr(launching, "GRACE_S", 1.0)
    with pytest.raises(ChildProcessError, match="one of the 2 processes of the training ended before the others"):
        started(SLEEP, "pass")


def test_a_signal_goes_to_the_first_and_takes_effect_when_it_has_ended(started, tmp_path):
    done = tmp_path / "done"
    first = f"""
import os, pathlib, signal, sys, time
signal.signal(signal.SIGINT, lambda *_: (time.sleep(1), pathlib.Path({str(done)!r}).touch(), sys.exit(0)))
os.kill(os.getppid(), signal.SIGINT)
time.sleep(60)
"""
    with pytest.raises(KeyboardInterrupt):
        started(first, SLEEP)
    assert done.is_file()


def test_the_environment_tells_the_place(monkeypatch):
    for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", lifeline.VARIABLE):
        monkeypatch.delenv(name, raising=False)
    assert (launching.planned_count(), launching.planned_rank(), launching.speaks_through_another()) == (1, 0, False)
    for name, value in {"RANK": "0", "WORLD_SIZE": "3", "MASTER_ADDR": "a", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert (launching.planned_count(), launching.planned_rank(), launching.speaks_through_another()) == (3, 0, False)
    monkeypatch.setenv("RANK", "2")
    assert (launching.planned_rank(), launching.speaks_through_another()) == (2, True)
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv(lifeline.VARIABLE, "7")
    assert launching.speaks_through_another()
