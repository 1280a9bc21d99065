"""Several cases below one another for a paper: their segmentations, and their errors beside them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from autoseg.core.labels import Labels
from autoseg.evaluation.error_maps import ERRORS
from autoseg.reporting.figure_files import FONT_POINTS, style
from autoseg.reporting.overlays import Picture, Scan, centred, colours_of, draw_panels
from autoseg.reporting.palette import ERROR_COLOURS

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.patches import Patch

WIDTH_INCHES = 10.0
MARGIN_INCHES = 0.1
TITLE_INCHES = 0.3
HEADER_INCHES = 0.28
LEGEND_INCHES = 0.26
SIDE_PIXELS = 300
GAP_INCHES = 0.05
LABELS_NAMED = 8
LEGEND_CHARACTERS = 112
SMALL_POINTS = 9


def draw_montage(cases: Sequence[tuple[str, Scan]]) -> Figure:
    """A row for each case below its title: up to three slices with their segmentations, then the same with the errors.

    ``cases`` are titles, such as ``worst: sub-01, Dice 0.61``, with what to show (``overlays``), all with one kind of
    labels. Cases without a reference have no errors.
    """
    from matplotlib.figure import Figure

    rows = [(title, draw_panels(scan, SIDE_PIXELS)) for title, scan in cases]
    columns = max(len(panels[0]) for _, panels in rows)
    with_errors = any(len(panels) > 1 for _, panels in rows)
    patches = _patches(cases[0][1].labels, with_errors)
    num_rows, num_columns = _legend_size(patches)
    inner = WIDTH_INCHES - 2 * MARGIN_INCHES
    side = min(2.2, (inner - GAP_INCHES) / (columns * (2 if with_errors else 1)) - GAP_INCHES)
    block = columns * (side + GAP_INCHES)
    legend_inches = LEGEND_INCHES * num_rows + 0.1
    height = HEADER_INCHES + len(rows) * (TITLE_INCHES + side) + legend_inches
    left = (WIDTH_INCHES - block * (2 if with_errors else 1)) / 2
    with style():
        figure = Figure(figsize=(WIDTH_INCHES, height))
        for number, header in enumerate(_headers(with_errors)):
            place = (left + number * (block + GAP_INCHES)) / WIDTH_INCHES
            figure.text(place, 1 - 0.06 / height, header, va="top", fontsize=SMALL_POINTS, color="0.25")
        for row, (title, groups) in enumerate(rows):
            top = height - HEADER_INCHES - row * (TITLE_INCHES + side) - TITLE_INCHES
            figure.text(left / WIDTH_INCHES, (top + 0.05) / height, title, fontsize=FONT_POINTS)
            for number, panels in enumerate(groups):
                for column, panel in enumerate(panels):
                    x = left + number * (block + GAP_INCHES) + column * (side + GAP_INCHES)
                    box = (x / WIDTH_INCHES, (top - side) / height, side / WIDTH_INCHES, side / height)
                    axes = figure.add_axes(box)
                    axes.imshow(_square(panel), interpolation="antialiased")
                    axes.set_axis_off()
        figure.legend(handles=patches, loc="lower center", ncols=num_columns, frameon=False, fontsize=SMALL_POINTS)
    return figure


def _square(panel: Picture) -> Picture:
    side = max(SIDE_PIXELS, *panel.shape[:2])
    return centred(panel, side, side)


def _headers(with_errors: bool) -> tuple[str, ...]:
    if with_errors:
        return "outline: reference; fill: prediction", "errors; outline: reference"
    return ("prediction",)


def _patches(labels: Labels, with_errors: bool) -> list[Patch]:
    """The legend: the labels if they are few, and the kinds of errors."""
    from matplotlib.patches import Patch

    named = labels.written_names
    colours = {named[value]: colour for value, colour in colours_of(labels).items() if value in named}
    shown = colours if len(colours) <= LABELS_NAMED else {}
    if with_errors:
        shown = shown | {ERRORS[kind]: colour for kind, colour in ERROR_COLOURS.items()}
    return [Patch(facecolor=colour, label=name) for name, colour in shown.items()]


def _legend_size(patches: Sequence[Patch]) -> tuple[int, int]:
    """Rows and columns of the legend."""
    longest = max((len(str(patch.get_label())) for patch in patches), default=0)
    columns = max(1, min(len(patches), LEGEND_CHARACTERS // (longest + 6)))
    return int(np.ceil(len(patches) / columns)), columns
