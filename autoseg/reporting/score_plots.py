"""Scores of one evaluation by label and by domain: boxes, every case as a point, and the interval of the mean."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from autoseg.evaluation.case_choice import CaseRow, score_of
from autoseg.evaluation.evaluate import defined, mean_of_defined
from autoseg.evaluation.scores import SCORES
from autoseg.evaluation.statistics import bootstrap_mean
from autoseg.reporting.box_plots import wrapped
from autoseg.reporting.figure_files import style
from autoseg.reporting.palette import HATCHES, OKABE_ITO, label_colours

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LABELS_SHOWN = 20
DOMAIN_LABELS = 5  # labels of which there is a box for each domain, beside the mean over labels
COLOURED_LABELS = 7
TITLE_CHARACTERS = 26
SMALL_POINTS = 9
WIDTH_INCHES = 10.0
ROW_INCHES = 0.34
BOX_HEIGHT = 0.5
INTERVAL_PLACE = 0.38  # below the box, in rows
FAR = 12  # times the median: so far a score may lie before its axis is logarithmic
MEAN = "mean of labels"
CAPTION = (
    "Box: quartiles, line: median, whiskers up to 1.5 times the length of the box, points: cases. Diamond and bar "
    "below: mean and its 95 % bootstrap interval."
)


@dataclass(frozen=True)
class ScoreRow:
    """One box for each score: its title, the values by score, how it looks, and whether a gap precedes it."""

    title: str
    values: Mapping[str, Sequence[float]]
    groups: Mapping[str, Sequence[int]]  # numbers the subject of each value
    colour: str
    hatch: str = ""
    begins_group: bool = False


def draw_by_label(
    cases: Sequence[CaseRow], scores: Sequence[str] = ("dice", "hd95_mm"), subjects: Mapping[str, str] | None = None
) -> Figure:
    """A row of boxes for each label and one for the mean over labels, a panel for each of ``scores``.

    ``cases`` are those of ``evaluation.evaluate.summarize``. ``subjects`` (by case) are drawn together in the
    bootstrap; without it each case is. Of more than ``LABELS_SHOWN`` labels those with the worst mean are shown.
    """
    labels = list(dict.fromkeys(label for case in cases for label in case["labels"]))
    shown, note = _worst_labels(cases, labels, scores[0])
    colours = dict(zip(labels, label_colours(len(labels)), strict=True))
    rows = [_row(cases, scores, MEAN, None, "#999999", subjects)] if len(labels) > 1 else []
    for label in shown:
        colour = colours[label] if len(labels) <= COLOURED_LABELS else OKABE_ITO[4]
        rows.append(_row(cases, scores, label, label, colour, subjects))
    return draw_rows(rows, scores, f"{note}{CAPTION}", {})


def draw_by_domain(
    cases: Sequence[CaseRow], scores: Sequence[str] = ("dice", "hd95_mm"), subjects: Mapping[str, str] | None = None
) -> Figure:
    """As ``draw_by_label``, with a box for each domain: of the mean over labels, and of each of a few labels."""
    labels = list(dict.fromkeys(label for case in cases for label in case["labels"]))
    domains = sorted({case["domain"] for case in cases})
    named: list[tuple[str, str | None]] = [(MEAN, None)] if len(labels) != 1 else []
    if len(labels) <= DOMAIN_LABELS:
        named += [(label, label) for label in labels]
    rows = []
    for title, label in named:
        for number, domain in enumerate(domains):
            own = [case for case in cases if case["domain"] == domain]
            colour, hatch = OKABE_ITO[number % len(OKABE_ITO)], HATCHES[number // len(OKABE_ITO) % len(HATCHES)]
            rows.append(_row(own, scores, "" if number else title, label, colour, subjects, hatch, number == 0))
    looks = {domain: (row.colour, row.hatch) for domain, row in zip(domains, rows, strict=False)}
    return draw_rows(rows, scores, CAPTION, looks)


def draw_rows(
    rows: Sequence[ScoreRow], scores: Sequence[str], caption: str, legend: Mapping[str, tuple[str, str]]
) -> Figure:
    """A panel for each score with the same rows, from top to bottom; ``legend`` has colour and hatch by name."""
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

    places = np.cumsum([1.0 + (0.5 if row.begins_group and number else 0) for number, row in enumerate(rows)])
    titles = [wrapped(row.title, TITLE_CHARACTERS) for row in rows]
    with style():
        height = 1.3 + ROW_INCHES * float(places[-1]) + 0.3 * bool(legend)
        figure = Figure(figsize=(WIDTH_INCHES, max(2.2, height)), layout="constrained")
        panels = list(figure.subplots(1, len(scores), sharey=True, squeeze=False)[0])
        for axes, score in zip(panels, scores, strict=True):
            _draw_panel(axes, rows, places, score)
        panels[0].set_ylim(float(places[-1]) + 0.75, 0.25)
        named = [(place, title) for place, title in zip(places, titles, strict=True) if title]
        panels[0].set_yticks([place for place, _ in named], [title for _, title in named])
        if legend:
            patches = [
                Patch(facecolor=colour, edgecolor="0.2", alpha=0.75, hatch=hatch, label=name)
                for name, (colour, hatch) in legend.items()
            ]
            columns = max(1, int(110 / (max(map(len, legend)) + 6)))
            figure.legend(handles=patches, loc="outside upper center", ncols=columns, frameon=False)
        figure.supxlabel(textwrap.fill(caption, 128), fontsize=SMALL_POINTS, color="0.25")
    return figure


def _row(
    cases: Sequence[CaseRow], scores: Sequence[str], title: str, label: str | None, colour: str,
    subjects: Mapping[str, str] | None, hatch: str = "", begins_group: bool = False,
) -> ScoreRow:  # fmt: skip
    """The row of a label, or of each case's mean over labels (None)."""
    numbers = {subject: place for place, subject in enumerate(dict.fromkeys((subjects or {}).values()))}
    values: dict[str, list[float]] = {}
    groups: dict[str, list[int]] = {}
    for score in scores:
        found = []
        for number, case in enumerate(cases):
            value = score_of(case, score, label)
            if value is not None:
                found.append((value, numbers[subjects[case["case"]]] if subjects else number))
        values[score], groups[score] = [value for value, _ in found], [group for _, group in found]
    return ScoreRow(title, values, groups, colour, hatch, begins_group)


