"""How far an image may differ from those of a domain before it is taken for something else.

Each quantity is measured on a scale on which differences are alike: lengths by their logarithm, intensities by
``asinh(x / s)``, which is a logarithm of either sign far from zero and linear near it; ``s`` is a tenth of the
domain's usual contrast (95th less 5th percentile). The range of a domain holds what was seen and the interval in
which one more case of a normal distribution would lie,

    mean +- t sd sqrt(1 + 1/n),   t = the quantile of Student's distribution with n - 1 degrees of freedom,

at a risk of ``RISK`` for all quantities of a case together (Bonferroni). Two limits hold whatever the spread: values
up to ``LEAST_FACTOR`` beyond what was seen are inside (all spacings of a site are often equal), and few cases, whose
spread is not known, do not let in what is ``LARGEST_FACTOR`` from their mean.
"""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from sys import intern

import numpy as np
import numpy.typing as npt

from autoseg.core.fingerprint import Fingerprint
from autoseg.core.plan import Decision
from autoseg.core.trained_ranges import INTENSITY_QUANTILES, DomainRanges, Span, numbers, spans
from autoseg.planning.case_profile import profile_of_case

RISK = 0.01
LEAST_FACTOR = 1.1
LARGEST_FACTOR = 4.0
TENTHS = 10
FEWEST_CASES = 5
_LENGTHS = 6  # spacing and field of view
_CONTRAST_SHARE = 0.1

Values = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Profiles:
    """Of some cases: ``values`` ``(cases, Q)`` are the ``numbers`` of each, ``orientations`` ``(cases,)`` are text."""

    values: Values
    orientations: npt.NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.values)

    def taken(self, cases: slice) -> Profiles:
        """Those of ``cases``: an index of the first axis."""
        return Profiles(self.values[cases], self.orientations[cases])


def profiles_by_domain(fingerprint: Fingerprint) -> dict[str, Profiles]:
    """The profiles of all cases, in one pass; none where the fingerprint is of a version that did not measure them."""
    found: dict[str, tuple[array[float], list[str]]] = defaultdict(lambda: (array("d"), []))
    for case in fingerprint.cases:
        if not case.intensity_quantiles:
            return {}
        values, orientations = found[case.domain]
        values.extend(numbers(profile_of_case(case)))
        orientations.append(intern(case.orientation))
    return {
        domain: Profiles(np.asarray(values).reshape(len(orientations), -1), np.array(orientations))
        for domain, (values, orientations) in sorted(found.items())
    }


def ranges_by_domain(profiles: Mapping[str, Profiles]) -> dict[str, DomainRanges]:
    """The ranges of each domain."""
    return {domain: ranges_of(own) for domain, own in profiles.items()}


def ranges_of(profiles: Profiles, cases: npt.NDArray[np.bool_] | slice = slice(None)) -> DomainRanges:
    """The ranges of one domain from its cases, at least one; from some of them where ``cases`` is their index.

    Three quantities at a time, as arrays of all of them take a megabyte each where there are many cases.
    """
    found: list[Span] = []
    size, quantities = len(INTENSITY_QUANTILES), profiles.values.shape[1]
    for start in range(0, quantities, size):
        values, lengths = profiles.values[cases, start : start + size], size if start < _LENGTHS else 0
        contrasts = contrast_scales(values, lengths)
        reach = limits(to_measure(values, contrasts, lengths), quantities)
        low, high = (from_measure(limit, contrasts, lengths) for limit in reach)
        found += (
            Span(smallest=float(a), largest=float(b), low=float(c), high=float(d))
            for a, b, c, d in zip(values.min(axis=0), values.max(axis=0), low, high, strict=True)
        )
    orientations = profiles.orientations[cases]
    return DomainRanges(
        num_cases=len(orientations),
        orientations=tuple(np.unique(orientations).tolist()),
        spacing_mm=(found[0], found[1], found[2]),
        field_of_view_mm=(found[3], found[4], found[5]),
        intensities=tuple(tuple(found[start : start + size]) for start in range(_LENGTHS, len(found), size)),
    )


