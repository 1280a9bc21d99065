"""``--executor``: a scheduler and workers as a user starts them, one of which is killed; and what is refused."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = str(Path(__file__).resolve().parents[2])
FINDING = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, [ROOT, os.environ.get("PYTHONPATH")]))}


def started(*arguments, cwd=None):
    """A process that finds autoseg and says nothing."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    return subprocess.Popen([sys.executable, "-m", *map(str, arguments)], env=FINDING, cwd=cwd, **quiet)


@pytest.fixture
def cluster(tmp_path):
    """``dask scheduler`` and two of ``dask worker``: each states a GPU, and has no nanny that would start it anew.

    They work in a folder of their own: nothing that they are told may depend on where the command runs.
    """
    pytest.importorskip("distributed")
    file, elsewhere = tmp_path / "scheduler.json", tmp_path / "elsewhere"
    elsewhere.mkdir()
    where = ("--host", "127.0.0.1", "--port", "0", "--scheduler-file", file, "--no-dashboard")
    processes = [started("distributed.cli.dask_scheduler", *where)]
    how = (
        "--scheduler-file",
        file,
        "--nthreads",
        "1",
        "--no-nanny",
        "--no-dashboard",
        "--resources",
        "GPU=1",
        "--local-directory",
        tmp_path,
    )
    processes += [started("distributed.cli.dask_worker", *how, cwd=elsewhere) for _ in range(2)]
    try:
        yield file, processes[1:]
    finally:
        for process in processes:
            process.kill()
            process.wait()


def until(holds, seconds):
    """Whether it holds within the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and not holds():
        time.sleep(0.05)
    return holds()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_a_worker_that_is_killed_costs_no_case(autoseg, workspace, site, tmp_path, cluster):
    scheduler, workers = cluster
    images = tmp_path / "in"
    images.mkdir()
    sources = sorted(site.glob("sub-*/anat/*_T1w.nii.gz"))
    for number in range(60):
        (images / f"case{number:02d}.nii.gz").symlink_to(sources[number % len(sources)])
    model = tmp_path / "tiny.autoseg.zip"
    assert autoseg("export", "Tiny", "-o", model) == 0
    assert autoseg("predict", images, "-o", tmp_path / "alone", "--dataset", "Tiny") == 0
    command = [
        "predict",
        "in",
        "-o",
        "shared",
        "--model",
        model.name,
        "--executor",
        "dask",
        "--scheduler",
        scheduler.name,
    ]
    process = subprocess.Popen(
        [sys.executable, "-m", "autoseg", *command, "--json"], stdout=subprocess.PIPE, cwd=tmp_path, env=FINDING
    )
    assert until(lambda: len(list((tmp_path / "shared").glob("case*.nii.gz"))) >= 5, 60)
    workers[0].kill()
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    document = json.loads(output)
    assert (len(document["written"]), document["problems"]) == (60, [])
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


@pytest.mark.slow  # 40 s: processes that load torch, one after the other
def test_trainings_on_workers_are_stopped_with_the_command_and_continue(autoseg, workspace, cluster):
    scheduler, workers = cluster
    command = ("train", "Tiny", "3d_fullres", "cv", "--epochs", "2000", "--executor", "dask", "--scheduler", scheduler)
    process = started("autoseg", "--workspace", workspace, *command, "--resume")

    def under_way(name="progress.jsonl"):
        found = (workspace / "models/Tiny/3d_fullres").glob(f"*/{name}")
        return sorted(file.parent for file in found if not (file.parent / "final.safetensors").exists())

    assert until(lambda: len(under_way()) == 2, 90)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    folds = under_way()
    assert until(lambda: under_way("state.safetensors") == folds, 60)
    assert all(worker.poll() is None for worker in workers)
    steps = [(fold / "progress.jsonl").read_text() for fold in folds]
    time.sleep(3)
    assert [(fold / "progress.jsonl").read_text() for fold in folds] == steps


def test_processes_of_this_machine_prepare_the_same(autoseg, workspace):
    prepared = workspace / "preprocessed/Tiny/3d_fullres"
    before = contents(prepared)
    for path in prepared.iterdir():
        path.unlink()
    assert autoseg("preprocess", "Tiny", "3d_fullres", "--executor", "dask", "--workers", "2") == 0
    assert before.keys() <= contents(prepared).keys()
    assert {name: content for name, content in contents(prepared).items() if name in before} == before


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--scheduler", "s.json"), "--scheduler: is for --executor dask, and it is local; leave one of the two out."),
        (("--workers", "3"), "--workers: --executor local is this process; leave the option out."),
        (("--executor", "dask", "--scheduler", "s.json"), "--scheduler s.json: there is no such file, and it is no"),
        (("--executor", "dask", "--scheduler", "s.json", "--workers", "2"), "--workers: --scheduler has the workers"),
        (("--executor", "slurm"), "site.json: there is no such file; write into it what slurm asks of a job"),
    ],
)
def test_options_that_do_not_fit_are_refused(autoseg, workspace, capsys, options, sentence):
    assert autoseg("preprocess", "Tiny", *options) == 2
    assert sentence in capsys.readouterr().err


def test_without_the_packages_the_remedy_is_told(autoseg, workspace, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert autoseg("preprocess", "Tiny", "--executor", "dask") == 2
    assert "pip install autoseg[cluster]" in capsys.readouterr().err


def test_one_training_is_shared_out_in_one_way(autoseg, workspace, capsys):
    assert autoseg("train", "Tiny", "3d_fullres", "cv", "--executor", "dask", "--devices", "2") == 2
    assert "--devices: shares one training, and --executor several, out" in capsys.readouterr().err
