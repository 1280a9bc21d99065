"""Run a module as ``python -m`` would, and write down what its process took.

``python -m benchmarks.ours.measured OUT.json MODULE [ARGUMENT...]``
"""

from __future__ import annotations

import json
import os
import runpy
import sys
import time
from pathlib import Path


def main() -> None:
    """Peak resident memory (VmHWM: of this process alone, not of what started it), seconds, bytes read."""
    out, module, *arguments = sys.argv[1:]
    load, started = os.getloadavg()[0], time.perf_counter()
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        facts = {
            "wall_s": round(time.perf_counter() - started, 3),
            "processor_s": round(time.process_time(), 3),
            "peak_bytes": of_proc("status", "VmHWM") * 1024,
            "read_bytes": of_proc("io", "rchar"),
            "written_bytes": of_proc("io", "wchar"),
            "load_average_before": round(load, 2),
        }
        Path(out).write_text(json.dumps(facts), encoding="utf-8")


def of_proc(file: str, key: str) -> int:
    """The number of a line of a file of /proc/self."""
    for line in Path("/proc/self", file).read_text().splitlines():
        name, _, value = line.partition(":")
        if name == key:
            return int(value.split()[0])
    raise ValueError(f"/proc/self/{file} has no {key}")


if __name__ == "__main__":
    main()