def limits(measures: Values, quantities: int) -> tuple[Values, Values]:
    """The lower and upper limit ``(some,)`` of ``measures`` ``(cases, some)`` of all ``quantities``."""
    from scipy.special import stdtrit

    number = len(measures)
    mean = measures.mean(axis=0)
    largest = np.log(LARGEST_FACTOR)
    reach = np.full(measures.shape[1], largest)
    if number > 1:
        quantile = stdtrit(number - 1, 1 - RISK / (2 * quantities))
        reach = np.minimum(quantile * measures.std(axis=0, ddof=1) * np.sqrt(1 + 1 / number), largest)
    least = np.log(LEAST_FACTOR)
    return (
        np.minimum(measures.min(axis=0) - least, mean - reach),
        np.maximum(measures.max(axis=0) + least, mean + reach),
    )


def contrast_scales(values: Values, lengths: int = _LENGTHS) -> Values:
    """Of each channel of ``values`` ``(cases, Q)`` the intensity up to which differences count linearly.

    The first of the ``values`` are ``lengths``.
    """
    intensities = values[:, lengths:].reshape(len(values), -1, len(INTENSITY_QUANTILES))
    contrast = np.median(intensities[..., -1] - intensities[..., 0], axis=0)
    typical = np.median(np.abs(intensities).max(axis=2), axis=0)
    scales: Values = _CONTRAST_SHARE * np.where(contrast > 0, contrast, typical)
    return np.where(scales > 0, scales, 1.0)


def to_measure(values: Values, contrasts: Values, lengths: int = _LENGTHS) -> Values:
    """``values`` ``(..., Q)`` on the scale on which they are compared."""
    intensities = np.arcsinh(values[..., lengths:] / np.repeat(contrasts, len(INTENSITY_QUANTILES)))
    return np.concatenate((np.log(values[..., :lengths]), intensities), axis=-1)


def from_measure(measures: Values, contrasts: Values, lengths: int = _LENGTHS) -> Values:
    """The inverse of ``to_measure``."""
    intensities = np.sinh(measures[..., lengths:]) * np.repeat(contrasts, len(INTENSITY_QUANTILES))
    return np.concatenate((np.exp(measures[..., :lengths]), intensities), axis=-1)


def explain_ranges(profiles: Mapping[str, Profiles]) -> Decision | None:
    """What ``predict`` will compare, with the share of the cases themselves that would be outside if left out."""
    if not profiles:
        return None
    tried, flagged = left_out(profiles)
    share = f"{flagged} of {tried} cases ({flagged / tried:.1%}) are outside when left out" if tried else ""
    return Decision(
        what="unlike inputs",
        choice="named by predict",
        reason=f"where spacing, orientation, field of view or intensity is unlike each of {len(profiles)} domain(s); "
        + (share or f"fewer than {FEWEST_CASES} cases a domain, so how often that is wrong is not known"),
    )


def left_out(profiles: Mapping[str, Profiles]) -> tuple[int, int]:
    """How many cases were left out, a tenth of each domain at a time, and how many of them were then outside.

    Domains of fewer than ``FEWEST_CASES`` stay as they are: there would be nothing to estimate with.
    """
    judged = [own for own in profiles.values() if len(own) >= FEWEST_CASES]
    others = [ranges_of(own) for own in profiles.values() if len(own) < FEWEST_CASES]
    flagged = 0
    for tenth in range(TENTHS if judged else 0):
        known = [*others, *(ranges_of(own, np.arange(len(own)) % TENTHS != tenth) for own in judged)]
        flagged += sum(int(are_outside(own.taken(slice(tenth, None, TENTHS)), known).sum()) for own in judged)
    return sum(map(len, judged)), flagged


def are_outside(profiles: Profiles, domains: Sequence[DomainRanges]) -> npt.NDArray[np.bool_]:
    """``(cases,)``: whether any quantity lies outside the range of every domain (``core.trained_ranges.outside``)."""
    values = profiles.values[:, None]
    low = np.array([[span.low for span in spans(domain)] for domain in domains])
    high = np.array([[span.high for span in spans(domain)] for domain in domains])
    unlike = np.any(np.all((values < low) | (values > high), axis=1), axis=1)
    orientations = [one for domain in domains for one in domain.orientations]
    found: npt.NDArray[np.bool_] = unlike | ~np.isin(profiles.orientations, orientations)
    return found
