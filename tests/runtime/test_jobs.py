"""Mapping over threads."""

import threading

import pytest

from autoseg.runtime.jobs import map_threads, num_cores


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


def test_there_is_a_core():
    assert num_cores() >= 1
