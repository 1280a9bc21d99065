"""How much memory is left, how a lack of it shows, and how the C allocator treats large blocks."""

from __future__ import annotations

import ctypes
from pathlib import Path

# Parameters of mallopt in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8

_CGROUPS = Path("/sys/fs/cgroup")
_MEMBERSHIP = Path("/proc/self/cgroup")
# What an allocator says when it gets nothing: that of torch on a CPU, oneDNN, CUDA.
_SHORTAGE = ("allocate memory", "not enough memory", "could not create", "bad_alloc", "out of memory")


def left_bytes(device: str = "cpu") -> int:
    """Memory that this process can still take: of the machine and of its control groups, or of a GPU."""
    if device.startswith("cuda"):
        import torch

        # What torch holds and does not use is left to it as well.
        held = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return int(torch.cuda.mem_get_info(device)[0]) + held
    import psutil

    _give_back()
    limit = _left_in_groups(_CGROUPS, _MEMBERSHIP)
    available = int(psutil.virtual_memory().available)
    return available if limit is None else min(available, limit)


def _give_back() -> None:
    """Return freed memory to the system, which else would not count it as left; ``keep_freed_memory`` keeps much."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError, TypeError):
        return  # another C library


def is_shortage(error: BaseException) -> bool:
    """Whether an error says that there was no memory left, of the machine or of a GPU."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(text in str(error).lower() for text in _SHORTAGE)


def _left_in_groups(groups: Path, membership: Path) -> int | None:
    """The least that is left in the control groups of the process and those around them (Linux); None without limit.

    What the kernel keeps of files, and gives up when asked, counts as left. Sources: the kernel's cgroup-v1/memory.rst
    and cgroup-v2.rst.
    """
    left = []
    for line in membership.read_text(encoding="utf-8").splitlines() if membership.is_file() else ():
        _, controllers, path = line.split(":", 2)
        if controllers not in ("", "memory"):
            continue
        top = groups / controllers
        names = ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        if not controllers:
            names = ("memory.max", "memory.current", "inactive_file")
        folder = top / path.lstrip("/")
        # Inside a container its own group is the top one.
        for place in {top, folder, *(parent for parent in folder.parents if top in parent.parents)}:
            one = _left_in_group(place, *names)
            left += [] if one is None else [one]
    return min(left, default=None)


def _left_in_group(folder: Path, limit: str, usage: str, files: str) -> int | None:
    try:
        most = (folder / limit).read_text(encoding="utf-8").strip()
        if not most.isdigit():
            return None
        used = int((folder / usage).read_text(encoding="utf-8"))
        lines = (folder / "memory.stat").read_text(encoding="utf-8").splitlines()
    except OSError:
        return None
    kept = next((int(line.split()[1]) for line in lines if line.split()[0] == files), 0)
    return max(0, int(most) - used + kept)


def keep_freed_memory() -> bool:
    """Let freed memory stay with the process, for the next tensor of that size; False where that is not glibc.

    By default every large tensor is mapped anew, and the kernel clears its pages: an eighth of a
    training step. The peak is the same; between peaks the process holds on to what it had.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):
        return False
    settings = ((_M_MMAP_MAX, 0), (_M_TRIM_THRESHOLD, -1), (_M_ARENA_MAX, 1))
    return all([mallopt(parameter, value) for parameter, value in settings])
