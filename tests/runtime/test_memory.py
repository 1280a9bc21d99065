"""Page faults of tensors that come and go, counted in a process of their own."""

import platform
import subprocess
import sys

import pytest

from autoseg.runtime import memory
from autoseg.runtime.memory import is_shortage, keep_freed_memory, left_bytes

SCRIPT = """
import resource, sys, threading, torch
from autoseg.runtime.memory import keep_freed_memory
if sys.argv[1] == "keep":
    assert keep_freed_memory()
def come_and_go():
    for _ in range(5):
        alive = [torch.ones(size * 2**20) for size in (3, 6, 12, 6, 3, 12)]  # 168 MiB, 43,008 pages
faults = []
def rounds():
    for _ in range(8):
        come_and_go()
        faults.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
thread = threading.Thread(target=rounds)
thread.start(); thread.join()
print(min(b - a for a, b in zip(faults, faults[1:])))  # once the heap has settled
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_kept_memory_is_not_cleared_again():
    faults = {
        mode: int(subprocess.run([sys.executable, "-c", SCRIPT, mode], capture_output=True, check=True).stdout)
        for mode in ("plain", "keep")
    }
    assert faults["keep"] < 1000
    assert faults["plain"] > 10_000


def test_another_allocator_is_left_alone(monkeypatch):
    monkeypatch.setattr("ctypes.CDLL", lambda _: object())
    assert keep_freed_memory() is False


@pytest.mark.parametrize(
    ("files", "left"),
    [
        ({"cgroup": "0::/", "memory.max": "max"}, None),
        (
            {
                "cgroup": "0::/",
                "memory.max": "1000",
                "memory.current": "700",
                "memory.stat": "anon 5\ninactive_file 50",
            },
            350,
        ),
        (
            {
                "cgroup": "0::/jobs/7",
                "jobs/memory.max": "400",
                "jobs/memory.current": "390",
                "jobs/memory.stat": "inactive_file 0",
                "jobs/7/memory.max": "1000",
                "jobs/7/memory.current": "100",
                "jobs/7/memory.stat": "",
            },
            10,  # of the group around it
        ),
        (
            {
                "cgroup": "3:cpu:/x\n4:memory:/job\n0::/",
                "memory/job/memory.limit_in_bytes": "5000",
                "memory/job/memory.usage_in_bytes": "6000",
                "memory/job/memory.stat": "total_inactive_file 200\n",
            },
            0,
        ),
        ({"cgroup": "4:memory:/not/mounted/here"}, None),
        ({}, None),
    ],
)
def test_the_limits_of_control_groups_count(tmp_path, files, left):
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    assert memory._left_in_groups(tmp_path, tmp_path / "cgroup") == left


def test_what_is_left_is_the_least_of_both(monkeypatch):
    import psutil

    whole = psutil.virtual_memory().total
    assert 0 < left_bytes() <= whole
    monkeypatch.setattr(memory, "_left_in_groups", lambda *_: 7)
    assert left_bytes() == 7


@pytest.mark.parametrize(
    ("error", "short"),
    [
        (MemoryError(), True),
        (RuntimeError("std::bad_alloc"), True),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), True),
        (RuntimeError("The size of tensor a must match"), False),
        (ValueError("out of memory"), False),
    ],
)
def test_a_lack_of_memory_is_told_from_other_errors(error, short):
    assert is_shortage(error) == short


KEPT = """
import psutil, torch
from autoseg.runtime.memory import keep_freed_memory, left_bytes
keep_freed_memory()
large = [torch.ones(2**25) for _ in range(3)]
del large
kept = psutil.Process().memory_info().rss
left_bytes()
print(kept - psutil.Process().memory_info().rss)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_what_a_training_has_freed_counts_as_left():
    """As after a training in the same process, which keeps it for the next step."""
    run = subprocess.run([sys.executable, "-c", KEPT], capture_output=True, check=True)
    assert int(run.stdout) > 3 * 2**27 * 0.9
