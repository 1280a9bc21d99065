"""Where and how a network runs: device, number format and memory layout."""

from __future__ import annotations

import platform
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Literal

import torch
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.core.training_spec import Precision as PlannedPrecision
from autoseg.runtime.convolutions import avoid_unfolding

Precision = Literal["fp32", "bf16", "fp16", "half"]  # bf16, fp16: autocast of float32 weights; half: all in float16

_FORMATS: dict[PlannedPrecision, Precision | None] = {
    "auto": None,
    "fp32": "fp32",
    "amp_fp16": "fp16",
    "amp_bf16": "bf16",
    "fp16": "half",
}
_CHANNELS_LAST = {4: torch.channels_last, 5: torch.channels_last_3d}


@dataclass(frozen=True)
class Execution:
    """How a network is executed; the weights stay float32 but in ``half``."""

    device: str
    precision: Precision
    channels_last: bool

    def place(self, tensor: torch.Tensor) -> torch.Tensor:
        """``(B, C, *spatial)`` on the device, in the memory layout and, with ``half``, in float16."""
        if self.precision == "half":
            tensor = tensor.half()
        if self.channels_last:
            return tensor.to(self.device, memory_format=_CHANNELS_LAST[tensor.ndim], non_blocking=True)
        return tensor.to(self.device, non_blocking=True)

    def place_network(self, network: nn.Module, dimensions: int) -> nn.Module:
        """The network on the device, its weights in the memory layout."""
        layout = _CHANNELS_LAST[dimensions + 2] if self.channels_last else torch.contiguous_format
        if self.precision == "half":
            network = network.half()
        if self.device == "cpu" and self.precision == "fp32":
            avoid_unfolding(network)
        network = network.to(self.device)
        for tensor in chain(network.parameters(), network.buffers()):
            if tensor.ndim == dimensions + 2:  # torch would turn weights of every other rank too, and cannot
                tensor.data = tensor.data.contiguous(memory_format=layout)
        return network

    def autocast(self) -> AbstractContextManager[object]:
        """The context of a forward pass."""
        if self.precision in ("fp32", "half"):
            return nullcontext()
        dtype = torch.bfloat16 if self.precision == "bf16" else torch.float16
        return torch.autocast(self.device.split(":")[0], dtype)

    def describe(self) -> str:
        """Such as ``cpu (2 threads), bf16, channels last``."""
        place = f"cpu ({torch.get_num_threads()} threads)" if self.device == "cpu" else self.device
        return f"{place}, {self.precision}" + (", channels last" if self.channels_last else "")


@lru_cache(maxsize=4)
def core_pool(workers: int, threads_each: int = 1) -> ThreadPoolExecutor:
    """``workers`` threads in which torch computes on ``threads_each`` cores; kept for the life of the process.

    Independent work side by side keeps all cores busy; one operation split over them waits at the end
    of each for the slowest core (a training step on two cores takes 1.1 to 1.3 times as long that way).
    """
    elsewhere = torch.get_num_threads()
    started = threading.Barrier(workers)

    def start(_: int) -> None:
        torch.get_num_threads()  # a thread takes the default at its first question, whatever was set before
        torch.set_num_threads(threads_each)
        started.wait()

    pool = ThreadPoolExecutor(workers)
    list(pool.map(start, range(workers)))
    torch.set_num_threads(elsewhere)  # for threads to come: the setting is each thread's own
    return pool


def choose_device(requested: str | None) -> str:
    """``cuda``, ``mps`` or ``cpu``: what was asked for, else the best there is."""
    if requested is None:
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    kind = requested.split(":")[0]
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if kind not in available:
        raise BadInput(f"--device {requested}: unknown device; use cpu, cuda, cuda:N or mps.")
    if not available[kind]:
        raise BadInput(f"--device {requested}: this machine (or its torch build) has none; use --device cpu.")
    known = {kind} | {f"cuda:{number}" for number in range(torch.cuda.device_count()) if kind == "cuda"}
    if requested not in known:
        raise BadInput(f"--device {requested}: there is no such device; use {', '.join(sorted(known))}.")
    return requested


def native_precisions(device: str) -> list[Precision]:
    """The number formats that the device computes in hardware, best first, fp32 last."""
    if device.startswith("cuda"):
        return ["bf16", "fp32"] if torch.cuda.is_bf16_supported(including_emulation=False) else ["fp16", "fp32"]
    if device == "cpu" and _cpu_has_bf16():
        return ["bf16", "fp32"]
    return ["fp32"]


def _cpu_has_bf16() -> bool:
    """Whether bfloat16 convolutions run in hardware (AVX512-BF16 or AMX; Arm: the library's answer).

    Without it they are emulated, several times slower than float32, and still reported as supported.
    """
    supported = bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
    if platform.machine().lower() not in ("x86_64", "amd64"):
        return supported
    native = getattr(torch.cpu, "_is_avx512_bf16_supported", None) or getattr(torch.cpu, "_is_amx_tile_supported", None)
    return supported and native is not None and bool(native())


def usual_execution(device: str, asked: PlannedPrecision = "auto") -> Execution:
    """In the number format that is ``asked`` for, else the best native one; channels last but on Apple's GPUs.

    Nothing is timed: formats and layouts round differently, and equal trainings must end in equal weights. Of ten
    networks on a CPU a training step takes 0.87 to 1.10 times as long channels last. BadInput if the device does not
    compute in the format.
    """
    precision = _FORMATS[asked] or native_precisions(device)[0]
    if precision not in possible_precisions(device):
        raise BadInput(
            f"precision {precision}: {device} does not compute in it; use auto or fp32 for training.precision."
        )
    return Execution(device, precision, channels_last=device != "mps")


def possible_precisions(device: str) -> list[Precision]:
    """What the device can compute in at all: a CPU in everything, but slowly what it emulates."""
    if device == "cpu":
        return ["fp32", "bf16", "fp16", "half"]
    if device.startswith("cuda"):
        native = native_precisions(device)
        return ["fp32", "fp16", "half", *(["bf16"] if "bf16" in native else [])]  # type: ignore[list-item]
    return ["fp32"]
