"""Resample an array: ``python -m benchmarks.ours.resampling image|labels|logits INPUT.npy OUTPUT.npy SIZE SIZE SIZE``.

INPUT has channels or classes first. Prints the seconds and the memory that the call needed beyond its input.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import scipy.ndimage  # noqa: F401  (imported when first needed: not to be counted)

from autoseg.preprocessing.resample import resample_image, resample_labels
from autoseg.preprocessing.resample_logits import resample_logits_to_labels


def main() -> None:
    """Time one call."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=("image", "labels", "logits"))
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("size", type=int, nargs=3)
    asked = parser.parse_args()
    array = np.load(asked.input)
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before = status_bytes("VmRSS")
    started = time.perf_counter()
    if asked.work == "image":
        result = resample_image(array, asked.size)
    elif asked.work == "labels":
        result = resample_labels(array[0], asked.size)[None]
    else:
        result = resample_logits_to_labels(array, asked.size)
    seconds = time.perf_counter() - started
    extra = status_bytes("VmHWM") - before
    np.save(asked.output, result)
    print(json.dumps({"seconds": seconds, "extra_bytes": extra}))


def status_bytes(field: str) -> int:
    """A figure of this process: ``VmRSS`` is its memory, ``VmHWM`` the peak of that."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
