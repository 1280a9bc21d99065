"""The memory that a training step takes at its peak, measured in a process that does nothing else.

A process cannot measure it twice: what the first step has taken is there for the second. ``measure`` starts
``python -m autoseg.training.step_memory`` for each.
"""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.runtime.devices import Execution
from autoseg.runtime.memory import is_shortage, keep_freed_memory
from autoseg.runtime.own_process import STOPPED, run_module
from autoseg.training.probe import rehearsal
from autoseg.training.trainer import Assignment

MODULE = "autoseg.training.step_memory"
STEPS = 2  # the optimiser takes its memory at the end of the first
# Libraries reserve more addresses than they use memory (stacks, arenas): the guard is not the limit itself.
RESERVED_BYTES = 2**30
BYTES_PER_GB = 1e9


@dataclass(frozen=True)
class StepMemory:
    """In GB of 1e9 bytes: resident before the network is made, and at the peak; on a GPU what torch allocates.

    ``peak_gb`` is None where the memory did not suffice; ``step_s`` is the time of the second step.
    """

    baseline_gb: float
    peak_gb: float | None
    step_s: float | None


def measure(
    configuration: Configuration, num_classes: int, num_channels: int, execution: Execution, limit_gb: float
) -> StepMemory:
    """Two training steps on random patches, with ``num_classes`` outputs (background included), in a new process.

    It does not fit if the peak is above ``limit_gb`` (the process included); a process that asks for clearly more is
    stopped, so that it does not take the memory of others.
    """
    request = {
        "configuration": configuration.model_dump(mode="json"),
        "num_classes": num_classes,
        "num_channels": num_channels,
        "execution": asdict(execution),
        "limit_gb": limit_gb,
    }
    answer = run_module(MODULE, request)
    return StepMemory(0.0, None, None) if answer == STOPPED else StepMemory(**answer)


def measure_here(request: dict[str, Any]) -> StepMemory:
    """What ``measure`` asks for, in this process."""
    import torch

    configuration = Configuration.model_validate(request["configuration"])
    execution, limit_gb = Execution(**request["execution"]), request["limit_gb"]
    labels = Labels(values={f"label{value}": value for value in range(1, request["num_classes"])})
    assignment = Assignment(configuration, labels, request["num_channels"], [], [], Path())
    keep_freed_memory()
    on_gpu = execution.device.startswith("cuda")
    if on_gpu:
        total = torch.cuda.get_device_properties(execution.device).total_memory
        torch.cuda.set_per_process_memory_fraction(min(1.0, limit_gb * BYTES_PER_GB / total), execution.device)
        baseline_gb = 0.0
    else:
        baseline_gb = _resident_bytes() / BYTES_PER_GB
        _limit_addresses(int((limit_gb - baseline_gb) * BYTES_PER_GB) + RESERVED_BYTES)
    try:
        step = rehearsal(assignment, execution)
        for _ in range(STEPS):
            started = time.perf_counter()
            step()
            step_s = time.perf_counter() - started
    except (MemoryError, RuntimeError) as error:
        if not is_shortage(error):
            raise
        return StepMemory(baseline_gb, None, None)
    peak_gb = (torch.cuda.max_memory_allocated(execution.device) if on_gpu else _peak_bytes()) / BYTES_PER_GB
    return StepMemory(baseline_gb, peak_gb if peak_gb <= limit_gb else None, step_s)


def _resident_bytes() -> int:
    import psutil

    return int(psutil.Process().memory_info().rss)


def _peak_bytes() -> int:
    """The highest resident memory of this process so far.

    Linux's ``ru_maxrss`` would be at least that of the process that started this one.
    """
    if sys.platform == "linux":
        status = Path("/proc/self/status").read_text(encoding="utf-8")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM:")) * 1024
    elif sys.platform == "win32":
        import psutil

        return int(psutil.Process().memory_info().peak_wset)
    else:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _limit_addresses(more_bytes: int) -> None:
    """Let this process reserve so many more bytes than it has; nothing where the system cannot do that."""
    if sys.platform == "linux":
        import resource

        pages = int(Path("/proc/self/statm").read_text(encoding="utf-8").split()[0])
        limit = pages * resource.getpagesize() + max(more_bytes, 0)
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    print(json.dumps(asdict(measure_here(json.load(sys.stdin)))))
