"""Work over many cases in threads: the heavy parts (zlib, BLAS, torch) release the interpreter lock.

Blosc2 does not where it compresses, so that cases are prepared side by side but stored one after the other.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_threads(
    function: Callable[[Item], Result], items: Iterable[Item], workers: int | None = None
) -> Iterator[Result]:
    """``map`` over ``workers`` threads of its own, two items in flight for each; else as ``in_order``."""
    workers = workers or num_cores()
    with ThreadPoolExecutor(workers) as pool:
        yield from in_order(pool, function, items, 2 * workers)


def in_order(
    pool: ThreadPoolExecutor, function: Callable[[Item], Result], items: Iterable[Item], in_flight: int
) -> Iterator[Result]:
    """``map`` over the threads of ``pool``, results in order; an exception surfaces at its item.

    At most ``in_flight`` items are taken before their results are, so memory does not grow with their
    number. What has not begun is cancelled when the iterator is closed.
    """
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(function, item))
            if len(pending) >= in_flight:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()
