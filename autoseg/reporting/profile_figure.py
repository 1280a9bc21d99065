"""Figures of resource profiles, as PNG and SVG: what was used over time, and memory against the number of classes."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from autoseg.core.errors import BadInput
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.profiling import COLUMNS, PHASES, QUANTITIES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TITLES = dict(
    zip(
        QUANTITIES,
        ("CPU (%)", "memory (GB)", "GPU (%)", "GPU memory (GB)", "GPU memory (%)", "GPU (°C)", "GPU (W)"),
        strict=True,
    )
)
SHADES = dict(zip(PHASES, ("#ffffff", "#e3e3e3", "#cfe3f5", "#fddcb5", "#cdebc5", "#e2dcf1"), strict=True))
INK, FAINT = "#1f3b57", "#8a8a8a"
LINES = ("#1f77b4", "#d95f02", "#1b9e77", "#7570b3", "#e7298a")
Row = dict[str, Any]


def read_samples(path: Path) -> list[Row]:
    """The rows of a samples file; numbers as float, None where empty. BadInput if it is none, or has no row."""
    with path.open(encoding="utf-8", newline="") as lines:
        table = csv.DictReader(lines)
        if tuple(table.fieldnames or ()) != COLUMNS:
            raise BadInput(f"{path}: has not the columns of a profile; give a file that --profile has written.")
        rows = [row for row in table if None not in row.values()]  # a killed run may leave half a row
    if not rows:
        raise BadInput(f"{path}: has no samples; profile for longer.")
    texts = ("subject", "phase")
    return [{key: cell if key in texts else float(cell) if cell else None for key, cell in row.items()} for row in rows]


def draw_samples(rows: Sequence[Row]) -> Figure:
    """A panel for each quantity that was sampled, time to the right, phases shaded."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    shown = [name for name in QUANTITIES if name != "gpu_memory_percent" and any(row[name] is not None for row in rows)]
    figure = Figure(figsize=(11, 1.1 + 1.55 * len(shown)), layout="constrained")
    panels = list(figure.subplots(len(shown), 1, sharex=True, squeeze=False)[:, 0])
    for axes, name in zip(panels, shown, strict=True):
        _draw_quantity(axes, rows, name)
    cores = 100.0 * num_cores()
    panels[0].axhline(cores, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)))
    panels[0].set_ylim(0, 1.12 * max(cores, *(row["cpu_percent"] for row in rows)))
    panels[0].annotate(
        f"{num_cores()} cores", (1, cores), xycoords=("axes fraction", "data"), xytext=(-4, 2),
        textcoords="offset points", ha="right", fontsize=7, color=FAINT,
    )  # fmt: skip
    panels[-1].set_xlabel("time (s)")
    panels[-1].set_xlim(rows[0]["time_s"] - rows[0]["length_s"], rows[-1]["time_s"])
    _name_subjects(panels, rows)
    present = [phase for phase in PHASES[1:] if any(row["phase"] == phase for row in rows)]
    figure.legend(
        handles=[Patch(facecolor=SHADES[phase], edgecolor="#c0c0c0", linewidth=0.5, label=phase) for phase in present],
        loc="outside upper left", ncols=len(PHASES), frameon=False, fontsize=9, handlelength=1.4,
    )  # fmt: skip
    return figure


def draw_memory_by_classes(
    points: Mapping[str, tuple[Sequence[int], Sequence[float | None]]],
    lines: Mapping[str, tuple[float | None, float | None]],
) -> Figure:
    """Peak memory in GB of a training step against the number of classes.

    ``points`` and ``lines`` (slope and intercept in GB) by the name of the configuration.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axes = figure.subplots()
    for number, (name, (classes, peaks)) in enumerate(points.items()):
        known = [(n, peak) for n, peak in zip(classes, peaks, strict=True) if peak is not None]
        color, (slope, intercept) = LINES[number % len(LINES)], lines[name]
        axes.plot([n for n, _ in known], [peak for _, peak in known], "o", color=color, label=name)
        if slope is not None and intercept is not None:
            ends = [min(classes), max(classes)]
            text = f"{1000 * slope:.2f} MB a class"
            axes.plot(ends, [intercept + slope * n for n in ends], color=color, linewidth=1, label=text)
    axes.set_xlabel("classes, background included")
    axes.set_ylabel("peak memory of a training step (GB)")
    axes.set_ylim(bottom=0)
    axes.grid(color="#e6e6e6", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    return figure


def _draw_quantity(axes: Axes, rows: Sequence[Row], name: str) -> None:
    """One curve, interrupted where nothing was sampled, and the shades of the phases behind it."""
    for (_, phase), group in groupby(rows, key=lambda row: (row["subject"], row["phase"])):
        span = list(group)
        begin, end = span[0]["time_s"] - span[0]["length_s"], span[-1]["time_s"]
        axes.axvspan(begin, end, color=SHADES[phase], linewidth=0, zorder=0)
    for _, group in groupby(rows, key=lambda row: row["subject"]):
        span = [row for row in group if row[name] is not None]
        if span:
            times = [span[0]["time_s"] - span[0]["length_s"], *(row["time_s"] for row in span)]
            values = [span[0][name], *(row[name] for row in span)]
            axes.plot(times, values, color=INK, linewidth=1.2, drawstyle="steps-pre")
    axes.set_ylabel(TITLES[name])
    axes.set_ylim(bottom=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#000000", alpha=0.1, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)


def _name_subjects(panels: Sequence[Axes], rows: Sequence[Row]) -> None:
    """Above the first panel, what the samples are of; a line where that changes."""
    spans = []
    for subject, group in groupby(rows, key=lambda row: row["subject"]):
        span = list(group)
        spans.append((subject, span[0]["time_s"] - span[0]["length_s"], span[-1]["time_s"]))
    whole = spans[-1][2] - spans[0][1]
    for number, (subject, begin, end) in enumerate(spans):
        wide = (end - begin) / whole > 0.012 * len(subject)
        panels[0].annotate(
            subject if wide else subject.replace(" ", "\n"), ((begin + end) / 2, 1), xytext=(0, 3), fontsize=8,
            xycoords=("data", "axes fraction"), textcoords="offset points", ha="center", va="bottom",
        )  # fmt: skip
        if number:
            for axes in panels:
                axes.axvline(begin, color=FAINT, linewidth=0.7)
