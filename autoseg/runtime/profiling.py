"""What a run uses while it runs: samples to a CSV file, averages and peaks by phase, and how long its parts take.

The code of a run names its phases (``phase``) and times its parts (``timed``, ``lap``). Unless something is
being sampled, that does nothing.
"""

from __future__ import annotations

import csv
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any, Literal, ParamSpec, TextIO, TypeVar, get_args

from autoseg.runtime.progress import say
from autoseg.runtime.repeating import repeatedly
from autoseg.runtime.sensors import GpuReading, ProcessReading, gpu_sensor, process_sensor

# Where several are active at once (the next case is prepared beside the network), a sample belongs to the last of them.
Phase = Literal["other", "rest", "prepare", "train", "evaluate", "predict"]
Part = Literal["step", "epoch", "forward", "case"]
PHASES: tuple[Phase, ...] = get_args(Phase)
PARTS: tuple[Part, ...] = get_args(Part)
QUANTITIES = (
    "cpu_percent",  # 100 = one core
    "memory_gb",
    "gpu_percent",
    "gpu_memory_gb",
    "gpu_memory_percent",
    "gpu_temperature_c",
    "gpu_power_w",
)
COLUMNS = ("time_s", "length_s", "subject", "phase", *QUANTITIES, *(f"{part}_s" for part in PARTS))
INTERVAL_S = 0.5
SHORTEST_INTERVAL_S = 0.1  # the operating system counts processor time in hundredths of a second

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass
class Totals:
    """Mean and extremes of what was weighted by its duration or counted; nothing else is kept."""

    number: int = 0
    weight: float = 0.0
    total: float = 0.0
    lowest: float = float("inf")
    peak: float = float("-inf")

    def add(self, value: float, weight: float = 1.0) -> None:
        """One more value."""
        self.number += 1
        self.weight += weight
        self.total += weight * value
        self.lowest, self.peak = min(self.lowest, value), max(self.peak, value)

    @property
    def mean(self) -> float:
        """The weighted mean."""
        return self.total / self.weight


@dataclass
class Recording:
    """What is being sampled. ``subject`` says what the samples are of, and may be changed at any time.

    A row covers the time since the row before: ``cpu_percent`` and the times of the parts are means over it, the
    rest is what is read at its end. A row ends every ``interval_s`` and, if it is not shorter than
    ``SHORTEST_INTERVAL_S``, where the phase changes, so that what it says is of its phase.
    """

    subject: str
    rows: TextIO
    read_process: Callable[[], ProcessReading]
    read_gpu: Callable[[], GpuReading] | None
    offset_s: float = 0.0  # time_s at the start
    started: float = field(default_factory=time.monotonic)
    usage: dict[tuple[str, Phase, str], Totals] = field(default_factory=dict)
    parts: dict[tuple[str, Phase, Part], Totals] = field(default_factory=dict)
    _active: Counter[Phase] = field(default_factory=Counter)
    _since_row: dict[Part, Totals] = field(default_factory=dict)
    _laps_from: float = field(default_factory=time.monotonic)
    _row_ended: float = field(default_factory=time.monotonic)
    _processor_s: float = 0.0
    _failed: bool = False
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._processor_s = self.read_process().processor_s

    @property
    def phase(self) -> Phase:
        """Of the active phases the last in ``PHASES``."""
        return max((name for name, number in self._active.items() if number), key=PHASES.index, default="other")

    def change(self, name: Phase, by: int) -> None:
        """``name`` begins once more (1) or ends (-1)."""
        with self._lock:
            self.sample()
            if by > 0 and not self._active.total():
                self._laps_from = time.monotonic()
            self._active[name] += by

    def sample(self) -> None:
        """End a row now, unless it is too short to say anything."""
        with self._lock:
            now = time.monotonic()
            length_s = now - self._row_ended
            if length_s < SHORTEST_INTERVAL_S:
                return
            process = self.read_process()
            gpu = self.read_gpu() if self.read_gpu else GpuReading()
            values = dict.fromkeys(QUANTITIES, None) | {
                "cpu_percent": 100 * max(0.0, process.processor_s - self._processor_s) / length_s,
                "memory_gb": process.memory_gb,
                **{f"gpu_{name}": value for name, value in vars(gpu).items()},
            }
            self._row_ended, self._processor_s = now, process.processor_s
            for name, value in values.items():
                if value is not None:
                    self.usage.setdefault((self.subject, self.phase, name), Totals()).add(value, length_s)
            times = [self._since_row[part].mean if part in self._since_row else None for part in PARTS]
            self._since_row.clear()
            place: list[float | str | None] = [self.offset_s + now - self.started, length_s, self.subject, self.phase]
            self._write([*place, *values.values(), *times])

    def took(self, part: Part, seconds: float) -> None:
        """A part of the run has ended."""
        with self._lock:
            for totals in (
                self.parts.setdefault((self.subject, self.phase, part), Totals()),
                self._since_row.setdefault(part, Totals()),
            ):
                totals.add(seconds)

    def lap(self, part: Part) -> None:
        """A part has ended that began where the last one did, or with the outermost phase."""
        with self._lock:
            now = time.monotonic()
            self.took(part, now - self._laps_from)
            self._laps_from = now

    def summary(self) -> dict[str, dict[str, Any]]:
        """Subject -> phase -> ``seconds``, mean and peak of each quantity, ``times_s`` of the parts."""
        found: dict[str, dict[str, Any]] = {}
        for (subject, phase_name, name), totals in self.usage.items():
            entry = found.setdefault(subject, {}).setdefault(phase_name, {"seconds": 0.0})
            entry["seconds"] = max(entry["seconds"], totals.weight)
            entry[name] = {"mean": totals.mean, "peak": totals.peak}
        for (subject, phase_name, part), totals in self.parts.items():
            entry = found.setdefault(subject, {}).setdefault(phase_name, {"seconds": 0.0})
            entry.setdefault("times_s", {})[part] = {
                "number": totals.number,
                "mean": totals.mean,
                "shortest": totals.lowest,
                "longest": totals.peak,
            }
        return found

    def _write(self, row: list[float | str | None]) -> None:
        """A run does not end because its samples cannot be written."""
        if self._failed:
            return
        try:
            csv.writer(self.rows).writerow(f"{cell:.4f}" if isinstance(cell, float) else cell for cell in row)
            self.rows.flush()
        except OSError as error:
            self._failed = True
            say(f"{self.rows.name}: no more samples are written ({error.strerror})", style="yellow")


