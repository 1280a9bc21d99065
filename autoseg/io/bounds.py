"""What a header may claim: no more than the file can hold, and no more than the memory of this machine."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path

from autoseg.core.errors import BadInput

MOST_UNPACKED = 1032  # bytes that deflate makes of one at best (zlib, "Maximum Compression Factor")
SURPLUS_BYTES = 1024  # of padding that may follow the voxels
_WORKING_BYTES = 4  # a voxel becomes float32


def require_stated_bytes(path: Path, shape: Sequence[int], voxel_bytes: int, offset: int, packed: bool) -> None:
    """BadInput unless the file can hold ``shape`` voxels from byte ``offset`` on, and little more where it tells.

    What a ``packed`` file holds is known only when it is unpacked: here it is bounded.
    """
    stated, there = offset + math.prod(shape) * voxel_bytes, path.stat().st_size
    if stated > there * (MOST_UNPACKED if packed else 1):
        packing = " packed" if packed else ""
        raise BadInput(
            f"{path}: is truncated or its header is wrong: that states {stated} bytes and the file has "
            f"{there}{packing}; restore the file."
        )
    if not packed and there > stated + SURPLUS_BYTES:
        raise BadInput(surplus(path, stated))


def surplus(path: Path, stated: int) -> str:
    """The sentence for a file that holds far more than its header says."""
    return f"{path}: its header is wrong: that states {stated} bytes and the file holds more; restore the file."


def require_memory(path: Path, shape: Sequence[int], voxel_bytes: int) -> None:
    """BadInput where ``shape`` voxels, as stored and as they are worked with, are more than this machine can hold."""
    needed = math.prod(shape) * (voxel_bytes + _WORKING_BYTES)
    if needed > machine_memory_bytes():
        listed = " x ".join(map(str, shape))
        raise BadInput(
            f"{path}: its {listed} voxels take {needed / 1e9:.0f} GB of memory, more than this machine has; "
            "crop or resample the image, or take a larger machine."
        )


def machine_memory_bytes() -> int:
    """The memory of the machine; where that is not told, more than any has."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # Windows
        return 2**62
