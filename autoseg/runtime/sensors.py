"""What the process uses right now: processor time and memory by psutil, and its GPU by NVML."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from autoseg.runtime.progress import say

CHILDREN_INTERVAL_S = 2.0  # between searches for child processes, which read a file for each process of the machine
BYTES_PER_GB = 1e9


@dataclass(frozen=True)
class ProcessReading:
    """The process and its children: processor seconds so far, and resident memory (shared pages count in each)."""

    processor_s: float
    memory_gb: float


@dataclass(frozen=True)
class GpuReading:
    """A whole GPU, whoever uses it. None: it does not tell.

    NVML gives the utilisation (share of the time in which any kernel ran) over its own last 1/6 to 1 second.
    """

    percent: float | None = None
    memory_gb: float | None = None
    memory_percent: float | None = None
    temperature_c: float | None = None
    power_w: float | None = None


def process_sensor() -> Callable[[], ProcessReading]:
    """What reads this process and its children, in about 0.1 ms each."""
    import psutil

    own = psutil.Process()
    children: list[psutil.Process] = []
    searched = -CHILDREN_INTERVAL_S

    def read() -> ProcessReading:
        nonlocal children, searched
        if time.monotonic() - searched >= CHILDREN_INTERVAL_S:
            children, searched = own.children(recursive=True), time.monotonic()
        processor_s, memory_bytes = 0.0, 0
        for process in (own, *children):
            try:
                with process.oneshot():
                    times, resident = process.cpu_times(), process.memory_info().rss
            except psutil.Error:  # it has ended; its time is then among that of its parent's children
                continue
            # Only some systems count the children that have ended.
            processor_s += times.user + times.system
            processor_s += getattr(times, "children_user", 0.0) + getattr(times, "children_system", 0.0)
            memory_bytes += resident
        return ProcessReading(processor_s, memory_bytes / BYTES_PER_GB)

    return read


def gpu_sensor(device: str) -> Callable[[], GpuReading] | None:
    """What reads the GPU that torch calls ``device`` (``cuda``, ``cuda:N``); None, and why is said, if nothing can.

    None without a word on other devices.
    """
    if not device.startswith("cuda"):
        return None
    try:
        import pynvml
    except ImportError:
        say("no figures of the GPU: nvidia-ml-py is not installed (`pip install autoseg[nvml]`)", style="yellow")
        return None
    import torch

    try:
        pynvml.nvmlInit()
        # NVML counts all GPUs of the machine; torch those of CUDA_VISIBLE_DEVICES.
        uuid = f"GPU-{torch.cuda.get_device_properties(device).uuid}"
        handle = pynvml.nvmlDeviceGetHandleByUUID(uuid)
    except pynvml.NVMLError as error:
        say(f"no figures of the GPU: NVML does not give them ({error})", style="yellow")
        return None

    def told(ask: Callable[[], Any]) -> Any:
        try:
            return ask()
        except pynvml.NVMLError:
            return None

    def read() -> GpuReading:
        memory = told(lambda: pynvml.nvmlDeviceGetMemoryInfo(handle))
        power_mw = told(lambda: pynvml.nvmlDeviceGetPowerUsage(handle))
        return GpuReading(
            percent=told(lambda: pynvml.nvmlDeviceGetUtilizationRates(handle).gpu),
            memory_gb=None if memory is None else memory.used / BYTES_PER_GB,
            memory_percent=None if memory is None else 100 * memory.used / memory.total,
            temperature_c=told(lambda: pynvml.nvmlDeviceGetTemperature(handle, pynvml.NVML_TEMPERATURE_GPU)),
            power_w=None if power_mw is None else power_mw / 1000,
        )

    return read
