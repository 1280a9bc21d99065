"""Processes elsewhere that take over cases and trainings: those of a dask scheduler (``runtime.clusters`` starts some).

All must see the same files under the same paths. Work is handed out by the standard ``concurrent.futures.Executor``;
what a worker was at when it was lost is done again by another one.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import autoseg
from autoseg.core.errors import BadInput
from autoseg.runtime import progress
from autoseg.runtime.jobs import grant_cores, num_cores, settled

if TYPE_CHECKING:
    from distributed import Client

Item = TypeVar("Item")
Result = TypeVar("Result")

PLACES = ("GPU", "CPU")  # resources of dask: a GPU of a worker, or else all of its cores


@dataclass(frozen=True)
class LostWork:
    """In place of a result: the workers that were at a piece of work were lost, one after the other."""

    reason: str


@dataclass(frozen=True, eq=False)
class Workers:
    """A connection to workers, what networks compute on there (None: what there is), and how many there were."""

    client: Client
    place: str | None
    num_workers: int
    num_threads: int

    def executor(self, share: float = 0.0) -> Executor:
        """For work of which each piece takes this share of a GPU, or else of the cores, of a worker."""
        resources = {self.place: share} if share and self.place else None
        executor: Executor = self.client.get_executor(pure=False, resources=resources)  # type: ignore[no-untyped-call]
        return executor

    def results(
        self, function: Callable[[Item], Result], items: Iterable[Item], share: float = 0.0
    ) -> Iterator[tuple[Item, Result | LostWork]]:
        """Each item, in order, with what ``function`` made of it or that it was lost; any other error is raised.

        ``function`` and the items are sent to the workers: a function of a module, or a ``partial`` of one. What was
        lost with several workers is tried again alone: whatever shared one with it is not to blame.
        """
        from distributed.scheduler import KilledWorker

        pool, work = self.executor(share), partial(on_worker, autoseg.__version__, function)

        def settle(item: Item, own: Future[Result], others: Sequence[Future[Result]]) -> tuple[Item, Result | LostWork]:
            with suppress(KilledWorker):
                return item, own.result()
            wait(others)
            try:
                return item, pool.submit(work, item).result()
            except KilledWorker as error:
                times = progress.counted(error.allowed_failures + 1, "worker")
                return item, LostWork(f"{times} with nothing else to do were lost over it, perhaps for lack of memory")

        in_flight = max(64, 4 * self.num_threads)  # enough for all, whoever is fast
        return settled(pool, work, items, in_flight, settle)

    def require_seen(self, paths: Iterable[Path]) -> None:
        """BadInput where a worker does not see one of these files or folders: all work on the same ones."""
        wanted = [str(path.absolute()) for path in paths]
        for address, hidden in self.client.run(_hidden, wanted).items():
            if hidden:
                raise BadInput(
                    f"{hidden[0]}: the worker {address} does not see it; all workers need the same files under the "
                    "same paths, on a file system that they share."
                )


def connected(client: Client) -> Workers:
    """The workers of a client, as soon as there is one; BadInput where they cannot take over work of this version."""
    if not client.scheduler_info()["workers"]:
        progress.say("waiting for the first worker")
        client.wait_for_workers(1)
    try:
        client.run(require_version, autoseg.__version__)
    except ImportError as error:
        raise BadInput(f"the workers of the scheduler cannot load autoseg ({error}); install it there.") from None
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    place = next((one for one in PLACES if any(one in worker["resources"] for worker in workers)), None)
    return Workers(client, place, len(workers), sum(worker["nthreads"] for worker in workers))


def on_worker(version: str, function: Callable[[Item], Result], item: Item) -> Result:
    """In a worker: ``function`` with the cores that the worker has threads for; it says nothing.

    BadInput where the worker, which may have come while the others work, has another version of autoseg.
    """
    from distributed import get_worker

    require_version(version)
    threads = get_worker().state.nthreads
    if num_cores() != threads:
        grant_cores(threads)
    progress.silence()
    return function(item)


def require_version(version: str) -> None:
    """In a worker: BadInput unless it has this version of autoseg."""
    if version != autoseg.__version__:
        raise BadInput(
            f"the worker on {platform.node()} has autoseg {autoseg.__version__} and this is {version}; "
            "install the same there."
        )


def is_wanted() -> Callable[[], bool]:
    """In a worker: what tells whether the work at hand is to go on.

    It is not where nobody waits for it (who shared it out may have been stopped), nor where the worker is to end.
    """
    from distributed import Status, get_worker

    worker = get_worker()
    key = worker.get_current_task()

    def wanted() -> bool:
        task = worker.state.tasks.get(key)
        ends = worker.status in (Status.closing_gracefully, Status.closing, Status.closed)
        return task is not None and task.state == "executing" and not ends

    return wanted


def _hidden(paths: list[str]) -> list[str]:
    return [path for path in paths if not Path(path).exists()]
