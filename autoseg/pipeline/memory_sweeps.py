"""How the memory of a training step depends on what is trained: on the number of classes, and on the volume.

Both are figures of the VoxHRNet paper (Li et al., memory against the number of classes; the largest isotropic
volume for each number format); each step is measured in a process of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import lcm
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autoseg.core.plan import Configuration, Plan
from autoseg.io.files import write_json, write_text
from autoseg.preprocessing.previous_stage import num_input_channels
from autoseg.reporting.comparison_tables import markdown_table
from autoseg.reporting.figure_files import save
from autoseg.reporting.profile_figure import draw_memory_by_classes
from autoseg.runtime.progress import progress

if TYPE_CHECKING:
    from autoseg.runtime.devices import Execution

SMALLEST = 2  # voxels at the deepest stage: a norm needs more than one value
CLASSES_HEADER = ("configuration", "classes", "peak memory (GB)")
VOLUME_HEADER = ("configuration", "number format", "largest size (voxels)", "steps of", "peak memory (GB)", "of (GB)")


@dataclass(frozen=True)
class ClassSweep:
    """Peak memory of a training step in GB for each number of classes; None where it did not suffice.

    ``slope_gb`` a class and ``intercept_gb`` of the straight line with the least squares, and its coefficient of
    determination ``r_squared``; None with fewer than three points.
    """

    configuration: str
    execution: str
    patch_size: tuple[int, ...]
    batch_size: int
    classes: tuple[int, ...]
    peak_gb: tuple[float | None, ...]
    slope_gb: float | None
    intercept_gb: float | None
    r_squared: float | None


@dataclass(frozen=True)
class LargestVolume:
    """The longest edge of a cube (in 2D a square) whose training step, batch 1, stays within ``limit_gb``.

    Sizes were tried in steps of ``multiple`` voxels. 0 if not even one step fits.
    """

    configuration: str
    execution: str
    precision: str
    limit_gb: float
    multiple: int
    size: int
    peak_gb: float | None
    tried: dict[int, float | None]  # size -> peak in GB, None where it did not fit


def memory_by_classes(
    plan: Plan, configuration: Configuration, classes: Sequence[int], execution: Execution, limit_gb: float
) -> ClassSweep:
    """Measure a step of the configuration as planned, but for the number of classes (background included)."""
    from autoseg.training.step_memory import measure

    channels = num_input_channels(plan, configuration)
    peaks = []
    with progress(f"{configuration.name}: memory of {', '.join(map(str, classes))} classes") as shown:
        for done, number in enumerate(classes, start=1):
            peaks.append(measure(configuration, number, channels, execution, limit_gb).peak_gb)
            shown.update(done / len(classes))
    slope, intercept, r_squared = fit_line([(n, p) for n, p in zip(classes, peaks, strict=True) if p is not None])
    return ClassSweep(
        configuration.name,
        execution.describe(),
        configuration.patch_size,
        configuration.batch_size,
        tuple(classes),
        tuple(peaks),
        slope,
        intercept,
        r_squared,
    )


def fit_line(points: Sequence[tuple[float, float]]) -> tuple[float | None, float | None, float | None]:
    """Slope, intercept and coefficient of determination of the line with the least squares."""
    if len({x for x, _ in points}) < 3:
        return None, None, None
    x, y = np.array(points, np.float64).T
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    intercept = float(y.mean() - slope * x.mean())
    spread = float(((y - y.mean()) ** 2).sum())
    left = float(((y - slope * x - intercept) ** 2).sum())
    return slope, intercept, 1 - left / spread if spread else None


def largest_volume(plan: Plan, configuration: Configuration, execution: Execution, limit_gb: float) -> LargestVolume:
    """Search by doubling, then by bisection; every size is a multiple of all strides of the network."""
    from autoseg.training.step_memory import measure

    multiple = lcm(*configuration.network.size_multiple)
    channels, classes = num_input_channels(plan, configuration), plan.labels.num_outputs
    tried: dict[int, float | None] = {}

    def fits(number: int) -> bool:
        size = number * multiple
        patch = (size,) * configuration.network.dimensions
        candidate = configuration.model_copy(update={"patch_size": patch, "batch_size": 1})
        tried[size] = measure(candidate, classes, channels, execution, limit_gb).peak_gb
        return tried[size] is not None

    with progress(f"{configuration.name}: largest volume in {execution.precision}"):
        size = multiple * largest_that_fits(fits, SMALLEST)
    return LargestVolume(
        configuration.name,
        execution.describe(),
        execution.precision,
        limit_gb,
        multiple,
        size,
        tried.get(size),
        dict(sorted(tried.items())),
    )


def largest_that_fits(fits: Callable[[int], bool], smallest: int) -> int:
    """The largest number from ``smallest`` on that ``fits``; 0 if that one does not. A number fits if a larger does."""
    good, bad = 0, smallest
    while fits(bad):
        good, bad = bad, 2 * bad
    while good and bad - good > 1:
        middle = (good + bad) // 2
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good


def memory_limit_gb(device: str, asked_gb: float | None, default_gb: float) -> float:
    """What was asked for; else all of a GPU, or ``default_gb`` of a computer."""
    if asked_gb is not None or not device.startswith("cuda"):
        return asked_gb or default_gb
    import torch

    return float(torch.cuda.get_device_properties(device).total_memory / 1e9)


def write_class_sweeps(folder: Path, sweeps: Sequence[ClassSweep]) -> list[tuple[str, ...]]:
    """``classes.json``, ``.md``, ``.png`` and ``.svg``; the rows of the table."""
    rows: list[tuple[str, ...]] = [
        (sweep.configuration, str(number), "does not fit" if peak is None else f"{peak:.2f}")
        for sweep in sweeps
        for number, peak in zip(sweep.classes, sweep.peak_gb, strict=True)
    ]
    write_json(folder / "classes.json", [asdict(sweep) for sweep in sweeps])
    text = markdown_table(CLASSES_HEADER, rows) + "\n\n" + "".join(f"- {line_sentence(one)}\n" for one in sweeps)
    write_text(folder / "classes.md", text)
    points = {sweep.configuration: (sweep.classes, sweep.peak_gb) for sweep in sweeps}
    lines = {one.configuration: (one.slope_gb, one.intercept_gb) for one in sweeps}
    save(draw_memory_by_classes(points, lines), folder / "classes")
    return rows


def line_sentence(sweep: ClassSweep) -> str:
    """What the line through the points says."""
    if sweep.slope_gb is None or sweep.r_squared is None:
        return f"{sweep.configuration}: too few points for a line."
    return (
        f"{sweep.configuration}, {sweep.execution}: {1000 * sweep.slope_gb:.2f} MB more for each class "
        f"(straight line, R² {sweep.r_squared:.4f})."
    )


def write_largest_volumes(folder: Path, found: Sequence[LargestVolume]) -> list[tuple[str, ...]]:
    """``largest_volume.json`` and ``.md``; the rows of the table."""
    rows: list[tuple[str, ...]] = [
        (
            one.configuration,
            one.precision,
            str(one.size),
            str(one.multiple),
            "-" if one.peak_gb is None else f"{one.peak_gb:.2f}",
            f"{one.limit_gb:.4g}",
        )
        for one in found
    ]
    write_json(folder / "largest_volume.json", [asdict(one) for one in found])
    write_text(folder / "largest_volume.md", markdown_table(VOLUME_HEADER, rows) + "\n")
    return rows
