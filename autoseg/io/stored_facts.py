"""How an image is stored, and what its reader passes over or makes good: what one module for each format tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple


class Handled(NamedTuple):
    """Something unusual in a file that is read all the same, and how."""

    what: str
    how: str


@dataclass(frozen=True)
class StoredFacts:
    """What a header says beyond the grid.

    ``data_type`` is that of the stored numbers, such as ``int16``; ``scaling`` their slope and intercept where these
    change anything; ``length_unit`` as the header names it, None where it does not. ``details`` are further entries.
    ``doubts`` are sentences about what is read, but may be wrong.
    """

    format: str
    data_type: str
    scaling: tuple[float, float] | None = None
    length_unit: str | None = None
    details: Mapping[str, str] = field(default_factory=dict)
    handled: tuple[Handled, ...] = ()
    doubts: tuple[str, ...] = ()
