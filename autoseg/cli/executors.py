"""Where a verb works: the options that choose it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from autoseg.cli.terminal import workspace_root
from autoseg.core.errors import BadInput

if TYPE_CHECKING:
    from autoseg.runtime.workers import Workers

Executor = Literal["local", "dask", "slurm", "pbs", "lsf"]
ExecutorOption = Annotated[
    Executor,
    typer.Option(
        help="Where cases and trainings go: local (this process), dask (processes of this machine, or of --scheduler), "
        "or jobs of a batch system, described in site.json of the workspace."
    ),
]
SchedulerOption = Annotated[
    str | None, typer.Option(metavar="ADDRESS|FILE", help="With --executor dask: a dask scheduler that runs already.")
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        min=1,
        help="How many processes, or jobs.",
        show_default="one for each GPU, else 2; jobs: as site.json says",
    ),
]


@contextmanager
def chosen_workers(executor: Executor, scheduler: str | None, number: int | None) -> Iterator[Workers | None]:
    """The workers that the options ask for, as long as the block runs; None: this process."""
    if scheduler is not None and executor != "dask":
        raise BadInput(f"--scheduler: is for --executor dask, and it is {executor}; leave one of the two out.")
    if number is not None and (executor == "local" or scheduler is not None):
        where = "--scheduler has the workers that it has" if scheduler else "--executor local is this process"
        raise BadInput(f"--workers: {where}; leave the option out.")
    if executor == "local":
        yield None
        return
    try:
        import distributed  # noqa: F401
    except ImportError:
        raise BadInput(
            f"--executor {executor}: needs more packages; install them with `pip install autoseg[cluster]`."
        ) from None
    from autoseg.runtime import clusters

    if scheduler is not None:
        opened = clusters.workers_of_scheduler(scheduler)
    elif executor == "dask":
        opened = clusters.local_workers(number)
    else:
        from autoseg.core.site import SITE_FILE, read_site
        from autoseg.io.files import read_text

        path = workspace_root() / SITE_FILE
        if not path.is_file():
            raise BadInput(
                f"{path}: there is no such file; write into it what {executor} asks of a job: number of jobs, cores, "
                "memory, walltime, ... (docs/how-to/cluster.md, Workers)."
            )
        site = read_site(read_text(path), str(path))
        opened = clusters.submitted_workers(executor, site, number, workspace_root() / "workers")
    with opened as workers:
        yield workers
