"""A full disk and an interruption end a command with one sentence; run again, it continues."""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from autoseg.networks import model_file
from tests.cli.commands import TRAIN

STATUS = {signal.SIGINT: 130, signal.SIGTERM: 0}  # a time limit of a cluster is no failure
CONTINUE = "interrupted; what was finished is saved, and the same command continues (train: with --resume)."


@pytest.fixture
def small_disk(tmp_path, workspace):
    """A file system of 4 MB with a copy of the workspace, and a function that leaves only so much of it."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if not shutil.which("mount") or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted (that needs root)")
    shutil.copytree(workspace, disk / "workspace", symlinks=True)

    def leave(size):
        (disk / "filler").unlink(missing_ok=True)
        (disk / "filler").write_bytes(bytes(max(0, shutil.disk_usage(disk).free - size)))

    yield disk, leave
    subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.parametrize(
    ("arguments", "removed", "left", "named"),
    [
        (("convert-bids", "SITE", "--dataset", "New"), "datasets/New", 0, "datasets/New"),
        (("plan", "Tiny"), "datasets/Tiny/plan.json", 0, "fingerprint.json"),
        (("preprocess", "Tiny", "3d_fullres"), "preprocessed/Tiny", 0, "_labels.b2nd"),
        (("preprocess", "Tiny", "3d_fullres"), "preprocessed/Tiny", 40_960, ".b2nd"),
        ((*TRAIN[:-1], "--epochs", "1"), "models/Tiny", 49_152, "state.safetensors"),
        (("predict", "SITE", "-o", "OUT", "--dataset", "Tiny", "--device", "cpu"), "out", 20_480, "_dseg.nii.gz"),
        (("predict", "NRRD", "-o", "OUT", "--dataset", "Tiny", "--device", "cpu"), "out", 12_288, "x.nrrd"),
    ],
)
def test_a_full_disk(autoseg, capsys, monkeypatch, small_disk, site, arguments, removed, left, named):
    disk, leave = small_disk
    monkeypatch.setattr("autoseg.training.trainer.SAVE_INTERVAL_S", 0)
    if "NRRD" in arguments:
        import SimpleITK

        SimpleITK.WriteImage(SimpleITK.ReadImage(next(site.rglob("*_T1w.nii.gz"))), site / "x.nrrd")
    places = {"SITE": site, "NRRD": site / "x.nrrd", "OUT": disk / "workspace/out"}
    command = ("--workspace", disk / "workspace", *(places.get(argument, argument) for argument in arguments))
    shutil.rmtree(disk / "workspace" / removed, ignore_errors=True)
    leave(left)
    assert autoseg(*command) == 1
    error = capsys.readouterr().err
    (sentence,) = [line for line in error.splitlines() if line.startswith("autoseg: ")]
    assert f"{named}: the disk is full; make room and run the same command again to continue." in sentence
    assert "Traceback" not in error
    assert not [path for path in disk.rglob("*") if "partial" in path.name]
    (disk / "filler").unlink()
    assert autoseg(*command) == 0


def steps(path, *keys):
    facts = model_file.read(path)[1]
    for key in keys:
        facts = facts[key]
    return facts["step"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_an_interrupted_training_continues(autoseg, capsys, workspace, number):
    fold = workspace / "models/Tiny/3d_fullres/fold0"
    shutil.rmtree(fold)
    if number == signal.SIGKILL:
        code = (
            "import sys, autoseg.training.trainer as trainer; from autoseg.cli import main\n"
            "trainer.SAVE_INTERVAL_S = 0\nsys.exit(main())"
        )
        command = [sys.executable, "-c", code, "--workspace", workspace, *TRAIN, "60s"]
        process = subprocess.Popen(list(map(str, command)), stderr=subprocess.DEVNULL)
        wait_for(fold / "state.safetensors")
        process.kill()
        assert process.wait() == -number
    else:

        def stop():
            wait_for(fold / "progress.jsonl")
            signal.pthread_kill(threading.main_thread().ident, number)

        threading.Thread(target=stop).start()
        assert autoseg(*TRAIN, "60s") == STATUS[number]
        assert CONTINUE in capsys.readouterr().err
    reached = steps(fold / "state.safetensors", "run")
    assert autoseg(*TRAIN, "60s") == 2
    assert "holds an unfinished training; add --resume" in capsys.readouterr().err
    assert autoseg(*TRAIN, "1s", "--resume") == 0
    assert steps(fold / "final.safetensors") >= reached
    assert not (fold / "state.safetensors").exists()


def wait_for(path):
    end = time.monotonic() + 300  # a busy machine imports torch slowly
    while not path.exists() and time.monotonic() < end:
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_preparation_continues(autoseg, capsys, monkeypatch, workspace, number):
    folder = workspace / "preprocessed/Tiny/3d_fullres"
    shutil.rmtree(folder)

    def interrupted(path, content):
        patch.undo()
        os.kill(os.getpid(), number)
        return real(path, content)

    real = Path.write_bytes
    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", interrupted)
        assert autoseg("preprocess", "Tiny", "3d_fullres") == STATUS[number]
    assert CONTINUE in capsys.readouterr().err
    assert not list(folder.glob(".*.b2nd"))
    assert autoseg("preprocess", "Tiny", "3d_fullres") == 0
    assert len(list(folder.glob("*.b2nd"))) == 12
