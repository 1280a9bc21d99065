"""Box plots of one score: a box for each method, the points over it, and marks of significance."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from autoseg.io.files import atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito (2008): told apart with any colour vision; black gives way to grey, on which points can be seen.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
HATCHES = ("", "////", "xxxx", "....")  # for more methods than colours
ENDINGS = (".svg", ".png")
PNG_DOTS_PER_INCH = 150
FONT_POINTS = 10
SMALL_POINTS = 9
WIDTH_INCHES = 10.0
PANEL_INCHES = 2.6
SINGLE_INCHES = 3.6
NARROWEST_INCHES = 4.5
WIDEST_BOX_INCHES = 1.1
MARGIN_INCHES = 0.9  # of the width, for the scale
BOXES_PER_PANEL = 42  # of more, three stars would be wider than their box
GAP_BOXES = 1.2
BOX_WIDTH = 0.76
HEADROOM = 0.12
CHARACTER_EM = 0.62  # a generous width of a character, in units of the font size


@dataclass(frozen=True)
class BoxGroup:
    """What stands side by side under one title: the scores of each method, and the marks over some of them."""

    title: str
    values: Mapping[str, Sequence[float]]
    marks: Mapping[str, str]


def write_box_plots(
    groups: Sequence[BoxGroup], methods: Sequence[str], path: Path, value_title: str, caption: str
) -> list[Path]:
    """Draw the groups, a box for each of ``methods`` in each, as ``path`` with each of ``ENDINGS``; returns the files.

    A box goes from the first to the third quartile with a line at the median and a diamond at the mean; whiskers
    reach to the furthest score within 1.5 times the height of the box; every score is a point. Many groups are spread
    over panels of one scale. A single group has its methods on the axis instead of a legend.
    """
    import matplotlib as mpl

    # Without salt and date the same scores give another SVG every time.
    with mpl.rc_context({"font.size": FONT_POINTS, "svg.hashsalt": "autoseg", "hatch.linewidth": 0.6}):
        figure = draw(groups, methods, value_title, caption)
        written = []
        for ending in ENDINGS:
            target = path.with_name(path.name + ending)
            with atomic(target) as temporary:
                metadata = {"Date": None} if ending == ".svg" else None
                figure.savefig(temporary, dpi=PNG_DOTS_PER_INCH, metadata=metadata)
            written.append(target)
    return written


def draw(groups: Sequence[BoxGroup], methods: Sequence[str], value_title: str, caption: str) -> Figure:
    """The figure of ``write_box_plots``."""
    from matplotlib.figure import Figure

    single = len(groups) == 1
    panels = [groups] if single else split_into_panels(groups, len(methods))
    # The horizontal scale: a unit for each box, and the gap after a group.
    stride = len(methods) + (0.0 if single else GAP_BOXES)
    boxes_inches = min(WIDTH_INCHES - MARGIN_INCHES, max(NARROWEST_INCHES, WIDEST_BOX_INCHES * stride * len(panels[0])))
    height = SINGLE_INCHES if single else PANEL_INCHES * len(panels) + 0.8
    figure = Figure(figsize=(MARGIN_INCHES + boxes_inches, height), layout="constrained")
    axes: list[Axes] = list(figure.subplots(len(panels), 1, sharey=True, squeeze=False)[:, 0])
    box_points = 72 * boxes_inches / (stride * len(panels[0]))
    for axis, panel in zip(axes, panels, strict=True):
        _draw_boxes(axis, panel, methods, stride, box_points)
        start = -0.5 - (stride - len(methods)) / 2
        axis.set_xlim(start, start + len(panels[0]) * stride)
        axis.set_ylabel(value_title)
        if single:
            axis.set_xticks(range(len(methods)), [wrapped(name, _characters(box_points)) for name in methods])
        else:
            centres = [place * stride + (len(methods) - 1) / 2 for place in range(len(panel))]
            axis.set_xticks(centres, [wrapped(group.title, _characters(stride * box_points)) for group in panel])
    if not single:
        _add_legend(figure, methods)
    _set_scale(axes[0], groups)
    characters = _characters(72 * (figure.get_figwidth() - 0.4), SMALL_POINTS)
    lines = textwrap.fill(caption, characters, break_on_hyphens=False)
    figure.supxlabel(lines, x=0.5, fontsize=SMALL_POINTS, color="0.25")
    return figure


def split_into_panels(groups: Sequence[BoxGroup], num_methods: int) -> list[Sequence[BoxGroup]]:
    """Groups for panels of about the same number: few enough that boxes and titles have room."""
    longest_word = max(len(word) for group in groups for word in _words(group.title))
    title_inches = (longest_word + 1) * FONT_POINTS * CHARACTER_EM / 72
    most = max(1, min(BOXES_PER_PANEL // num_methods, int((WIDTH_INCHES - MARGIN_INCHES) / title_inches)))
    size = ceil(len(groups) / ceil(len(groups) / most))
    return [groups[start : start + size] for start in range(0, len(groups), size)]


def wrapped(title: str, characters: int) -> str:
    """``title`` in lines of at most so many characters, broken at spaces and after underscores and hyphens."""
    lines = [""]
    for word in _words(title):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > characters:
            lines.append("")
        lines[-1] += word
    return "\n".join(line.rstrip() for line in lines)


def _words(title: str) -> list[str]:
    """The parts of a title between which it may be broken, each with what ends it."""
    parts = [""]
    for character in title:
        parts[-1] += character
        if character in " _-":
            parts.append("")
    return [part for part in parts if part]


def _characters(points: float, font_points: float = FONT_POINTS) -> int:
    """How many characters surely fit into a line of this length."""
    return max(1, int(points / (font_points * CHARACTER_EM)))


def _draw_boxes(
    axis: Axes, groups: Sequence[BoxGroup], methods: Sequence[str], stride: float, box_points: float
) -> None:
    """The boxes, points and marks of one panel; a box takes ``box_points`` of the width."""
    random = np.random.default_rng(0)
    mark_points = min(FONT_POINTS + 1, 0.6 * box_points)  # so that three stars are as wide as a box
    for number, method in enumerate(methods):
        there = [(place, group) for place, group in enumerate(groups) if len(group.values.get(method, ()))]
        if not there:
            continue
        positions = [place * stride + number for place, _ in there]
        values = [np.asarray(group.values[method], np.float64) for _, group in there]
        axis.boxplot(values, positions=positions, **_box_style(number, box_points))
        across = np.repeat(positions, [len(scores) for scores in values])
        across += random.uniform(-0.3, 0.3, len(across)) * BOX_WIDTH
        size = min(8.0, 0.5 * box_points) if len(across) <= 60 * len(there) else 3.0
        axis.scatter(across, np.concatenate(values), s=size, color="black", alpha=0.4, linewidths=0, zorder=2.5)
        for position, scores, (_, group) in zip(positions, values, there, strict=True):
            if mark := group.marks.get(method):
                top = (position, float(scores.max()))
                axis.annotate(mark, top, (0, 1), textcoords="offset points", ha="center", fontsize=mark_points)
    axis.grid(axis="y", color="0.88", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(axis="x", length=0)


def _box_style(number: int, box_points: float) -> dict[str, Any]:
    """How matplotlib draws the boxes of a method."""
    colour, hatch = _look(number)
    thin = {"color": "0.2", "linewidth": 0.8}
    diamond = {"marker": "D", "markersize": min(5.0, 0.25 * box_points), "markeredgewidth": 0.8}
    return {
        "widths": BOX_WIDTH,
        "patch_artist": True,
        "showfliers": False,
        "showmeans": True,
        "manage_ticks": False,
        "boxprops": {"facecolor": colour, "edgecolor": "0.2", "linewidth": 0.8, "alpha": 0.75, "hatch": hatch},
        "medianprops": {"color": "black", "linewidth": 1.6},
        "whiskerprops": thin,
        "capprops": thin,
        "meanprops": {**diamond, "markerfacecolor": "white", "markeredgecolor": "black"},
    }


def _look(number: int) -> tuple[str, str]:
    """The colour and hatching of a method."""
    return PALETTE[number % len(PALETTE)], HATCHES[number // len(PALETTE) % len(HATCHES)]


def _add_legend(figure: Figure, methods: Sequence[str]) -> None:
    from matplotlib.patches import Patch

    looks = [_look(number) for number in range(len(methods))]
    patches = [
        Patch(facecolor=colour, edgecolor="0.2", alpha=0.75, hatch=hatch, label=name)
        for name, (colour, hatch) in zip(methods, looks, strict=True)
    ]
    columns = max(1, _characters(72 * (figure.get_figwidth() - 0.5)) // (max(map(len, methods)) + 6))
    figure.legend(handles=patches, loc="outside upper center", ncols=min(len(methods), columns), frameon=False)


def _set_scale(axis: Axes, groups: Sequence[BoxGroup]) -> None:
    """From the lowest to the highest score, with room for the marks."""
    values = [value for group in groups for scores in group.values.values() for value in scores]
    if values:
        low, high = min(values), max(values)
        room = (high - low) or abs(high) or 1.0
        axis.set_ylim(low - 0.04 * room, high + HEADROOM * room)
