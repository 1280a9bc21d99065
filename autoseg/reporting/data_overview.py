"""What a dataset looks like: spacing, size, intensity and label volumes of all cases by domain, outliers marked."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from autoseg.core.fingerprint import CaseMeasurement, Fingerprint
from autoseg.evaluation.outliers import AXES, MEDIAN, RULE, Outlier, Values, find_outliers
from autoseg.planning.case_profile import profile_of_case
from autoseg.reporting.box_plots import wrapped
from autoseg.reporting.figure_files import style
from autoseg.reporting.palette import ERROR_COLOURS, OKABE_ITO

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALL_POINTS = 9
WIDTH_INCHES = 10.0
PANEL_INCHES = 2.5
CHANNELS_PER_ROW = 4
FIRST_ROW = 3  # panels that fit beside one another with three axes each
LABELS_PER_COLUMN = 40
LABEL_INCHES = 0.17
LONGEST_NAME, SHORT_NAME = 60, 28  # characters of a label, in one column and in several
SPREAD = 0.7  # of the place of a category, for its points
NAMED = 12
MOST_POINTS = 1500  # in a panel; of more, lines for range and quartiles keep a page small
FAR = 8  # largest over smallest intensity, from which their scale is logarithmic
WIDEST = 0.3  # of the place of a category, for the points of one domain
MARKERS = ("o", "s", "^", "v")  # for more domains than colours
CAPTION_CHARACTERS = 128
INK = "#202020"


@dataclass(frozen=True)
class _Points:
    """The values of one panel: a category of each domain has a list of (case, value)."""

    kind: str
    title: str
    categories: Sequence[str]
    values: Mapping[tuple[str, str], Sequence[tuple[str, float]]]  # (category, domain) -> case and value


def draw_images(fingerprint: Fingerprint) -> Figure:
    """Spacing and size in mm along each axis, and the median intensity of each channel; every case is a point.

    Colours are domains, lines their medians. Outliers (``evaluation.outliers``) are ringed and numbered, and named
    below by their numbers.
    """
    from matplotlib.figure import Figure

    cases = fingerprint.cases
    outliers = [outlier for outlier in find_outliers(fingerprint) if outlier.kind != "volume"]
    channels = fingerprint.channels if all(case.intensity_quantiles for case in cases) else ()
    panels = [_spacings(cases), _sizes(cases)]
    panels += [_intensities(cases, number, channel) for number, channel in enumerate(channels)]
    rows = [panels] if len(panels) <= FIRST_ROW else [panels[:2]]
    rest = panels[len(rows[0]) :]
    rows += [rest[start : start + CHANNELS_PER_ROW] for start in range(0, len(rest), CHANNELS_PER_ROW)]
    numbers, caption = _named(outliers)
    with style():
        height = PANEL_INCHES * len(rows) + 0.4 + 0.17 * len(caption)
        figure = Figure(figsize=(WIDTH_INCHES, height), layout="constrained")
        grid = figure.add_gridspec(len(rows), 12)  # 12 is divided by 1, 2, 3 and 4 panels
        for number, row in enumerate(rows):
            width = 12 // (min(CHANNELS_PER_ROW, len(rest)) if number else len(row))
            for place, panel in enumerate(row):
                axes = figure.add_subplot(grid[number, place * width : (place + 1) * width])
                _draw_panel(axes, panel, fingerprint, outliers, numbers)
        _finish(figure, fingerprint, caption)
    return figure


def draw_label_volumes(fingerprint: Fingerprint) -> Figure:
    """The volume of each label in ml (logarithmic) in each case where it is there, by domain; as ``draw_images``.

    Of more than ``MOST_POINTS`` points in a panel, range and quartiles are drawn instead.
    """
    from matplotlib.figure import Figure

    labels = list(fingerprint.labels.foreground)
    outliers = [outlier for outlier in find_outliers(fingerprint) if outlier.kind == "volume"]
    numbers, caption = _named(outliers)
    columns = ceil(len(labels) / LABELS_PER_COLUMN)
    size = ceil(len(labels) / columns)
    inches = LABEL_INCHES if columns > 1 else max(LABEL_INCHES, 0.28, 0.13 * len(fingerprint.domain_intensities))
    with style():
        height = inches * size + 1.3 + 0.17 * len(caption)
        figure = Figure(figsize=(WIDTH_INCHES, max(2.4, height)), layout="constrained")
        panels = list(figure.subplots(1, columns, sharex=True, squeeze=False)[0])
        for number, axes in enumerate(panels):
            own = labels[number * size : (number + 1) * size]
            volumes = _volumes(fingerprint.cases, own)
            _draw_panel(
                axes, volumes, fingerprint, outliers, numbers, False, SHORT_NAME if columns > 1 else LONGEST_NAME
            )
            _make_logarithmic(axes, "x", _ratio(fingerprint.cases))
            axes.set_ylim(size - 0.4, -0.6)
            if columns > 1:
                axes.tick_params(axis="y", labelsize=7)
        _finish(figure, fingerprint, caption)
    return figure


def _spacings(cases: Iterable[CaseMeasurement]) -> _Points:
    return _lengths("spacing", "spacing (mm)", ((case, case.spacing_mm) for case in cases))


def _sizes(cases: Iterable[CaseMeasurement]) -> _Points:
    return _lengths("size", "size (mm)", ((case, profile_of_case(case).field_of_view_mm) for case in cases))


def _lengths(kind: str, title: str, lengths: Iterable[tuple[CaseMeasurement, tuple[float, float, float]]]) -> _Points:
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for case, along in lengths:
        for axis, value in zip(AXES, along, strict=True):
            found.setdefault((axis, case.domain), []).append((case.name, value))
    return _Points(kind, title, AXES, found)


def _intensities(cases: Iterable[CaseMeasurement], number: int, channel: str) -> _Points:
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for case in cases:
        found.setdefault((channel, case.domain), []).append((case.name, case.intensity_quantiles[number][MEDIAN]))
    return _Points("intensity", "median intensity", (channel,), found)


def _volumes(cases: Iterable[CaseMeasurement], labels: Sequence[str]) -> _Points:
    found: dict[tuple[str, str], list[tuple[str, float]]] = {}
    for case in cases:
        for label in labels:
            if volume_mm3 := case.label_volumes_mm3.get(label, 0.0):
                found.setdefault((label, case.domain), []).append((case.name, volume_mm3 / 1000))
    return _Points("volume", "volume (ml)", labels, found)


def _draw_panel(
    axes: Axes, points: _Points, fingerprint: Fingerprint, outliers: Sequence[Outlier], numbers: Mapping[str, int],
    across: bool = True, longest_name: int = LONGEST_NAME,
) -> None:  # fmt: skip
    """Categories side by side (or, not ``across``, below one another), in each the domains, in each the cases."""
    random = np.random.default_rng(0)
    domains = sorted(fingerprint.domain_intensities)
    width = min(WIDEST, SPREAD / len(domains))
    few = sum(map(len, points.values.values())) <= MOST_POINTS
    unlike = {(outlier.case, outlier.which) for outlier in outliers if outlier.kind == points.kind}
    for number, domain in enumerate(domains):
        offset = (number + 0.5 - len(domains) / 2) * width
        samples: list[tuple[float, Values, Values]] = []  # the middle of the place, the places and the values
        for place, category in enumerate(points.categories):
            if not (own := points.values.get((category, domain), ())):
                continue
            places = place + offset + random.uniform(-0.38, 0.38, len(own)) * width
            samples.append((place + offset, places, np.array([value for _, value in own])))
            for (case, value), where in zip(own, places, strict=True):
                if (case, category) in unlike:
                    _mark(axes, _turned(where, value, across), numbers.get(case))
        if samples:
            _draw_domain(axes, samples, number, width, few, across)
    _label(axes, points, across, longest_name)


def _draw_domain(
    axes: Axes, samples: Sequence[tuple[float, Values, Values]], number: int, width: float, few: bool, across: bool
) -> None:
    """The points of one domain (thin and thick lines over range and quartiles where they are not few), and medians.

    One artist for all categories: with hundreds of them a figure would take a minute.
    """
    (colour, marker), middles = _look(number), [middle for middle, _, _ in samples]
    medians = [float(np.median(values)) for _, _, values in samples]
    if few:
        places, values = (np.concatenate([sample[which] for sample in samples]) for which in (1, 2))
        size = 12 if max(len(own) for _, own, _ in samples) <= 60 else 6
        axes.scatter(
            *_turned(places, values, across), s=size, color=colour, marker=marker, alpha=0.6, linewidths=0
        )  # fmt: skip
    else:
        for limits, thickness in (((0, 100), 0.8), ((25, 75), 2.4)):
            low, high = np.array([np.percentile(values, limits) for _, _, values in samples]).T
            (axes.vlines if across else axes.hlines)(middles, low, high, color=colour, linewidth=thickness)
    low, high = np.array(middles) - 0.45 * width, np.array(middles) + 0.45 * width
    (axes.hlines if across else axes.vlines)(medians, low, high, color=INK, linewidth=1.4, zorder=3)


def _look(number: int) -> tuple[str, str]:
    """Colour and marker of a domain."""
    return OKABE_ITO[number % len(OKABE_ITO)], MARKERS[number // len(OKABE_ITO) % len(MARKERS)]


def _turned(along: Any, value: Any, across: bool) -> tuple[Any, Any]:
    return (along, value) if across else (value, along)


def _mark(axes: Axes, point: tuple[Any, Any], number: int | None) -> None:
    """A ring around an outlier, with the number of its case if it is named."""
    axes.plot(*point, "o", markersize=7.5, markerfacecolor="none", color=ERROR_COLOURS[1], markeredgewidth=1.2)
    if number is not None:
        axes.annotate(
            str(number), point, (5, 2), textcoords="offset points", fontsize=SMALL_POINTS - 1, color=ERROR_COLOURS[1]
        )


def _label(axes: Axes, points: _Points, across: bool, most: int) -> None:
    """Titles of the axes and categories; a wide range of intensities becomes logarithmic."""
    names = [wrapped(name, 18) if across else _cut(name, most) for name in points.categories]
    if across:
        axes.set_ylabel(points.title)
        axes.set_xticks(range(len(names)), names)
        axes.set_xlim(-0.5, len(names) - 0.5)
        values = [value for own in points.values.values() for _, value in own]
        if points.kind != "intensity":
            axes.set_ylim(0, 1.12 * max(values))
        elif min(values) > 0 and max(values) > FAR * min(values):
            _make_logarithmic(axes, "y", max(values) / min(values))
    else:
        axes.set_xlabel(points.title)
        axes.set_yticks(range(len(names)), names)
    axes.grid(axis="y" if across else "x", color="0.88", linewidth=0.6)
    axes.tick_params(axis="x" if across else "y", length=0)
    axes.spines[["top", "right"]].set_visible(False)


def _cut(name: str, most: int) -> str:
    """A name in one line of at most so many characters."""
    return name if len(name) <= most else name[: most - 1] + "…"


def _make_logarithmic(axes: Axes, which: Literal["x", "y"], ratio: float) -> None:
    """A logarithmic scale with plain numbers, more of them where the largest over the smallest value is small."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    subdivisions = (1.0, 1.5, 2.0, 3.0, 5.0, 7.0) if ratio < 10 else (1.0, 2.0, 5.0) if ratio < 200 else (1.0,)
    (axes.set_xscale if which == "x" else axes.set_yscale)("log")
    axis = axes.xaxis if which == "x" else axes.yaxis
    axis.set_major_locator(LogLocator(subs=subdivisions))
    axis.set_minor_locator(NullLocator())
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _ratio(cases: Iterable[CaseMeasurement]) -> float:
    """The largest over the smallest volume of any label that is there."""
    volumes = [volume for case in cases for volume in case.label_volumes_mm3.values() if volume > 0]
    return max(volumes) / min(volumes) if volumes else 1.0


