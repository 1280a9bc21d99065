"""One at a time: the second waits or is told who is at it; a dead process holds nothing."""

import os
import signal
import subprocess
import sys

import pytest

from autoseg.core.errors import BadInput
from autoseg.io.locks import held

HOLD = """
import sys, time
from pathlib import Path
from autoseg.io.locks import held
with held(Path(sys.argv[1]), "trained"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """A process that holds ``tmp_path/fold0`` until its input ends."""
    command = [sys.executable, "-c", HOLD, str(tmp_path / "fold0")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_who_is_at_it_is_named(holder, tmp_path):
    expected = rf"fold0: is being trained by process {holder.pid} on \S+ since 2\S+ \S+; wait until that has ended"
    with pytest.raises(BadInput, match=expected), held(tmp_path / "fold0", "trained"):
        pytest.fail("two processes hold it")


def test_the_second_waits_until_the_first_has_ended(holder, tmp_path):
    told = []

    def end_the_first(sentence):
        told.append(sentence)
        holder.stdin.close()

    with held(tmp_path / "fold0", "prepared", waiting=end_the_first):
        assert holder.wait() == 0
        assert [path.name for path in tmp_path.iterdir() if path.suffix == ".lock"] == [".fold0.lock"]
        assert f'"process": {os.getpid()},' in (tmp_path / ".fold0.holder.json").read_text(encoding="utf-8")
    assert told[0].startswith(f"{tmp_path / 'fold0'}: is being trained by process {holder.pid}")
    assert not list(tmp_path.iterdir())


def test_what_a_killed_process_held_is_free(holder, tmp_path):
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert (tmp_path / ".fold0.lock").exists()
    with held(tmp_path / "fold0", "trained"):
        assert f'"process": {os.getpid()},' in (tmp_path / ".fold0.holder.json").read_text(encoding="utf-8")
    assert not list(tmp_path.iterdir())


def test_it_is_released_when_the_block_fails_and_may_be_held_again(tmp_path):
    for _ in range(2):
        with pytest.raises(RuntimeError), held(tmp_path / "fold0", "trained"):
            raise RuntimeError
    assert not list(tmp_path.iterdir())


def test_a_lock_without_a_readable_holder_still_holds(holder, tmp_path):
    (tmp_path / ".fold0.holder.json").write_text("{", encoding="utf-8")
    with (
        pytest.raises(BadInput, match="fold0: is being worked on by another process; wait"),
        held(tmp_path / "fold0", "x"),
    ):
        pytest.fail("two processes hold it")


def test_many_processes_are_never_two_at_once(tmp_path):
    """Each appends a line in two halves, with time between; no line is torn."""
    code = """
import sys, time
from pathlib import Path
from autoseg.io.locks import held
for turn in range(10):
    with held(Path(sys.argv[1]), "written", waiting=lambda sentence: None), open(sys.argv[1] + ".txt", "a") as file:
        for half in ("a", "b"):
            file.write(half)
            file.flush()
            time.sleep(0.005)
"""
    command = [sys.executable, "-c", code, str(tmp_path / "thing")]
    processes = [subprocess.Popen(command) for _ in range(3)]
    assert [process.wait() for process in processes] == [0, 0, 0]
    assert (tmp_path / "thing.txt").read_text() == "ab" * 30
