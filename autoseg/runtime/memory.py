"""How the C allocator treats the large blocks that tensors come and go in."""

from __future__ import annotations

import ctypes

# Parameters of mallopt in glibc's malloc.h.
_M_TRIM_THRESHOLD, _M_MMAP_MAX, _M_ARENA_MAX = -1, -4, -8


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
