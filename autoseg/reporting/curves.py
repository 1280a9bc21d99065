"""How a training went: losses and Dice over its epochs, of one fold or several."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.reporting.box_plots import wrapped
from autoseg.reporting.figure_files import style
from autoseg.reporting.palette import OKABE_ITO, label_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT = "#202020", "#808080"
LOSSES = {"loss": ("training", OKABE_ITO[0]), "validation_loss": ("validation", OKABE_ITO[5])}
LABELS_SHOWN = 7  # so many colours can be told apart; of more labels, their range is shown
SMALL_POINTS = 9
LEGEND_CHARACTERS = 24
MARKED_EPOCHS = 30  # up to so many each epoch has a point
SMOOTHED_EPOCHS = 100  # of more, thick lines are means over a fiftieth of the epochs
WINDOWS = 50

Progress = Sequence[Mapping[str, Any]]  # the lines of a progress.jsonl
Numbers = npt.NDArray[np.float64]


def read_progress(path: Path) -> list[dict[str, Any]]:
    """The lines of a ``progress.jsonl`` (``training.tracking``); BadInput if it has none or is something else.

    A last line that is still being written is left out.
    """
    lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    try:
        epochs = [json.loads(line) for line in lines if line]
        for epoch in epochs:
            (epoch["epoch"], epoch["loss"], epoch["patch_dice"].items())
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(f"{path}: is no progress of a training ({error!r}); train again.") from None
    if not epochs:
        raise BadInput(f"{path}: no epoch has ended yet; wait for the first one.")
    return epochs


def draw_curves(folds: Mapping[str, Progress]) -> Figure:
    """Losses beside the Dice of validation patches by label, over epochs (from 0), as ``progress.jsonl`` has them.

    ``folds`` has at least one epoch of each fold, by its name. Of several folds each is a thin line (of the Dice, its
    mean over labels), and the mean over the folds is thick, as far as all of them have come. Diamonds are the epochs
    whose weights were kept as the best. More than ``LABELS_SHOWN`` labels are not lines but their range and the half
    in its middle, with the worst named. Trainings longer than ``SMOOTHED_EPOCHS`` are smoothed.
    """
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    with style():
        figure = Figure(figsize=(10, 4.1), layout="constrained")
        left, right = figure.subplots(1, 2, sharex=True)
        for key, (title, colour) in LOSSES.items():
            _draw_lines(left, [_series(lines, key) for lines in folds.values()], title, colour)
        left.set_ylabel("loss")
        _draw_dice(right, folds)
        for axes in (left, right):
            axes.set_xlabel("epoch")
            axes.grid(color="0.9", linewidth=0.6)
            axes.spines[["top", "right"]].set_visible(False)
            axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
            _mark_single_best(axes, folds)
        longest = max(int(lines[-1]["epoch"]) for lines in folds.values())
        left.set_xlim(-0.02 * longest - 0.3, 1.02 * longest + 0.3)
        left.legend(frameon=False, fontsize=SMALL_POINTS)
        right.legend(frameon=False, fontsize=SMALL_POINTS, loc="upper left", bbox_to_anchor=(1.0, 1.0))
        figure.supxlabel(_caption(folds), fontsize=SMALL_POINTS, color="0.25")
    return figure


def moving_mean(values: Numbers, width: int) -> Numbers:
    """The mean of the known values among the ``width`` around each of ``values`` ``(N,)``; fewer at the ends."""
    known = np.isfinite(values)
    box = np.ones(width)
    sums = np.convolve(np.where(known, values, 0.0), box)
    counts = np.convolve(known.astype(np.float64), box)
    start = (width - 1) // 2
    inner = slice(start, start + len(values))
    means: Numbers = np.where(known, sums[inner] / np.maximum(counts[inner], 1), np.nan)
    return means


def _series(lines: Progress, key: str, label: str | None = None) -> tuple[Numbers, Numbers]:
    """Epochs and values ``(N,)``, NaN where there is none."""
    cells = [line.get(key) if label is None else line[key].get(label) for line in lines]
    values = [cell if isinstance(cell, int | float) and isfinite(cell) else np.nan for cell in cells]
    return np.array([line["epoch"] for line in lines], np.float64), np.array(values, np.float64)


def _draw_lines(
    axes: Axes, series: Sequence[tuple[Numbers, Numbers]], title: str, colour: str, with_folds: bool = True
) -> None:
    """A thick line for the mean over the folds, and thin ones for the folds, or for what a moving mean smooths."""
    if not any(np.isfinite(values).any() for _, values in series):
        return
    if with_folds and len(series) > 1:
        for epochs, values in map(_smooth, series):
            marker = "." if len(epochs) == 1 else ""
            axes.plot(epochs, values, color=colour, linewidth=0.8, alpha=0.5, marker=marker)
    elif with_folds and len(series[0][0]) > SMOOTHED_EPOCHS:
        axes.plot(*series[0], color=colour, linewidth=0.6, alpha=0.4)
    epochs, values = _smooth(mean_over_folds(series))
    marker = "o" if len(epochs) <= MARKED_EPOCHS else ""
    look: dict[str, Any] = {"color": colour, "linewidth": 1.8, "marker": marker, "markersize": 3.5, "zorder": 2.5}
    axes.plot(epochs, values, label=wrapped(title, LEGEND_CHARACTERS), **look)


def _smooth(series: tuple[Numbers, Numbers]) -> tuple[Numbers, Numbers]:
    """Of a long training the moving means, at as many epochs as can be seen."""
    epochs, values = series
    if len(epochs) <= SMOOTHED_EPOCHS:
        return series
    width = window(len(epochs))
    places = np.unique(np.append(np.arange(0, len(epochs), max(1, width // 4)), len(epochs) - 1))
    return epochs[places], moving_mean(values, width)[places]


def window(num_epochs: int) -> int:
    """Over how many epochs, an odd number, a moving mean of a long training goes."""
    return num_epochs // WINDOWS | 1


def mean_over_folds(series: Sequence[tuple[Numbers, Numbers]]) -> tuple[Numbers, Numbers]:
    """Epochs and means over the folds, as far as all have come; a value that a fold lacks has no part in the mean."""
    length = min(len(epochs) for epochs, _ in series)
    values = np.stack([values[:length] for _, values in series])
    counts = np.isfinite(values).sum(axis=0)
    means: Numbers = np.where(counts > 0, np.nansum(values, axis=0) / np.maximum(counts, 1), np.nan)
    return series[0][0][:length], means


def _draw_dice(axes: Axes, folds: Mapping[str, Progress]) -> None:
    """The Dice of each label and their mean, with the best epochs."""
    labels = list(dict.fromkeys(label for lines in folds.values() for line in lines for label in line["patch_dice"]))
    by_label = {label: [_series(lines, "patch_dice", label) for lines in folds.values()] for label in labels}
    if len(labels) > LABELS_SHOWN:
        _draw_range(axes, by_label)
    elif len(labels) > 1:
        for (label, series), colour in zip(by_label.items(), label_colours(len(labels)), strict=True):
            _draw_lines(axes, series, label, colour, with_folds=len(folds) == 1)
    mean_title = "mean of labels" if len(labels) > 1 else labels[0]
    _draw_lines(axes, [_series(lines, "mean_patch_dice") for lines in folds.values()], mean_title, INK)
    best = [line for lines in folds.values() for line in lines if line["epoch"] == lines[-1].get("best_epoch")]
    axes.plot(
        [line["epoch"] for line in best], [line["mean_patch_dice"] for line in best],
        "D", color=OKABE_ITO[1], markeredgecolor=INK, markersize=5.5, linestyle="none", zorder=3,
        label="best weights",
    )  # fmt: skip
    axes.set_ylabel("Dice of validation patches")
    axes.set_ylim(-0.02, 1.02)


def _draw_range(axes: Axes, by_label: Mapping[str, Sequence[tuple[Numbers, Numbers]]]) -> None:
    """The range and the middle half of many labels, and the line of the one that ended worst."""
    means = {label: mean_over_folds(series) for label, series in by_label.items()}
    known = {label: pair for label, pair in means.items() if np.isfinite(pair[1]).all()} or means
    epochs = next(iter(known.values()))[0]
    values = np.stack([values for _, values in known.values()])
    quartiles = np.nanpercentile(values, (0, 25, 75, 100), axis=0)
    point: dict[str, Any] = {"linewidth": 4.0} if len(epochs) == 1 else {"linewidth": 0.0}
    axes.fill_between(epochs, quartiles[0], quartiles[3], color=OKABE_ITO[4], alpha=0.25, label="all labels", **point)
    axes.fill_between(epochs, quartiles[1], quartiles[2], color=OKABE_ITO[0], alpha=0.35, label="half of them", **point)
    # Of those that have a Dice in every epoch, as far as there are any.
    worst = min(known, key=lambda label: known[label][1][-1])
    axes.plot(*known[worst], color=OKABE_ITO[5], linewidth=1.0, label=wrapped(f"worst: {worst}", LEGEND_CHARACTERS))


def _mark_single_best(axes: Axes, folds: Mapping[str, Progress]) -> None:
    """A vertical line at the best epoch of a single fold."""
    if len(folds) == 1 and (best := next(iter(folds.values()))[-1].get("best_epoch")) is not None:
        axes.axvline(best, color=FAINT, linewidth=0.8, linestyle=(0, (4, 3)), zorder=1)


def _caption(folds: Mapping[str, Progress]) -> str:
    """What thin and thick lines are."""
    longest = max(len(lines) for lines in folds.values())
    smoothed = f"moving means over {window(longest)} epochs" if longest > SMOOTHED_EPOCHS else ""
    if len(folds) == 1:
        return f"Thin lines: each epoch; thick: {smoothed}." if smoothed else ""
    means = f"All are {smoothed}." if smoothed else ""
    return f"Thin lines: the {len(folds)} folds; thick: the mean over them, as far as all have come. {means}".strip()
