"""Where workers come from: this machine, a dask scheduler that runs already, or jobs of a batch system."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from autoseg.core.errors import BadInput
from autoseg.core.site import SITE_FILE, Site
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.progress import counted, say
from autoseg.runtime.workers import Workers, connected

if TYPE_CHECKING:
    from distributed import Client, SpecCluster

BatchSystem = Literal["slurm", "pbs", "lsf"]

ANSWER_LIMIT_S = 20.0
SILENT = logging.CRITICAL  # what concerns a person is raised, and said in a sentence
SETTINGS = {
    "logging.distributed": "critical",
    "distributed.scheduler.allowed-failures": 1,  # with a second worker that is lost, its work is tried alone
}
ENDING_S = 300  # before its time limit a job takes no more work: what it is at may be saved, or is begun anew elsewhere
# Pages that tell what is going on would else be open, at a port that may be taken, to whoever reaches the machine.
OWN_PAGES = "127.0.0.1:0"
NO_DASHBOARD = {"dashboard": False, "dashboard_address": OWN_PAGES}


@contextmanager
def local_workers(count: int | None) -> Iterator[Workers]:
    """``count`` processes of this machine, which share its cores; unless given, one for each GPU, else two.

    Only this process can reach them (TLS with credentials of its own): others of this machine could else run anything
    as this user.
    """
    from distributed import Nanny, Scheduler, SpecCluster
    from distributed.security import Security

    gpus = _gpus()
    count = count or len(gpus) or 2
    security = Security.temporary()  # type: ignore[no-untyped-call]
    at = {"protocol": "tls://", "host": "127.0.0.1", "security": security, **NO_DASHBOARD}
    nannies = {}
    for number in range(count):
        own: dict[str, Any] = {"resources": {"CPU": 1}}
        if gpus:
            own = {"resources": {"GPU": 1}, "env": {"CUDA_VISIBLE_DEVICES": gpus[number % len(gpus)]}}
        shared = {"nthreads": max(1, num_cores() // count), "memory_limit": None, "silence_logs": SILENT}
        nannies[number] = {"cls": Nanny, "options": {**shared, **own, **at}}
    scheduler = {"cls": Scheduler, "options": {"port": 0, **at}}
    with (
        _settings(),
        SpecCluster(nannies, scheduler, security=security, silence_logs=SILENT) as cluster,  # type: ignore[no-untyped-call]
        _client(cluster) as client,
    ):
        yield connected(client)


@contextmanager
def workers_of_scheduler(where: str) -> Iterator[Workers]:
    """Those of a scheduler that runs already: its address, or the file that it was told to write."""
    from distributed import Client

    is_file = Path(where).is_file()
    if not is_file and "://" not in where:
        raise BadInput(
            f"--scheduler {where}: there is no such file, and it is no address; give what `dask scheduler "
            "--scheduler-file FILE` writes, or an address such as tcp://10.0.0.1:8786."
        )
    given: dict[str, Any] = {"scheduler_file": where} if is_file else {"address": where}
    with _settings():
        try:
            client = Client(**given, timeout=ANSWER_LIMIT_S, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, ValueError) as error:
            first = (str(error).splitlines() or [type(error).__name__])[0]
            raise BadInput(
                f"--scheduler {where}: no scheduler answers ({first}); start one with `dask scheduler`, or correct it."
            ) from None
        with _telling_loss(), client:
            yield connected(client)


@contextmanager
def submitted_workers(system: BatchSystem, site: Site, count: int | None, folder: Path) -> Iterator[Workers]:
    """Jobs of a batch system, ``count`` or as many as the site says; one that ends too early is replaced.

    Before its time limit a job gives its work back, and whatever it was at is not to blame for that.
    What they say, and the credentials by which they and this process know each other, goes into ``folder``.
    """
    with _own_signals():
        from dask_jobqueue.lsf import LSFCluster
        from dask_jobqueue.pbs import PBSCluster
        from dask_jobqueue.slurm import SLURMCluster
    number = count or site.jobs
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    kind = {"slurm": SLURMCluster, "pbs": PBSCluster, "lsf": LSFCluster}[system]
    place = f"GPU={site.gpus}" if site.gpus else "CPU=1"
    account: dict[str, Any] = {"project" if system == "lsf" else "account": site.account} if site.account else {}
    with (
        _settings(),
        kind(
            cores=site.cores,
            memory=site.memory,
            walltime=time_limit(system, site.walltime_s),
            queue=site.queue,
            job_extra_directives=list(site.directives),
            job_script_prologue=list(site.prologue),
            python=site.python,
            interface=site.interface,
            processes=1,
            job_name="autoseg",
            local_directory=str(folder),
            log_directory=str(folder),
            shared_temp_directory=str(folder),
            worker_extra_args=[
                *("--resources", place),
                *("--lifetime", f"{working_s(site.walltime_s)}s"),
                *("--no-dashboard", "--dashboard-address", OWN_PAGES),
            ],
            scheduler_options=dict(NO_DASHBOARD),
            protocol="tls://",
            security=True,
            silence_logs=SILENT,
            **account,
        ) as cluster,
        _marking_ended(cluster),
    ):
        num_submitted = submit(cluster, number, system)
        cluster.adapt(minimum_jobs=number, maximum_jobs=number)  # one that ends is replaced
        say(f"{counted(num_submitted, 'job')} submitted to {system}; the work begins with the first that runs")
        with _client(cluster) as client:
            yield connected(client)


def submit(cluster: Any, number: int, system: BatchSystem) -> int:
    """Submit jobs; how many the batch system took. BadInput, with what it said, where it took none."""
    from distributed import Status

    async def submitted() -> None:
        while len(cluster.worker_spec) < number:
            cluster.worker_spec.update(cluster.new_worker_spec())
        await cluster._correct_state()  # as ``scale`` does, which does not tell of errors

    said = ""
    try:
        cluster.sync(submitted)
    except (RuntimeError, OSError, ValueError) as error:  # it was refused; there is no such command; it says no number
        _, _, last = str(error).partition("stderr:\n")
        said = next(filter(None, (last or str(error)).splitlines()), type(error).__name__)
    taken = sum(job.status is not Status.created for job in cluster.workers.values())
    if not taken:
        raise BadInput(f"{system} takes no job ({said}); correct {SITE_FILE}, or submit from a machine that may.")
    if taken < number:
        say(f"note: {system} takes no more than {counted(taken, 'job')} of {number} ({said})", style="yellow")
    return taken


@contextmanager
def _marking_ended(cluster: Any) -> Iterator[None]:
    """After the block the jobs are marked as ended, which dask-jobqueue 0.9 does not do and dask insists on."""
    from distributed import Status

    try:
        yield
    finally:
        for job in cluster.workers.values():
            job.status = Status.closing


def time_limit(system: BatchSystem, walltime_s: int) -> str:
    """As the batch system reads it: LSF without seconds."""
    minutes, seconds = divmod(walltime_s, 60)
    if system == "lsf":
        return f"{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}"


def working_s(walltime_s: int) -> int:
    """How long a job works: of a short one nine tenths, else all but five minutes."""
    return max(9 * walltime_s // 10, walltime_s - ENDING_S)


@contextmanager
def _own_signals() -> Iterator[None]:
    """What is imported inside the block leaves the handlers of signals as they are; dask-jobqueue 0.9 would not."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _settings() -> Iterator[None]:
    import dask

    with dask.config.set(SETTINGS):
        yield


@contextmanager
def _client(cluster: SpecCluster) -> Iterator[Client]:
    from distributed import Client

    with _telling_loss(), Client(cluster, set_as_default=False) as client:  # type: ignore[no-untyped-call]
        yield client


@contextmanager
def _telling_loss() -> Iterator[None]:
    """ChildProcessError, one sentence, where the scheduler is lost inside the block."""
    from distributed.comm.core import CommClosedError

    try:
        yield
    except (CancelledError, CommClosedError) as error:
        raise ChildProcessError(
            f"the connection to the dask scheduler was lost ({type(error).__name__}); what was finished is kept, and "
            "the same command continues."
        ) from error


def _gpus() -> list[str]:
    """The GPUs of this machine that CUDA may use, by the names that it knows them by."""
    import torch

    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if not torch.cuda.is_available():
        return []
    return chosen.split(",") if chosen else [str(number) for number in range(torch.cuda.device_count())]
