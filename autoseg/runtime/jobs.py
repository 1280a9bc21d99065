"""Work over many cases: in threads, or by any ``concurrent.futures.Executor`` such as that of ``runtime.workers``.

In threads the heavy parts (zlib, BLAS, torch) release the interpreter lock. Blosc2 does not where it compresses, so
that cases are prepared side by side but stored one after the other.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from functools import wraps
from threading import Lock
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")
Settled = TypeVar("Settled")


_granted: list[int] = []  # cores, where this process shares those of its machine with others that work with it


def num_cores() -> int:
    """Cores that this process may use."""
    if _granted:
        return _granted[0]
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def grant_cores(number: int) -> None:
    """From now on this process uses so many cores; libraries that are loaded later and processes it starts do too."""
    _granted[:] = [number]
    os.environ.update(dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), str(number)))


def map_threads(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """``map`` over ``workers`` threads of its own, two items in flight for each; else as ``in_order``."""
    workers = workers or num_cores()
    with ThreadPoolExecutor(workers) as pool:
        yield from in_order(pool, function, items, 2 * workers)


def in_order(
    pool: Executor, function: Callable[[Item], Result], items: Iterable[Item], in_flight: int
) -> Iterator[Result]:
    """``map`` by ``pool``, results in order; an exception surfaces at its item. Else as ``settled``."""
    return settled(lambda item: pool.submit(function, item), items, in_flight, lambda _, own, __: own.result())


def settled(
    submit: Callable[[Item], Future[Result]],
    items: Iterable[Item],
    in_flight: int,
    settle: Callable[[Item, Future[Result], Sequence[Future[Result]]], Settled],
) -> Iterator[Settled]:
    """For each item, in order, what ``settle`` makes of it, its future, and those of later items that are in flight.

    At most ``in_flight`` items are taken before their results are, so memory does not grow with their
    number. What has not begun is cancelled when the iterator is closed.
    """
    pending: deque[tuple[Item, Future[Result]]] = deque()

    def first() -> Settled:
        item, own = pending.popleft()
        try:
            return settle(item, own, [future for _, future in pending])
        finally:
            own.cancel()  # where it was not waited for

    try:
        for item in items:
            pending.append((item, submit(item)))
            if len(pending) >= in_flight:
                yield first()
        while pending:
            yield first()
    finally:
        for _, future in pending:
            future.cancel()


def keeping_last(make: Callable[[Item], Result]) -> Callable[[Item], Result]:
    """``make``, called once for equal items in a row, by whatever threads: what it gave last is kept, and no more."""
    lock = Lock()
    kept: list[tuple[Item, Result]] = []

    @wraps(make)
    def made(item: Item) -> Result:
        with lock:
            if not kept or kept[0][0] != item:
                kept.clear()  # first: both together may not fit into memory
                kept.append((item, make(item)))
            return kept[0][1]

    return made