def _named(outliers: Sequence[Outlier]) -> tuple[dict[str, int], list[str]]:
    """Numbers of the most unlike cases, and the lines of a caption that names them."""
    cases = list(dict.fromkeys(outlier.case for outlier in outliers))
    numbers = {case: place for place, case in enumerate(cases[:NAMED], start=1)}
    sentences = "Points: cases, or, of many, range and quartiles as lines; dashes: medians of domains. "
    if cases:
        listed = ", ".join(f"{number}\N{NO-BREAK SPACE}{case}" for case, number in numbers.items())
        more = f" and {len(cases) - NAMED} more" if len(cases) > NAMED else ""
        sentences += f"Ringed: outliers, {listed}{more}. "
    return numbers, textwrap.wrap(sentences + RULE, CAPTION_CHARACTERS, break_on_hyphens=False)


def _finish(figure: Figure, fingerprint: Fingerprint, caption: Sequence[str]) -> None:
    """The legend of the domains and the caption."""
    from matplotlib.lines import Line2D

    domains = sorted(fingerprint.domain_intensities)
    counts = {domain: sum(case.domain == domain for case in fingerprint.cases) for domain in domains}
    handles = []
    for number, domain in enumerate(domains):
        colour, marker = _look(number)
        label = f"{domain} ({counts[domain]})"
        handles.append(Line2D([], [], color=colour, marker=marker, linestyle="none", label=label))
    columns = max(1, int(110 / (max(map(len, domains)) + 12)))
    figure.legend(handles=handles, loc="outside upper center", ncols=columns, frameon=False)
    figure.supxlabel("\n".join(caption), fontsize=SMALL_POINTS, color="0.25")
