"""Jobs side by side."""

import threading

import pytest
import torch

from autoseg.inference import lanes
from autoseg.inference.lanes import Lanes, choose_lanes, side_by_side


def test_small_tiles_get_a_core_each_and_large_ones_all_cores(monkeypatch):
    monkeypatch.setattr(lanes, "num_cores", lambda: 6)
    assert choose_lanes("cpu", (40, 56, 40), smallest_batch=2) == Lanes(6, 2)
    assert choose_lanes("cpu", (56, 40)) == Lanes(6, 7)
    assert choose_lanes("cpu", (128, 128, 128), smallest_batch=2) == Lanes(1, 1)
    assert choose_lanes("cpu", (64, 64, 64), smallest_batch=2) == Lanes(6, 1)
    monkeypatch.setattr(lanes, "num_cores", lambda: 64)
    assert choose_lanes("cpu", (64, 64, 64)) == Lanes(16, 1)  # four cores each: memory is bounded
    assert choose_lanes("cuda", (64, 64, 64)) == Lanes(1, 4)


@pytest.mark.parametrize(
    ("tiles", "expected"), [(100, Lanes(4, 2)), (8, Lanes(4, 2)), (7, Lanes(4, 1)), (3, Lanes(3, 1)), (1, Lanes(1, 1))]
)
def test_few_tiles_are_spread_over_the_workers(tiles, expected):
    assert Lanes(4, 2).shared(tiles) == expected


def test_one_job_more_than_workers_is_in_flight():
    taken = []

    def jobs():
        for job in range(12):
            taken.append(job)
            yield job

    seen = []
    for result in side_by_side(lambda job: job, jobs(), workers=2):
        seen.append(result)
        assert len(taken) <= len(seen) + 2
    assert seen == list(range(12))


def test_each_worker_computes_on_its_share_of_the_cores(monkeypatch):
    monkeypatch.setattr(lanes, "num_cores", lambda: 6)
    assert list(side_by_side(lambda _: torch.get_num_threads(), range(3), workers=3)) == [2, 2, 2]


def test_one_worker_is_the_calling_thread():
    assert set(side_by_side(lambda _: threading.current_thread(), range(3), workers=1)) == {threading.current_thread()}
