"""Page faults of tensors that come and go, counted in a process of their own."""

import platform
import subprocess
import sys

import pytest

from autoseg.runtime.memory import keep_freed_memory

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