_recordings: list[Recording] = []  # the one of this process, if any


@contextmanager
def sampling(
    path: Path, subject: str, device: str = "cpu", interval_s: float = INTERVAL_S, begun_s: float | None = None
) -> Iterator[Recording]:
    """Sample this process and its children to ``path`` while the block runs; every row is on disk at once.

    With ``begun_s`` (of ``time.time``) the file goes on, and time counts from there. One at a time in a process.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w" if begun_s is None else "a", encoding="utf-8", newline="") as rows, ExitStack() as ending:
        if rows.tell() == 0:
            csv.writer(rows).writerow(COLUMNS)
        offset_s = 0.0 if begun_s is None else time.time() - begun_s
        recording = Recording(subject, rows, process_sensor(), gpu_sensor(device), offset_s)
        ending.callback(recording.sample)
        ending.enter_context(repeatedly(recording.sample, interval_s))
        _recordings.append(recording)
        ending.callback(_recordings.remove, recording)
        yield recording


@contextmanager
def phase(name: Phase) -> Iterator[None]:
    """Inside the block, or the decorated function, samples are of this phase."""
    recording = _recordings[-1] if _recordings else None
    if recording is None:
        yield
        return
    recording.change(name, 1)
    try:
        yield
    finally:
        recording.change(name, -1)


def timed(part: Part, function: Callable[Parameters, Result], device: str = "cpu") -> Callable[Parameters, Result]:
    """``function``, each call of which is timed if anything is being sampled now; else ``function`` itself.

    On a GPU, which works on after a call has returned, the clock is read when it has finished: before and after
    the call the device is synchronised, so that a timed run can be slower than one that is not.
    """
    if not _recordings:
        return function
    recording, wait_for_device = _recordings[-1], _synchronisation(device)

    @wraps(function)
    def run(*arguments: Parameters.args, **named: Parameters.kwargs) -> Result:
        wait_for_device()
        started = time.perf_counter()
        result = function(*arguments, **named)
        wait_for_device()
        recording.took(part, time.perf_counter() - started)
        return result

    return run


def lap(part: Part) -> None:
    """A part has ended that began where the last one of its kind did, or with the outermost phase."""
    if _recordings:
        _recordings[-1].lap(part)


def _synchronisation(device: str) -> Callable[[], object]:
    """What returns when the device has done all that it was given."""
    kind = device.split(":")[0]
    if kind == "cpu":
        return lambda: None
    import torch

    return torch.mps.synchronize if kind == "mps" else lambda: torch.cuda.synchronize(device)
