"""What the images of a dataset look like, domain by domain, and where another image differs from all of them.

Axes are canonical (X, Y, Z = right, anterior, superior). How the ranges are made, and how wide they are:
``planning.input_ranges``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import permutations

from autoseg.core.document import Frozen

INTENSITY_QUANTILES = (0.05, 0.5, 0.95)
_QUANTILE_NAMES = ("5th percentile of the intensity", "median intensity", "95th percentile of the intensity")
_MOST_TELLING = (1, 2, 0)  # of the quantiles of a channel: one of them is enough for a sentence
_AXES = ("left-right", "back-front", "down-up")
_GEOMETRY = tuple(f"{axis} {what} (mm)" for what in ("spacing", "field of view") for axis in _AXES)
_SCALED = "each image is scaled by itself, so another scale alone does no harm"
_DOMAINS_SHOWN = 3
_MOST_REORDERED = 5  # channels; of so many there are 120 orders


class Span(Frozen):
    """One quantity of a domain: what was seen, and what is taken for more of the same."""

    smallest: float
    largest: float
    low: float
    high: float


class DomainRanges(Frozen):
    """The ranges of one domain; ``intensities`` has a span for each of ``INTENSITY_QUANTILES``, channel by channel."""

    num_cases: int
    orientations: tuple[str, ...]
    spacing_mm: tuple[Span, Span, Span]
    field_of_view_mm: tuple[Span, Span, Span]
    intensities: tuple[tuple[Span, ...], ...]


@dataclass(frozen=True, slots=True)
class CaseProfile:
    """What is compared of one image; ``intensities`` as in ``DomainRanges``, of the nonzero voxels."""

    orientation: str
    spacing_mm: tuple[float, float, float]
    field_of_view_mm: tuple[float, float, float]
    intensities: tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Finding:
    """A quantity in which a case is unlike every domain; ``harmless`` says why that need not matter, or is empty."""

    quantity: str
    value: str
    trained: str
    harmless: str = ""

    def __str__(self) -> str:
        """Such as ``median intensity 2.2e+05, trained on 337 to 800 (site-a), 49 to 76 (site-b)``."""
        return f"{self.quantity} {self.value}, trained on {self.trained}{self.harmless and f' ({self.harmless})'}"


def numbers(profile: CaseProfile) -> tuple[float, ...]:
    """All numbers of a profile; those of ``spans`` are in the same order."""
    intensities = (value for channel in profile.intensities for value in channel)
    return (*profile.spacing_mm, *profile.field_of_view_mm, *intensities)


def spans(ranges: DomainRanges) -> tuple[Span, ...]:
    """All spans of a domain, in the order of ``numbers``."""
    intensities = (span for channel in ranges.intensities for span in channel)
    return (*ranges.spacing_mm, *ranges.field_of_view_mm, *intensities)


def outside(
    profile: CaseProfile,
    domains: Mapping[str, DomainRanges],
    channels: Sequence[str],
    scaled_alone: Collection[str] = (),
    turned: bool = True,
) -> list[Finding]:
    """The quantities that lie outside the range of every domain; of each channel the most telling one.

    ``scaled_alone`` are the channels whose normalisation uses the case alone; ``turned`` says that images are turned
    to one orientation before the network sees them. Channels that would be inside in another order are named so.
    No domains: nothing to compare with, nothing found.
    """
    if not domains:
        return []
    found = []
    if not any(profile.orientation in ranges.orientations for ranges in domains.values()):
        known = _listed({domain: ", ".join(ranges.orientations) for domain, ranges in domains.items()})
        why = "images are turned to one orientation" if turned else ""
        found.append(Finding("orientation", profile.orientation, known, why))
    per_domain = {domain: spans(ranges) for domain, ranges in domains.items()}

    def compared(place: int, value: float, name: str, harmless: str = "") -> Iterator[Finding]:
        own = {domain: all_of_it[place] for domain, all_of_it in per_domain.items()}
        if not any(span.low <= value <= span.high for span in own.values()):
            nearest = sorted(own, key=lambda domain: max(own[domain].low - value, value - own[domain].high))
            seen = _listed({domain: _span_text(own[domain]) for domain in nearest})
            yield Finding(name, f"{value:.3g}", seen, harmless)

    values = numbers(profile)
    for place, name in enumerate(_GEOMETRY):
        found += compared(place, values[place], name)
    if reordered := _reordered(profile, domains, channels):
        return [*found, reordered]  # of which the rest is a consequence
    for number, channel in enumerate(channels):
        of_channel = f" of {channel}" if len(channels) > 1 else ""
        for which in _MOST_TELLING:
            place = len(_GEOMETRY) + number * len(INTENSITY_QUANTILES) + which
            why = _SCALED if channel in scaled_alone else ""
            if unlike := list(compared(place, values[place], _QUANTILE_NAMES[which] + of_channel, why)):
                found += unlike
                break
    return found


def _reordered(profile: CaseProfile, domains: Mapping[str, DomainRanges], channels: Sequence[str]) -> Finding | None:
    """The order in which the channels are like those of a domain, where as given they are like those of none."""

    def fit(order: Sequence[int], ranges: DomainRanges) -> bool:
        given = [value for place in order for value in profile.intensities[place]]
        known = [span for channel in ranges.intensities for span in channel]
        return all(span.low <= value <= span.high for value, span in zip(given, known, strict=True))

    if not 1 < len(channels) <= _MOST_REORDERED:
        return None
    for order in permutations(range(len(channels))):  # as given first
        if any(fit(order, ranges) for ranges in domains.values()):
            names = [channels[order.index(place)] for place in range(len(channels))]
            if names == list(channels):
                return None
            return Finding("order of channels", f"{', '.join(names)} by their intensities", ", ".join(channels))
    return None


def _span_text(span: Span) -> str:
    low, high = f"{span.smallest:.3g}", f"{span.largest:.3g}"
    return low if low == high else f"{low} to {high}"


def _listed(texts: Mapping[str, str]) -> str:
    shown = [f"{text} ({domain})" for domain, text in texts.items()][:_DOMAINS_SHOWN]
    more = len(texts) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more else "")
