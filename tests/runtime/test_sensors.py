"""Processor time, memory and GPU are those of this process, its children and its device."""

import gc
import mmap
import subprocess
import sys
import time
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from autoseg.runtime import sensors
from autoseg.runtime.sensors import GpuReading, gpu_sensor, process_sensor

BUSY = """
import os
from autoseg.runtime.sensors import process_sensor
read = process_sensor()
before, start = read().processor_s, sum(os.times()[:4])
while sum(os.times()[:4]) - start < 0.3:
    pass
print(read().processor_s - before)
"""


def test_processor_time_is_what_the_system_counts():
    """In a process of its own: this one may have children at work, such as workers of other tests."""
    run = subprocess.run([sys.executable, "-c", BUSY], capture_output=True, text=True, check=True)
    assert float(run.stdout) == pytest.approx(0.3, abs=0.05)


def test_memory_grows_by_what_is_allocated():
    read = process_sensor()
    gc.collect()
    before = read().memory_gb
    with mmap.mmap(-1, 4 * 10**8) as block:  # pages of its own: an array may take what the heap holds already
        np.frombuffer(block, np.uint8).fill(1)
        assert read().memory_gb - before == pytest.approx(0.4, abs=0.08)


def test_children_count_while_they_live_and_after(monkeypatch):
    monkeypatch.setattr(sensors, "CHILDREN_INTERVAL_S", 0.0)
    read = process_sensor()
    before = read()
    command = (
        "import time; start = time.process_time()\nwhile time.process_time() - start < 0.3: pass\nprint(flush=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", command + "; input()"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        child.stdout.readline()
        living = read()
        child.communicate(b"\n")
    ended = read()
    assert living.processor_s - before.processor_s > 0.28
    assert living.memory_gb - before.memory_gb > 0.004
    assert ended.processor_s >= living.processor_s - 0.03  # now among the children that have ended, in other units
    assert ended.memory_gb < living.memory_gb


class NVMLError(Exception):
    pass


def fake_nvml(**changes):
    """pynvml of a machine with one GPU."""

    def by_uuid(uuid):
        if uuid != "GPU-1234":
            raise NVMLError("Not Found")
        return "handle"

    given = {
        "NVMLError": NVMLError,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetHandleByUUID": by_uuid,
        "nvmlDeviceGetUtilizationRates": lambda handle: SimpleNamespace(gpu=97, memory=40),
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=4e9, total=16e9),
        "nvmlDeviceGetTemperature": lambda handle, kind: 61,
        "nvmlDeviceGetPowerUsage": lambda handle: 68_500,
    }
    return SimpleNamespace(**(given | changes))


@pytest.fixture
def gpu(monkeypatch):
    """torch knows one GPU; ``gpu(module)`` is its sensor with that pynvml, and what was said."""

    def sensor(module, uuid="1234"):
        said = []
        monkeypatch.setitem(sys.modules, "pynvml", module)
        monkeypatch.setattr(torch.cuda, "get_device_properties", lambda device: SimpleNamespace(uuid=uuid))
        monkeypatch.setattr(sensors, "say", lambda text, style=None: said.append(text))
        return gpu_sensor("cuda:0"), said

    return sensor


def test_a_gpu_is_read_in_our_units(gpu):
    read, said = gpu(fake_nvml())
    assert read() == GpuReading(97, 4.0, 25.0, 61, 68.5)
    assert said == []


def test_what_a_gpu_does_not_tell_is_empty(gpu):
    def refuse(handle):
        raise NVMLError("Not Supported")

    read, _ = gpu(fake_nvml(nvmlDeviceGetPowerUsage=refuse, nvmlDeviceGetMemoryInfo=refuse))
    assert read() == GpuReading(97, None, None, 61, None)


@pytest.mark.parametrize(
    ("module", "uuid", "why"),
    [(None, "1234", "nvidia-ml-py is not installed"), (fake_nvml(), "other", "Not Found")],
)
def test_a_gpu_that_cannot_be_read_is_said_once(gpu, module, uuid, why):
    read, said = gpu(module, uuid)
    assert read is None
    assert len(said) == 1
    assert why in said[0]


def test_another_device_has_no_such_figures():
    assert gpu_sensor("cpu") is None


def test_a_reading_costs_next_to_nothing():
    read = process_sensor()
    read()
    started = time.process_time()
    for _ in range(100):
        read()
    assert (time.process_time() - started) / 100 < 0.005
