"""Work that real worker processes do: results, errors, and workers that are lost."""

import os
import time
from functools import partial
from threading import Thread

import pytest

import autoseg
from autoseg.core.errors import BadInput
from autoseg.runtime import workers as runtime_workers
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.workers import LostWork, brought_here, connected, on_worker
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
    with pytest.raises(BadInput, match=rf"^{tmp_path}/absent: there is no such file or folder; check the path"):
        workers.require_seen([tmp_path, tmp_path / "absent"])
    hidden = tmp_path / "hidden"
    hidden.symlink_to("/proc/self/fd/777")  # there in the process that has it open only
    with hidden.with_name("open").open("w") as file:
        os.dup2(file.fileno(), 777)
    try:
        with pytest.raises(BadInput, match=rf"^{hidden}: the worker .* does not see it; all workers need"):
            workers.require_seen([tmp_path, hidden])
    finally:
        os.close(777)


def test_another_version_is_refused(workers, monkeypatch):
    monkeypatch.setattr(autoseg, "__version__", "0.0")
    with pytest.raises(BadInput, match=r"^the worker .* has autoseg .* and this is 0\.0; install the same there"):
        connected(workers.client)


def test_a_worker_of_another_version_that_comes_later_is_refused(workers):
    task = workers.executor().submit(on_worker, "0.0", worker_tasks.squared, 3)
    with pytest.raises(BadInput, match=r"^the worker .* has autoseg .* and this is 0\.0; install the same there"):
        task.result()


def test_another_version_that_takes_other_arguments_is_told(workers, monkeypatch):
    monkeypatch.setattr(runtime_workers, "on_worker", worker_tasks.squared)
    with pytest.raises(TypeError, match="takes 1 positional argument but 3 were given"):
        list(workers.results(worker_tasks.squared, range(3)))
    monkeypatch.setattr(autoseg, "__version__", "0.0")
    with pytest.raises(BadInput, match=r"^the worker .* has autoseg .* and this is 0\.0; install the same there"):
        list(workers.results(worker_tasks.squared, range(3)))


def test_results_are_fetched_when_they_are_there(workers, tmp_path):
    """A worker that kept them until the first one is done could not retire without loss."""
    found = workers.results(partial(worker_tasks.first_waits, tmp_path), range(20))
    first = Thread(target=lambda: (tmp_path / "first").write_text(str(next(found))))
    first.start()
    try:
        assert appears(tmp_path / "19")
        until = time.monotonic() + 30
        while (held := workers.client.has_what()) and any(map(len, held.values())) and time.monotonic() < until:
            time.sleep(0.05)
        assert not any(map(len, held.values()))
    finally:
        (tmp_path / "go").touch()
    first.join()
    assert [item for item, _ in found] == list(range(1, 20))


def test_what_is_not_wanted_any_more_is_cancelled(workers, tmp_path):
    own = brought_here(workers.executor().submit(worker_tasks.wait_until_unwanted, tmp_path))
    assert appears(tmp_path / "begun")
    assert own.cancel()
    assert appears(tmp_path / "unwanted")
