"""Work that real worker processes do: results, errors, and workers that are lost."""

import os
import time
from functools import partial

import pytest

import autoseg
from autoseg.core.errors import BadInput
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.workers import LostWork, connected, on_worker
from tests.runtime import worker_tasks


def test_results_come_in_order_from_other_processes(workers, tmp_path):
    found = list(workers.results(partial(worker_tasks.squared_by_two, tmp_path), range(30)))
    assert [(item, square) for item, (square, _) in found] == [(n, n * n) for n in range(30)]
    processes = {process for _, (_, process) in found}
    assert len(processes) == 2
    assert os.getpid() not in processes


def test_what_a_lost_worker_was_at_is_done_by_another(workers, tmp_path):
    work = partial(worker_tasks.kill_own_worker_once, tmp_path / "killed")
    assert list(workers.results(work, range(20))) == [(n, n) for n in range(20)]
    assert (tmp_path / "killed").is_file()


def test_what_kills_every_worker_is_told_and_the_rest_is_done(workers):
    found = dict(workers.results(worker_tasks.kill_own_worker, range(4)))
    assert [found[n] for n in (0, 2, 3)] == [0, 2, 3]
    assert found[1] == LostWork("2 workers with nothing else to do were lost over it, perhaps for lack of memory")


def test_an_error_is_raised_here(workers):
    with pytest.raises(BadInput, match=r"^0: cannot be used; leave it out\.$"):
        list(workers.results(worker_tasks.refuse, range(3)))


def test_a_worker_uses_as_many_cores_as_it_has_threads(workers):
    threads = max(1, num_cores() // 2)
    assert next(workers.results(worker_tasks.cores, [0])) == (0, (threads, str(threads), threads))


def appears(path, seconds=30):
    until = time.monotonic() + seconds
    while time.monotonic() < until and not path.exists():
        time.sleep(0.05)
    return path.exists()


def test_work_learns_that_nobody_waits_for_it(workers, tmp_path):
    future = workers.executor().submit(worker_tasks.wait_until_unwanted, tmp_path)
    assert appears(tmp_path / "begun")
    assert not (tmp_path / "unwanted").exists()
    future.cancel()
    assert appears(tmp_path / "unwanted")


def test_networks_take_the_cores_where_there_is_no_gpu(workers):
    assert workers.place in ("GPU", "CPU")
    assert workers.num_workers == 2
    assert len(list(workers.results(worker_tasks.squared, range(4), share=1.0))) == 4


def test_all_have_to_see_the_same_files(workers, tmp_path):
    workers.require_seen([tmp_path])
    with pytest.raises(BadInput, match=rf"^{tmp_path}/hidden: the worker .* does not see it; all workers need"):
        workers.require_seen([tmp_path, tmp_path / "hidden"])


def test_another_version_is_refused(workers, monkeypatch):
    monkeypatch.setattr(autoseg, "__version__", "0.0")
    with pytest.raises(BadInput, match=r"^the worker .* has autoseg .* and this is 0\.0; install the same there"):
        connected(workers.client)


def test_a_worker_of_another_version_that_comes_later_is_refused(workers):
    task = workers.executor().submit(on_worker, "0.0", worker_tasks.squared, 3)
    with pytest.raises(BadInput, match=r"^the worker .* has autoseg .* and this is 0\.0; install the same there"):
        task.result()
