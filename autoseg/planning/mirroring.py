"""Axes that must not be mirrored or turned round: labels named after opposite directions would swap their meaning.

nnU-Net mirrors every axis, and turns 2D patches by up to half a turn. A flipped left kidney is a right
kidney, and a flipped anterior part of the hippocampus lies where every posterior part does: the label
then contradicts the picture (docs/decisions/0002-mirroring.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from autoseg.core.plan import Configuration, Decision

# Canonical axis, its name, and what turns the name of one side into that of the other.
_DIRECTIONS: tuple[tuple[int, str, tuple[tuple[str, str], ...]], ...] = (
    (0, "left-right", (("left", "right"), (r"(?<![a-z])l(?=h?(?![a-z]))", "r"))),
    (1, "back-front", (("anterior", "posterior"), ("ventral", "dorsal"))),
    (2, "down-up", (("superior", "inferior"), ("upper", "lower"), ("cranial", "caudal"))),
)
LARGEST_TURN_DEGREES = 30.0  # nnU-Net's range in 3D: far from a quarter turn


def opposite_labels(labels: Iterable[str]) -> dict[int, tuple[str, str]]:
    """Canonical axis -> two of the names ``labels`` that differ only in the direction along it."""
    names = {name.casefold(): name for name in labels}
    found: dict[int, tuple[str, str]] = {}
    for axis, _, sides in _DIRECTIONS:
        for lower, name in names.items():
            for side, opposite in sides:
                other = re.sub(side, opposite, lower)
                if other != lower and other in names:
                    found.setdefault(axis, (name, names[other]))
    return found


def without_opposites(
    configurations: Mapping[str, Configuration], labels: Iterable[str], axis_order: tuple[int, int, int]
) -> tuple[dict[str, Configuration], list[Decision]]:
    """The configurations without the mirror axes and large turns that would swap labels, and why."""
    pairs = opposite_labels(labels)
    kept = {
        name: _without_axes(configuration, set(pairs), axis_order) for name, configuration in configurations.items()
    }
    titles = {axis: title for axis, title, _ in _DIRECTIONS}
    decisions = [
        Decision(
            what="mirroring",
            choice=f"not {titles[axis]}",
            reason=f"{one} and {other} lie opposite each other: a flip or half a turn would swap their meaning",
        )
        for axis, (one, other) in pairs.items()
    ]
    return kept, decisions


def _without_axes(configuration: Configuration, axes: set[int], axis_order: tuple[int, int, int]) -> Configuration:
    in_network = axis_order[3 - configuration.network.dimensions :]
    kept = tuple(axis for axis in configuration.augmentation.mirror_axes if in_network[axis] not in axes)
    update: dict[str, object] = {"mirror_axes": kept}
    if axes & set(in_network):
        update["rotation_degrees"] = min(configuration.augmentation.rotation_degrees, LARGEST_TURN_DEGREES)
    changed = configuration.augmentation.model_copy(update=update)
    return configuration.model_copy(update={"augmentation": changed})
