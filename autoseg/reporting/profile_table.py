"""The table of a resource profile: what each library needs for each network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class LibraryRun:
    """One configuration, run by one library.

    ``trainable`` and ``fixed`` count parameters; fixed are those that an optimiser does not touch (frozen weights,
    and buffers such as the running means and variances of batch norms). ``execution`` maps what was run
    (``train``, ``predict``) to device, number format and memory layout. ``phases`` is that of
    ``Recording.summary``: in ``train`` the part ``step``, in ``evaluate`` the part ``forward`` (a batch), in
    ``predict`` the parts ``forward`` (tiles) and ``case``.
    """

    configuration: str
    network: str
    library: str
    trainable: int
    fixed: int
    patch_size: tuple[int, ...]
    batch_size: int
    steps_per_epoch: int
    validation_steps: int
    execution: dict[str, str]
    phases: dict[str, dict[str, Any]]

    @property
    def step_s(self) -> float | None:
        """Mean time of a training step; None if the library does not train."""
        return self._mean_s("train", "step")

    @property
    def forward_s(self) -> float | None:
        """Mean time of a forward pass of one batch of patches."""
        return self._mean_s("evaluate", "forward")

    @property
    def case_s(self) -> float | None:
        """Mean time in which the network segments one prepared case, all tiles and mirrored copies of it."""
        return self._mean_s("predict", "case")

    @property
    def epoch_s(self) -> float | None:
        """The steps of an epoch and its validation, extrapolated from the step and the forward pass."""
        if self.step_s is None or self.forward_s is None:
            return None
        return self.steps_per_epoch * self.step_s + self.validation_steps * self.forward_s

    def _mean_s(self, phase: str, part: str) -> float | None:
        times = self.phases.get(phase, {}).get("times_s", {}).get(part)
        return None if times is None else float(times["mean"])

    def used(self, phase: str, quantity: str, which: str) -> float | None:
        """The ``mean`` or ``peak`` of a quantity in a phase; None if it was not sampled."""
        found = self.phases.get(phase, {}).get(quantity)
        return None if found is None else float(found[which])

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        times = {name: getattr(self, name) for name in ("step_s", "epoch_s", "forward_s", "case_s")}
        return vars(self) | {"patch_size": list(self.patch_size)} | times


def profile_table(runs: Sequence[LibraryRun]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Header and rows: a column for each network and library, a row for each figure.

    Rows of a GPU are there if one was sampled.
    """
    header = ("", *(f"{run.configuration} {run.library}" for run in runs))
    rows: list[tuple[str, ...]] = []

    def row(name: str, cell: Callable[[LibraryRun], str]) -> None:
        rows.append((name, *(cell(run) for run in runs)))

    def used(name: str, quantity: str, which: str, phases: Sequence[str], digits: int) -> None:
        title = f"{name}, {which}: {' / '.join(phases)}"
        row(title, lambda run: " / ".join(_number(run.used(phase, quantity, which), digits) for phase in phases))

    row("network", lambda run: run.network)
    row("parameters: trainable / fixed", lambda run: f"{run.trainable:,} / {run.fixed:,}")
    row("patch, batch", lambda run: f"{' x '.join(map(str, run.patch_size))}, {run.batch_size}")
    row("training on", lambda run: run.execution.get("train", "-"))
    row("prediction on", lambda run: run.execution.get("predict", "-"))
    row("training step (s)", lambda run: _number(run.step_s, 3))
    row("epoch (s)", lambda run: _number(run.epoch_s, 1))
    row("forward pass of a batch (s)", lambda run: _number(run.forward_s, 4))
    row("a whole case (s)", lambda run: _number(run.case_s, 3))
    phases = ("train", "evaluate", "predict")
    used("CPU (%)", "cpu_percent", "mean", phases, 0)
    used("memory (GB)", "memory_gb", "peak", ("rest", *phases), 2)
    if any(run.used(phase, "gpu_percent", "mean") is not None for run in runs for phase in run.phases):
        used("GPU (%)", "gpu_percent", "mean", phases, 0)
        used("GPU memory (GB)", "gpu_memory_gb", "peak", ("rest", *phases), 2)
        used("GPU memory (%)", "gpu_memory_percent", "mean", phases, 1)
        used("GPU temperature (°C)", "gpu_temperature_c", "peak", ("rest", *phases), 0)
        used("GPU power (W)", "gpu_power_w", "mean", ("rest", *phases), 0)
    return header, rows


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"
