"""Workers of this machine, of a scheduler, and of a batch system that is played by a script."""

import os
import signal
import stat
import sys
from functools import partial
from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.core.site import Site
from autoseg.runtime import clusters
from autoseg.runtime.workers import LostWork
from tests.runtime import worker_tasks

pytest.importorskip("distributed")

# Runs the job at once, as a node with room would, and remembers its process.
SBATCH = f"""#!{sys.executable}
import pathlib, subprocess, sys
script = pathlib.Path(__file__).with_name("submitted.sh")
script.write_text(pathlib.Path(sys.argv[1]).read_text())
with script.with_suffix(".log").open("w") as log:
    job = subprocess.Popen(["sh", script], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
print("Submitted batch job", job.pid)
"""
SCANCEL = f"""#!{sys.executable}
import os, signal, sys
for job in sys.argv[1:]:
    try:
        os.killpg(int(job), signal.SIGTERM)
    except ProcessLookupError:
        pass
"""


@pytest.fixture
def batch_system(tmp_path, monkeypatch):
    folder = tmp_path / "bin"
    folder.mkdir()
    for name, text in (("sbatch", SBATCH), ("scancel", SCANCEL)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    monkeypatch.setenv(
        "PYTHONPATH", os.pathsep.join([str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")])
    )
    return folder


def test_jobs_of_a_batch_system_do_the_work(batch_system, tmp_path):
    site = Site(
        jobs=1, cores=1, memory="1GB", walltime="00:10:00", account="lab", directives=["--qos=short"], interface="lo"
    )
    handlers = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with clusters.submitted_workers("slurm", site, None, tmp_path / "workers") as workers:
        assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == handlers
        assert [square for _, (square, _) in workers.results(worker_tasks.squared, range(5), share=1.0)] == [
            0,
            1,
            4,
            9,
            16,
        ]
        assert workers.place == "CPU"
    script = (batch_system / "submitted.sh").read_text()
    wanted = "#SBATCH -A lab", "#SBATCH --qos=short", "#SBATCH -t 00:10:00", "tls://", "--lifetime 540s"
    for line in wanted:
        assert line in script
    assert stat.S_IMODE((tmp_path / "workers").stat().st_mode) == 0o700


@pytest.mark.slow  # 80 s: jobs that reach their time limit, one after the other
def test_work_that_takes_longer_than_a_job_goes_on_in_the_next(batch_system, tmp_path):
    site = Site(jobs=2, cores=1, memory="1GB", walltime="0:00:10", interface="lo")
    with clusters.submitted_workers("slurm", site, None, tmp_path / "workers") as workers:
        task = partial(worker_tasks.ends_at_last, tmp_path / "attempts", 4)
        # Results of the second wait for the first: what a worker keeps of them must not count as lost with it.
        (_, attempts), *others = workers.results(task, range(3), share=1.0)
        assert not isinstance(attempts, LostWork)
        assert attempts >= 4  # the next may begin before the one that stops has stopped
        assert others == [(1, 1), (2, 2)]


@pytest.mark.parametrize(
    ("script", "said"),
    [
        ("#!/bin/sh\necho 'sbatch: error: Invalid account or partition' >&2\nexit 1\n", "Invalid account or partition"),
        (None, "No such file or directory: 'sbatch'"),
        ("#!/bin/sh\necho accepted\n", "Could not parse job id from submission command output."),
    ],
)
def test_a_batch_system_that_takes_no_job_is_told(batch_system, tmp_path, monkeypatch, script, said):
    if script is None:
        monkeypatch.setenv("PATH", str(tmp_path))
    else:
        (batch_system / "sbatch").write_text(script)
    site = Site(jobs=2, cores=1, memory="1GB", walltime="0:10:00", interface="lo")
    with (
        pytest.raises(BadInput, match=rf"^slurm takes no job \(.*{said}\); correct site\.json"),
        clusters.submitted_workers("slurm", site, None, tmp_path / "workers"),
    ):
        pass


def test_jobs_that_the_batch_system_refuses_are_told_and_the_others_work(batch_system, tmp_path, capsys):
    once = "import os\ntry:\n    os.mkdir(__file__ + '.taken')\nexcept OSError:\n    sys.exit('one job a user')\n"
    (batch_system / "sbatch").write_text(SBATCH.replace("script =", f"{once}script =", 1))
    site = Site(jobs=2, cores=1, memory="1GB", walltime="0:10:00", interface="lo")
    with clusters.submitted_workers("slurm", site, None, tmp_path / "workers") as workers:
        assert [square for _, (square, _) in workers.results(worker_tasks.squared, range(3))] == [0, 1, 4]
    said = " ".join(capsys.readouterr().err.split())
    assert "slurm takes no more than 1 job of 2 (one job a user)" in said
    assert "1 job submitted to slurm" in said


@pytest.mark.parametrize(
    ("system", "walltime_s", "limit"),
    [("slurm", 28805, "08:00:05"), ("pbs", 217800, "60:30:00"), ("lsf", 28805, "08:00"), ("lsf", 540, "00:09")],
)
def test_a_time_limit_is_written_as_its_system_reads_it(system, walltime_s, limit):
    assert clusters.time_limit(system, walltime_s) == limit


def test_a_job_stops_before_its_limit():
    assert [clusters.working_s(one) for one in (10, 600, 28800)] == [9, 540, 28500]


def test_a_gpu_is_called_as_cuda_calls_it(monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert clusters._gpus() == ["0", "1"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3,GPU-8f2a")
    assert clusters._gpus() == ["3", "GPU-8f2a"]


def test_a_scheduler_that_is_not_there_is_told(tmp_path, monkeypatch):
    with (
        pytest.raises(BadInput, match="there is no such file, and it is no address"),
        clusters.workers_of_scheduler("s.json"),
    ):
        pass
    monkeypatch.setattr(clusters, "ANSWER_LIMIT_S", 0.5)
    with (
        pytest.raises(BadInput, match=r"^--scheduler tcp://127.0.0.1:9: no scheduler answers"),
        clusters.workers_of_scheduler("tcp://127.0.0.1:9"),
    ):
        pass
