"""``train``: alone, and as ``--devices 2`` or ``torchrun``, which is one training, one voice, one end."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli.commands import TRAIN
from tests.cli.test_interruption import wait_for

FOLD0 = ("--workspace", "WORKSPACE", *TRAIN[:-1])
FOLD = "models/Tiny/3d_fullres/fold0"


def started(workspace, *more, before=("-m", "autoseg")):
    """A command line of its own that trains fold0 anew."""
    arguments = [str(workspace) if one == "WORKSPACE" else one for one in (*FOLD0, "--overwrite", *more)]
    own = {"PYTHONPATH": str(Path(__file__).resolve().parents[2]), "OMP_NUM_THREADS": "1"}
    (workspace / FOLD / "progress.jsonl").unlink(missing_ok=True)
    command = [sys.executable, *before, *arguments]
    return subprocess.Popen(command, env=os.environ | own, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_folds_that_are_trained_are_told_with_their_scores(workspace, autoseg, capsys):
    assert autoseg(*TRAIN[:-1], "--resume") == 0
    output = capsys.readouterr().out
    assert "Tiny 3d_fullres fold0: held-out cases" in output
    assert f"model: {workspace / FOLD}" in output
    assert autoseg(*TRAIN[:-1], "--resume", "--json") == 0
    assert json.loads(capsys.readouterr().out)["folds"]["fold0"]["validation"]["held_out"]


def children(pid):
    return [int(one) for one in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.parametrize("by", ["--devices", "torchrun"])
def test_two_processes_train_and_validate_and_one_speaks(workspace, autoseg, by):
    commands = len((workspace / "commands.jsonl").read_text().splitlines())
    more = ("--devices", "2") if by == "--devices" else ()
    before = ("-m", "autoseg")
    if by == "torchrun":
        before = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "autoseg")
    process = started(workspace, "--epochs", "2", "--json", *more, before=before)
    output, error = process.communicate(timeout=300)
    assert process.returncode == 0, error
    document = json.loads(output)  # one, of one process
    assert error.count("2 processes") == 1
    assert error.count("train: done in") == 1
    validation = workspace / FOLD / "validation"
    scores = document["folds"]["fold0"]["validation"]
    assert scores["mean"]["num_cases"] == len(list(validation.glob("*.nii.gz"))) == 2
    assert not [path for path in validation.iterdir() if path.name.startswith(".")]
    assert len((workspace / FOLD / "progress.jsonl").read_text().splitlines()) == 2
    assert len((workspace / "commands.jsonl").read_text().splitlines()) == commands + 1
    together = {path.name: path.read_bytes() for path in validation.iterdir() if path.suffix in (".gz", ".tsv")}
    shutil.rmtree(validation)
    assert autoseg(*TRAIN[:-1], "--resume") == 0
    assert together == {path.name: path.read_bytes() for path in validation.iterdir() if path.name in together}


@pytest.mark.slow
@pytest.mark.parametrize("killed", [0, 1])
def test_a_killed_process_ends_the_job_with_a_sentence_and_it_resumes(workspace, autoseg, killed):
    process = started(workspace, "--epochs", "100000", "--devices", "2")
    wait_for(workspace / FOLD / "progress.jsonl")
    both = children(process.pid)
    os.kill(both[killed], signal.SIGKILL)
    before = time.monotonic()
    _, error = process.communicate(timeout=60)
    assert time.monotonic() - before < 20
    assert process.returncode == 1
    (sentence,) = [line for line in error.splitlines() if line.startswith("autoseg: ")]
    assert sentence.startswith(f"autoseg: process {killed} of 2 of the training was ended by SIGKILL, so")
    assert "Traceback" not in error
    assert not any(Path(f"/proc/{pid}").exists() for pid in both)
    assert autoseg(*TRAIN[:-1], "--epochs", "1", "--resume") == 0


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_the_launcher_saves_the_state(workspace, number):
    process = started(workspace, "--epochs", "100000", "--devices", "2")
    wait_for(workspace / FOLD / "progress.jsonl")
    process.send_signal(number)
    _, error = process.communicate(timeout=60)
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 0}[number]
    assert error.count("autoseg: interrupted; what was finished is saved") == 1
    assert (workspace / FOLD / "state.safetensors").is_file()


def test_what_is_wrong_is_told_once(workspace):
    process = started(workspace, "--freeze", "nothing", "--devices", "2")
    _, error = process.communicate(timeout=120)
    assert process.returncode == 2, error
    assert [line for line in error.splitlines() if line.startswith("autoseg: ")] == error.splitlines()[-1:]


def test_another_number_of_processes_than_was_started_is_refused(autoseg, workspace, capsys, monkeypatch):
    for name, value in {"RANK": "0", "WORLD_SIZE": "3", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "1"}.items():
        monkeypatch.setenv(name, value)
    assert autoseg(*TRAIN[:-1], "--devices", "2") == 2
    assert "--devices 2: 3 processes were started; leave the option out." in capsys.readouterr().err
