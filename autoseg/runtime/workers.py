"""Processes elsewhere that take over cases and trainings: those of a dask scheduler (``runtime.clusters`` starts some).

All must see the same files under the same paths. Work is handed out by the standard ``concurrent.futures.Executor``;
what a worker was at when it was lost is done again by another one.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import CancelledError, Executor, Future, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn, TypeVar
from weakref import ref

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

        def submit(item: Item) -> Future[Result]:
            return brought_here(pool.submit(work, item))

        def settle(item: Item, own: Future[Result], others: Sequence[Future[Result]]) -> tuple[Item, Result | LostWork]:
            try:
                with suppress(KilledWorker):
                    return item, own.result()
                wait(others)
                return item, submit(item).result()
            except KilledWorker as error:
                times = progress.counted(error.allowed_failures + 1, "worker")
                return item, LostWork(f"{times} with nothing else to do were lost over it, perhaps for lack of memory")
            except TypeError:  # so ends what another version is called with that takes other arguments
                require_version(self.client)
                raise

        in_flight = max(64, 4 * self.num_threads)  # enough for all, whoever is fast
        return settled(submit, items, in_flight, settle)

    def require_seen(self, paths: Iterable[Path]) -> None:
        """BadInput where one of these files or folders is not there, or a worker does not see it: all need the same."""
        wanted = [str(path.absolute()) for path in paths]
        for path in _hidden(wanted):
            raise BadInput(f"{path}: there is no such file or folder; check the path.")
        for address, hidden in self.client.run(_hidden, wanted).items():
            if hidden:
                raise BadInput(
                    f"{hidden[0]}: the worker {address} does not see it; all workers need the same files under the "
                    "same paths, on a file system that they share."
                )


def connected(client: Client) -> Workers:
    """The workers of a client, as soon as there is one; BadInput where they cannot take over work of this version."""
    if not client.scheduler_info()["workers"]:
        with progress.progress("wait for the first worker"):
            client.wait_for_workers(1)
    require_version(client)
    workers = client.scheduler_info(n_workers=-1)["workers"].values()
    place = next((one for one in PLACES if any(one in worker["resources"] for worker in workers)), None)
    return Workers(client, place, len(workers), sum(worker["nthreads"] for worker in workers))


def on_worker(version: str, function: Callable[[Item], Result], item: Item) -> Result:
    """In a worker: ``function`` with the cores that the worker has threads for; it says nothing.

    BadInput where the worker, which may have come while the others work, has another version of autoseg.
    """
    from distributed import get_worker

    if version != autoseg.__version__:
        raise BadInput(_other_version(platform.node(), autoseg.__version__, version))
    threads = get_worker().state.nthreads
    if num_cores() != threads:
        grant_cores(threads)
    progress.silence()
    return function(item)


def require_version(client: Client) -> None:
    """BadInput unless all workers have this version of autoseg; they need nothing else of it to tell."""
    try:
        versions = client.run(getattr, autoseg, "__version__")
    except ImportError as error:
        raise BadInput(f"the workers of the scheduler cannot load autoseg ({error}); install it there.") from None
    for address, version in versions.items():
        if version != autoseg.__version__:
            raise BadInput(_other_version(address, version, autoseg.__version__))


def _other_version(worker: str, there: str, here: str) -> str:
    return f"the worker {worker} has autoseg {there} and this is {here}; install the same there."


def brought_here(theirs: Future[Result]) -> Future[Result]:
    """A future with the outcome of one of dask, which is let go then.

    A worker keeps a result for as long as its future is held, cannot retire while no other takes what it keeps, and
    takes with it what is not fetched when it is lost.
    """
    own: Future[Result] = Future()
    waiting = ref(theirs)

    def fetch(done: Future[Result]) -> None:
        if own.set_running_or_notify_cancel():
            error = CancelledError() if done.cancelled() else done.exception()
            if error is None:
                own.set_result(done.result())
            else:
                own.set_exception(error)

    def cancel(own: Future[Result]) -> None:
        if own.cancelled() and (still := waiting()):
            still.cancel()

    own.add_done_callback(cancel)
    theirs.add_done_callback(fetch)
    return own


def give_back() -> NoReturn:
    """In a worker that is to end: the work at hand is begun again by another one, which is no loss."""
    from distributed import Reschedule

    raise Reschedule


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
