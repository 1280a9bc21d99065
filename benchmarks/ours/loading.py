"""What a patch of a prepared case costs: ``python -m benchmarks.ours.loading FOLDER SIZES``; prints JSON.

Bytes are those that the process reads (``rchar``), on top of opening the two files of a case (``opening_bytes``).
"""

from __future__ import annotations

import json
import math
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.core.case import Case, SpatialTrace
from autoseg.core.geometry import Reorientation
from autoseg.io import store
from benchmarks.ours.measured import of_proc

SHAPES = ((96, 96, 96), (160, 160, 160), (256, 256, 256), (300, 512, 512))
PATCHES = (32, 64, 96, 128)
READS = 40
DIFFERENT_EDGE = 96


def main() -> None:
    """Every size of a case with the middle patch, then every patch of the largest case."""
    folder, sizes = Path(sys.argv[1]), int(sys.argv[2])
    cases = [stored(folder, shape) for shape in SHAPES[:sizes]]
    print(
        json.dumps(
            {
                "by_volume": [read(case, 64) for case in cases],
                "by_patch": [read(cases[-1], edge) for edge in PATCHES if edge <= min(cases[-1].shape)],
            }
        )
    )


def stored(folder: Path, shape: tuple[int, int, int]) -> store.StoredCase:
    """A case of smooth noise, repeated: what compresses as images do."""
    generator = np.random.default_rng(0)
    edge = DIFFERENT_EDGE
    block = generator.normal(size=(edge,) * 3).astype(np.float32).cumsum(axis=2).round(1)
    image = np.empty((1, *shape), np.float32)
    places = [np.arange(size) % edge for size in shape]
    for plane, place in zip(image[0], places[0], strict=True):
        plane[...] = block[place][np.ix_(places[1], places[2])]
    labels = np.zeros(shape, np.int16)
    labels[tuple(slice(size // 3, size // 2) for size in shape)] = 1
    box = tuple((0, size) for size in shape)
    ones = (1.0, 1.0, 1.0)
    trace = SpatialTrace(shape, Reorientation((0, 1, 2), (False, False, False)), box, shape, ones, ones)
    name = "x".join(map(str, shape))
    store.save_case(folder, Case(name, image, labels, trace), "key")
    return store.open_case(folder, name)


def read(case: store.StoredCase, edge: int) -> dict[str, Any]:
    """The mean over patches at random places."""
    generator = np.random.default_rng(1)
    case.read(((0, 1), (0, 1), (0, 1)))
    before = of_proc("io", "rchar")
    after = of_proc("io", "rchar")
    of_looking = after - before
    # outside the case: the files are opened and nothing of them is decompressed
    before = of_proc("io", "rchar")
    case.read(((-2, -1), (-2, -1), (-2, -1)))
    opening = of_proc("io", "rchar") - before - of_looking
    before, started = of_proc("io", "rchar"), time.process_time()
    for _ in range(READS):
        starts = [int(generator.integers(0, size - edge + 1)) for size in case.shape]
        case.read(tuple((start, start + edge) for start in starts))
    seconds = (time.process_time() - started) / READS
    taken = (of_proc("io", "rchar") - before - of_looking) / READS
    voxels = math.prod(case.shape)
    files = [path.stat().st_size for path in case.folder.glob(f"{case.name}*.b2nd")]
    return {
        "shape": list(case.shape),
        "voxels": voxels,
        "patch": edge,
        "patch_bytes": 6 * edge**3,
        "read_bytes": taken,
        "opening_bytes": opening,
        "of_patch": (taken - opening) / (6 * edge**3),
        "of_files": taken / sum(files),
        "processor_ms": 1000 * seconds,
    }


if __name__ == "__main__":
    main()