def _worst_labels(cases: Sequence[CaseRow], labels: Sequence[str], score: str) -> tuple[list[str], str]:
    """The labels to show, and a sentence where they are not all."""
    if len(labels) <= LABELS_SHOWN:
        return list(labels), ""
    means = {label: mean_of_defined(score_of(case, score, label) for case in cases) for label in labels}
    known = {label: mean for label, mean in means.items() if mean is not None}
    best = SCORES[score].best
    badness = {"highest": lambda value: -value, "lowest": float, "zero": abs}[best]
    worst = sorted(known, key=lambda label: -badness(known[label]))[:LABELS_SHOWN]
    return worst, f"The {len(worst)} of {len(labels)} labels with the worst mean {SCORES[score].title}, worst first. "


def _draw_panel(axes: Axes, rows: Sequence[ScoreRow], places: npt.NDArray[np.float64], score: str) -> None:
    """All boxes of one score, with the number of cases at the right."""
    random = np.random.default_rng(0)
    present = [(row, float(place)) for row, place in zip(rows, places, strict=True) if row.values[score]]
    for row, place in present:
        values = np.asarray(row.values[score], np.float64)
        _draw_box(axes, values, place, row)
        across = place + random.uniform(-0.35, 0.35, len(values)) * BOX_HEIGHT
        axes.scatter(values, across, s=8 if len(values) < 60 else 4, color="black", alpha=0.4, linewidths=0, zorder=2.5)
        mean, below = float(values.mean()), place + INTERVAL_PLACE
        if interval := bootstrap_mean(values, row.groups[score]):
            axes.plot([interval.low, interval.high], [below, below], color="black", linewidth=1.6)
        axes.plot([mean], [below], "D", color="black", markersize=3.5, zorder=3)
    for row, place in zip(rows, places, strict=True):
        axes.annotate(
            f"n = {len(row.values[score])}", (1.0, place), xycoords=("axes fraction", "data"), xytext=(3, 0),
            textcoords="offset points", va="center", fontsize=SMALL_POINTS - 1, color="0.25",
        )  # fmt: skip
    _set_scale(axes, [value for row, _ in present for value in row.values[score]], score)
    axes.set_xlabel(SCORES[score].title)
    axes.grid(axis="x", color="0.88", linewidth=0.6)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)


def _draw_box(axes: Axes, values: npt.NDArray[np.float64], place: float, row: ScoreRow) -> None:
    thin = {"color": "0.2", "linewidth": 0.8}
    axes.boxplot(
        [values],
        positions=[place],
        orientation="horizontal",
        widths=BOX_HEIGHT,
        patch_artist=True,
        showfliers=False,
        manage_ticks=False,
        boxprops={"facecolor": row.colour, "edgecolor": "0.2", "linewidth": 0.8, "alpha": 0.75, "hatch": row.hatch},
        medianprops={"color": "black", "linewidth": 1.6},
        whiskerprops=thin,
        capprops=thin,
    )


def _set_scale(axes: Axes, values: Sequence[float], score: str) -> None:
    """Scores of which 1 is the best end there; distances begin at 0, and are logarithmic above their median if far."""
    known = defined(values)
    if not known:
        axes.set_xticks([])
        axes.text(0.5, 0.5, "no case has one", transform=axes.transAxes, ha="center", va="center", color="0.4")
        return
    axes.locator_params(axis="x", nbins=6)
    low, high, kind = min(known), max(known), SCORES[score].best
    room = 0.03 * ((high - low) or abs(high) or 1.0)
    if kind == "lowest":
        median = float(np.median(known))
        if median > 0 and high > FAR * median:
            axes.set_xscale("symlog", linthresh=median)
            axes.set_xlim(0, 1.2 * high)
        else:
            axes.set_xlim(0, high + room if high else 1.0)
    else:
        axes.set_xlim(low - room, high + room)
