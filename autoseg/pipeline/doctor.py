"""What the machine offers, and what that means for the work."""

from __future__ import annotations

import os
import platform
import shutil
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import autoseg
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.memory import left_bytes

BYTES_PER_GB = 1e9
ENOUGH_MEMORY_GB = 8.0  # what plans are made for unless told otherwise
ENOUGH_DISK_GB = 20.0
PACKAGES = ("torch", "numpy", "SimpleITK", "nibabel", "scipy", "scikit-image", "blosc2", "pydantic", "safetensors")
EXTRAS = {  # the extra and its package, and what it is for
    "openvino": ("openvino", "prediction on a CPU is up to 2.7 times as fast"),
    "tensorboard": ("tensorboard", "curves of a training can be watched"),
    "nvml": ("nvidia-ml-py", "--profile has figures of the GPU"),
    "bids": ("bids-validator-deno", "BIDS datasets can be validated"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at; ``meaning`` is for a person, and ``fine`` is False where something needs doing."""

    what: str
    found: str
    meaning: str
    fine: bool = True


def examine(workspace: Path) -> list[Finding]:
    """Software, processor, memory, disk, number formats, GPUs and extras. Nothing is written."""
    return [*_software(), _processor(), _memory(), _disk(workspace), _number_formats(), *_gpus(), *_extras()]


def _software() -> list[Finding]:
    found = f"autoseg {autoseg.__version__}, Python {platform.python_version()} on {platform.platform()}"
    packages = ", ".join(f"{name} {installed(name) or 'missing'}" for name in PACKAGES)
    missing = [name for name in PACKAGES if installed(name) is None]
    meaning = f"install what is missing: pip install {' '.join(missing)}" if missing else "everything needed is there"
    return [
        Finding("program", found, "name these when you report a problem"),
        Finding("packages", packages, meaning, not missing),
    ]


def installed(package: str) -> str | None:
    """The version of a package, or None."""
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> Finding:
    cores, whole = num_cores(), os.cpu_count() or 1
    found = f"{cores} of {whole} cores may be used ({platform.machine()})"
    meaning = "work is shared out over these cores; nothing has to be set"
    if cores == 1:
        meaning = "one core is slow for training; prediction is fine"
    return Finding("processor", found, meaning)


def _memory() -> Finding:
    import psutil

    left_gb, whole_gb = left_bytes() / BYTES_PER_GB, psutil.virtual_memory().total / BYTES_PER_GB
    fine = left_gb >= ENOUGH_MEMORY_GB
    meaning = f"enough for a training on a CPU as plans are made by default ({ENOUGH_MEMORY_GB:g} GB)"
    if not fine:
        meaning = f"plan for what is there: autoseg plan NAME --memory {max(1, int(left_gb))}GB"
    return Finding("memory", f"{left_gb:.1f} of {whole_gb:.1f} GB can be used now", meaning, fine)


def _disk(workspace: Path) -> Finding:
    there = next(folder for folder in (workspace, *workspace.parents) if folder.exists())
    free_gb = shutil.disk_usage(there).free / BYTES_PER_GB
    writable = os.access(there, os.W_OK)
    fine = writable and free_gb >= ENOUGH_DISK_GB
    meaning = "prepared cases take about as much as the images, uncompressed"
    if not writable:
        meaning = "nothing can be written there; choose another --workspace"
    elif not fine:
        meaning += "; for a large dataset choose a --workspace on another disk"
    return Finding("disk", f"{free_gb:.1f} GB are free for the workspace {workspace}", meaning, fine)


def _number_formats() -> Finding:
    from autoseg.runtime.devices import native_precisions

    if "bf16" in native_precisions("cpu"):
        return Finding("number format", "the processor computes in bf16", "training takes about half the time of fp32")
    return Finding("number format", "the processor computes in fp32", "bf16 would be slower here and is not used")


def _gpus() -> list[Finding]:
    import torch

    from autoseg.runtime.devices import native_precisions

    if torch.backends.mps.is_available():
        return [Finding("GPU", "Apple (mps)", "it is used unless --device says otherwise; in fp32")]
    if not torch.cuda.is_available():
        built = f"torch is built for CUDA {torch.version.cuda}" if torch.version.cuda else "torch is built without CUDA"
        meaning = "everything runs on the processor; give a training a --time-budget"
        return [Finding("GPU", f"none ({built})", meaning)]
    found = []
    for number in range(torch.cuda.device_count()):
        device = f"cuda:{number}"
        free, whole = torch.cuda.mem_get_info(device)
        text = (
            f"{torch.cuda.get_device_name(device)}: {free / BYTES_PER_GB:.1f} of {whole / BYTES_PER_GB:.1f} GB free, "
            f"driver {driver() or 'unknown'}, CUDA {torch.version.cuda}"
        )
        meaning = f"computes in {native_precisions(device)[0]}; chosen with --device {device}"
        found.append(Finding(f"GPU {number}", text, meaning))
    return found


def driver() -> str | None:
    """The version of NVIDIA's driver, as NVML or the kernel module tells it."""
    with suppress(ImportError):
        import pynvml

        with suppress(pynvml.NVMLError):  # no library, or no driver
            pynvml.nvmlInit()
            told: str = pynvml.nvmlSystemGetDriverVersion()
            return told
    module = Path("/sys/module/nvidia/version")
    return module.read_text(encoding="utf-8").strip() if module.is_file() else None


def _extras() -> list[Finding]:
    found = []
    for extra, (package, purpose) in EXTRAS.items():
        there = installed(package)
        meaning = purpose if there else f"with it {purpose}: pip install autoseg[{extra}]"
        found.append(Finding(f"extra {extra}", f"{package} {there}" if there else "not installed", meaning))
    return found
