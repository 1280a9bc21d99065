"""Mapping over threads."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from autoseg.runtime.jobs import in_order, map_threads, num_cores


def test_results_come_in_order_and_in_parallel():
    barrier = threading.Barrier(2, timeout=10)

    def meet(number):
        barrier.wait()  # passes only if two run at once
        return number * number

    assert list(map_threads(meet, range(10), workers=2)) == [n * n for n in range(10)]


def test_an_exception_surfaces_at_its_item():
    results = map_threads(lambda n: 1 // n, [1, 0, 1], workers=1)
    assert next(results) == 1
    with pytest.raises(ZeroDivisionError):
        next(results)


def test_items_are_taken_only_as_they_are_needed():
    taken = []

    def items():
        for number in range(100):
            taken.append(number)
            yield number

    next(map_threads(lambda n: n, items(), workers=2))
    assert len(taken) == 4


@pytest.fixture
def pool():
    with ThreadPoolExecutor(2) as threads:
        yield threads


def test_a_slow_item_holds_back_those_after_it(pool):
    started = []

    def slow_first(item):
        started.append(item)
        time.sleep(0.02 if item % 2 == 0 else 0)
        return item

    seen = []
    for result in in_order(pool, slow_first, range(12), in_flight=3):
        seen.append(result)
        assert len(started) <= len(seen) + 2
    assert seen == list(range(12))


def test_an_error_ends_the_work(pool):
    started = []

    def fails(item):
        started.append(item)
        raise ValueError(str(item))

    with pytest.raises(ValueError, match="0"):
        list(in_order(pool, fails, range(100), in_flight=3))
    assert len(started) <= 3


def test_closing_cancels_what_has_not_begun():
    started, release = [], threading.Event()

    def wait(item):
        started.append(item)
        assert item == 0 or release.wait(10)
        return item

    with ThreadPoolExecutor(1) as pool:
        results = in_order(pool, wait, range(100), in_flight=8)
        assert next(results) == 0
        results.close()
        release.set()
    assert started in ([0], [0, 1])


def test_there_is_a_core():
    assert num_cores() >= 1
