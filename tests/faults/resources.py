"""What runs out: memory of the machine and of a GPU, the disk, the right to write; and children that die.

Each ends in one sentence, the other cases are finished where that is possible, and the same command, run again when
there is room, ends in the same bits.
"""

import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch

from autoseg.io import images
from autoseg.pipeline import memory_checks, segmenting
from autoseg.runtime import own_process
from autoseg.runtime.devices import Execution, native_precisions
from tests.faults.command import Outcome, call
from tests.faults.disks import disk_is_full, disk_is_read_only, hashes
from tests.faults.row import Row
from tests.faults.small_model import small_workspace

ERRORS = (
    MemoryError(),
    MemoryError("Unable to allocate 3.10 GiB for an array with shape (3, 512, 512, 1024) and data type float32"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:121] err == 0. DefaultCPUAllocator: can't allocate memory: 12 bytes"),
    RuntimeError("std::bad_alloc"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
)
CRASHES = (signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE)


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` faults of each kind; those of the disk need root, to mount a small file system."""
    random = np.random.default_rng(seed)
    yield memory_runs_out(size, random, folder / "memory")
    yield gpu_is_too_small(size, random, folder / "gpu")
    yield memory_is_foreseen(size, random, folder / "foreseen")
    yield disk_is_full(size, random, folder / "full")
    yield disk_is_read_only(size, random, folder / "read-only")
    yield children_die(size, random)


@dataclass(frozen=True)
class Prediction:
    """Three images, what their segmentations must be, and where they go."""

    workspace: Path
    site: Path
    output: Path
    expected: dict[str, str]

    def run(self) -> Outcome:
        """Predict what is not there yet."""
        where = (str(self.site), "-o", str(self.output), "--naming", "image")
        return call(self.workspace, "predict", *where, "--dataset", "Tiny", "--device", "cpu", "--engine", "torch")

    def written(self) -> dict[str, str]:
        """Segmentation -> hash."""
        return {name: value for name, value in hashes(self.output).items() if name.endswith(".nii.gz")}

    def finished_by(self, again: Outcome) -> str:
        """What is wrong after the command was run again; empty if nothing is."""
        if again.status != 0 or self.written() != self.expected:
            return f"run again: status {again.status} {again.raised}, {len(self.written())} files"
        return ""


def prediction(folder: Path) -> Prediction:
    """Made once without any fault."""
    workspace, site = small_workspace(folder)
    undisturbed = Prediction(workspace.root, site, folder / "expected", {})
    undisturbed.run()
    return Prediction(workspace.root, site, folder / "out", undisturbed.written())


def memory_runs_out(size: int, random: np.random.Generator, folder: Path) -> Row:
    """An allocator fails for one case, where it is read, segmented or written."""
    made, failures = prediction(folder), []
    for number in range(size):
        case, error = f"sub-{random.integers(3):02d}", ERRORS[random.integers(len(ERRORS))]
        owner, name = ((images, "read_channels"), (segmenting, "segment"), (images, "write_labels"))[random.integers(3)]
        shutil.rmtree(made.output, ignore_errors=True)
        with mock.patch.object(owner, name, failing_for(getattr(owner, name), case, error)):
            run = made.run()
        others = {path: value for path, value in made.expected.items() if case not in path}
        told = [line for line in run.error.splitlines() if line.startswith("left out: ")]
        problem = made.finished_by(made.run()) if made.written() == others else "the other cases are not there"
        if run.raised or run.status != 1 or len(told) != 1:
            problem = f"status {run.status} {run.raised} {told}"
        elif not (case in told[0] and ": the memory did not suffice (" in told[0] and told[0].endswith("with more.")):
            problem = f"said {told[0]!r}"
        failures += [f"{number}: {name} of {case}, {error!r}: {problem}"] if problem else []
    compared = "status 1, the case named, the others and the next run bit for bit"
    return Row("memory runs out in a prediction", size, size - len(failures), compared, tuple(failures))


def failing_for(function: Callable[..., Any], case: str, error: Exception) -> Callable[..., Any]:
    """``function``, which fails where one of its arguments is of the case."""

    def run(*arguments: Any, **named: Any) -> Any:
        if any(case in str(argument) for argument in (*arguments, *named.values()) if is_place(argument)):
            raise error
        return function(*arguments, **named)

    return run


def is_place(argument: Any) -> bool:
    """A path, several, or the files of a case; not an array, whose text takes long."""
    return isinstance(argument, Path | tuple | list) or hasattr(argument, "channels")


def gpu_is_too_small(size: int, random: np.random.Generator, folder: Path) -> Row:
    """Batches above a random number of tiles do not fit; or the first passes fail, as other programs come and go."""
    made, failures, place = prediction(folder), [], Execution.place
    for number in range(size):
        largest, transient = int(random.integers(1, 5)), int(random.integers(0, 3))
        shutil.rmtree(made.output, ignore_errors=True)
        failed: list[int] = []

        def on_small_gpu(
            self: Execution,
            batch: torch.Tensor,
            largest: int = largest,
            transient: int = transient,
            failed: list[int] = failed,
        ) -> torch.Tensor:
            if len(batch) > largest or len(failed) < transient:
                failed.append(len(batch))
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
            return place(self, batch)

        with mock.patch.object(Execution, "place", on_small_gpu):
            run = made.run()
        if run.status != 0 or made.written() != made.expected or not (failed or (largest == 4 and not transient)):
            said = f"status {run.status} {run.raised} {run.error[-200:]}"
            failures.append(f"{number}: at most {largest} tiles, {transient} failures: {said}")
    compared = "status 0, the segmentations bit for bit"
    return Row("GPU too small for a batch of tiles", size, size - len(failures), compared, tuple(failures))


def memory_is_foreseen(size: int, random: np.random.Generator, folder: Path) -> Row:
    """So little is left that the estimate says no: before a prediction and before a training, nothing is made."""
    made, failures = prediction(folder), []
    trained = ("train", "Tiny", "3d_fullres", "fold1", "--device", "cpu", "--epochs", "1")
    for number in range(size):
        left = int(random.integers(1, 50_000))
        shutil.rmtree(made.output, ignore_errors=True)
        with mock.patch.object(memory_checks, "left_bytes", lambda *_, left=left: left):
            run, training = made.run(), call(made.workspace, *trained)
        told = [line for line in run.error.splitlines() if line.startswith("left out: sub-")]
        problem = "" if len(told) == 3 and run.status == 2 and not made.written() else f"status {run.status} {told}"
        if not all(": needs about " in line and " GB are left; free memory, or use a " in line for line in told):
            problem = f"said {told}"
        needed = "0.3" if native_precisions("cpu")[0] == "fp32" else "0.2"  # of bfloat16 less is held
        begin, end = (
            f"Tiny 3d_fullres: a training step needs about {needed} GB of memory and ",
            "use a machine with more.",
        )
        if training.status != 1 or not (training.sentence.startswith(begin) and training.sentence.endswith(end)):
            problem = f"training: status {training.status} {training.raised} {training.error[-200:]}"
        if (made.workspace / "preprocessed").exists() or (
            made.workspace / "models/Tiny/3d_fullres/fold1/plan.json"
        ).exists():
            problem = "something was made"
        problem = problem or made.finished_by(made.run())
        failures += [f"{number}: {left} bytes left: {problem}"] if problem else []
    compared = "every case and the training refused with both figures; nothing made"
    return Row("memory that cannot suffice", size, size - len(failures), compared, tuple(failures))


def children_die(size: int, random: np.random.Generator) -> Row:
    """A process of our own is ended by a signal: for its memory, which is an answer, or by a crash, which is told."""
    failures = []
    for number in range(size):
        signals = (*CRASHES, signal.SIGKILL, signal.SIGABRT)
        ended_by = signals[random.integers(len(signals))]
        dead = subprocess.CompletedProcess([], -ended_by, "", "")
        with mock.patch.object(own_process.subprocess, "run", lambda *_, dead=dead, **__: dead):
            try:
                told: object = own_process.run_module("a.module", {"configuration": "2d"})
            except ChildProcessError as error:
                told = str(error)
        expected = own_process.STOPPED
        if ended_by in CRASHES:
            expected = (
                f"a.module: its process was ended by {ended_by.name} while it worked on "
                '{"configuration": "2d"}; run the command again.'
            )
        failures += [f"{number}: {ended_by.name}: {told!r}"] if told != expected else []
    compared = "the answer, or one sentence with what it worked on"
    return Row("child process dies", size, size - len(failures), compared, tuple(failures))
