"""Resample an array with nnU-Net's default functions.

Runs in the peer's environment: ``python resampling.py image|labels|logits INPUT.npy OUTPUT.npy SIZE SIZE SIZE
[--classes N]`` prints one JSON line. ``--classes`` takes the first N of the logits.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch
from nnunetv2.preprocessing.resampling.default_resampling import resample_data_or_seg_to_shape

ISOTROPIC = (1.0, 1.0, 1.0)


def main() -> None:
    """Time one call."""
    parser = argparse.ArgumentParser()
    parser.add_argument("work", choices=("image", "labels", "logits"))
    parser.add_argument("input")
    parser.add_argument("output")
    parser.add_argument("size", type=int, nargs=3)
    parser.add_argument("--classes", type=int)
    asked = parser.parse_args()
    array = np.array(np.load(asked.input, mmap_mode="r")[: asked.classes])
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from what is held now
    before = status_bytes("VmRSS")
    started = time.perf_counter()
    order = 3 if asked.work == "image" else 1
    result = resample_data_or_seg_to_shape(
        array, asked.size, ISOTROPIC, ISOTROPIC, is_seg=asked.work == "labels", order=order, order_z=0
    )
    if asked.work == "logits":
        result = torch.from_numpy(result).argmax(0).numpy()  # LabelManager.convert_logits_to_segmentation
    seconds = time.perf_counter() - started
    extra = status_bytes("VmHWM") - before
    np.save(asked.output, result)
    print(json.dumps({"seconds": seconds, "extra_bytes": extra, "classes": len(array)}))


def status_bytes(field: str) -> int:
    """A figure of this process: ``VmRSS`` is its memory, ``VmHWM`` the peak of that."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))


if __name__ == "__main__":
    main()
