"""Reading the label files of one image as one label map in the values of a dataset.

Where structures overlap the smaller one wins (the one with fewer voxels in this case), so that grey
matter stays visible inside the cord. Of several raters, each voxel gets what more than half of them say,
else background.

Soft labels of one image are probabilities p1, p2, ...; the background has what they leave, b = max(0, 1 - sum). A
voxel gets the structure with the highest p where p >= t (p + b), with the threshold t; else background. That is
p >= t for a single structure, and for t = 0.5 the highest of b, p1, p2, .... Structures that do not exclude each other
(more than 1 % of what is above t sums to more than 1.05) become one mask each, p >= t, and overlap as masks do.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.interop.label_conventions import SOFT_THRESHOLD, LabelPart, LabelSource, structure_key
from autoseg.io.grids import grid_difference
from autoseg.io.images import read_geometry, read_image, read_labels

_PROBABILITY_TOLERANCE = 0.01  # interpolation overshoots
_COUNTED_VALUES = 65536  # above it, values are listed by sorting: a table of counts would not fit in memory


def read_reference(source: LabelSource, labels: Mapping[str, int]) -> npt.NDArray[np.int32]:
    """Read a label source as ``(X, Y, Z)`` int32 in the values of ``labels`` (name -> value), stored axes.

    Structures that ``labels`` does not name become background. BadInput: a name of ``labels`` that the
    source does not have, files on different grids, values without a name, and what read_labels refuses.
    """
    return merge_labels(source, labels)[0]


def merge_labels(source: LabelSource, labels: Mapping[str, int]) -> tuple[npt.NDArray[np.int32], bool]:
    """As read_reference, and whether the result equals the one stored file voxel for voxel."""
    wanted = {structure_key(name): value for name, value in labels.items() if value != 0}
    missing = set(wanted) - {structure_key(name) for name in source.structures}
    if missing or not source.parts:
        names = ", ".join(name for name in labels if structure_key(name) in missing)
        files = ", ".join(part.path.name for part in source.parts) or "no file"
        raise BadInput(f"{source.domain}: {files} does not give {names}; add the label or name it in a recipe.")
    _require_one_grid(source.parts)
    raters = sorted({part.rater for part in source.parts})
    if len(raters) > 1:
        return majority(
            _merge([part for part in source.parts if part.rater == one], wanted)[0] for one in raters
        ), False
    return _merge(source.parts, wanted)


def majority(label_maps: Iterable[npt.NDArray[np.int32]]) -> npt.NDArray[np.int32]:
    """Each voxel's value in more than half of the maps, 0 where there is none: of four raters, three must agree."""
    maps = list(label_maps)
    voted = np.zeros_like(maps[0])
    for value in sorted({int(value) for one in maps for value in np.unique(one) if value}):
        votes = sum((one == value).astype(np.uint8) for one in maps)
        voted[2 * votes > len(maps)] = value
    return voted


def _merge(parts: Sequence[LabelPart], wanted: Mapping[str, int]) -> tuple[npt.NDArray[np.int32], bool]:
    """One rater's parts as one map, and whether it equals the one stored file."""
    soft = [part for part in parts if part.threshold is not None]
    hard = [part for part in parts if part.threshold is None]
    read = [*((part, read_labels(part.path)) for part in hard), *(harden(soft) if soft else ())]
    maps = [(part, stored, _counts(part, stored)) for part, stored in read]
    if len(maps) == 1:
        part, stored, counts = maps[0]
        translated = {value: wanted.get(structure_key(name), 0) for value, name in _named(part, counts).items()}
        if all(value == target for value, target in translated.items()):
            return stored, not soft
        return _translate(stored, translated), False
    return _paint(maps, wanted), False


def harden(parts: Sequence[LabelPart]) -> list[tuple[LabelPart, npt.NDArray[np.int32]]]:
    """One label map of the soft labels of an image, or a mask each where they overlap; the rule is above.

    BadInput: values outside 0 to 1.
    """
    threshold = parts[0].threshold or SOFT_THRESHOLD
    masks = []
    for number, part in enumerate(parts, start=1):
        probability = _probabilities(part.path)
        if number == 1:
            highest, total = probability.copy(), np.zeros_like(probability)
            winner = np.ones(probability.shape, dtype=np.int32)
        winner[probability > highest] = number
        np.maximum(highest, probability, out=highest)
        total += probability
        masks.append(probability >= threshold)
    labelled = np.logical_or.reduce(masks)
    if np.count_nonzero(total[labelled] > 1.05) > 0.01 * np.count_nonzero(labelled):
        return [(part, mask.astype(np.int32)) for part, mask in zip(parts, masks, strict=True)]
    winner[highest < threshold * (highest + np.maximum(1 - total, 0))] = 0
    names = tuple((number, part.names[0][1]) for number, part in enumerate(parts, start=1))
    return [(replace(parts[0], names=names, binary=False), winner)]


def _probabilities(path: Path) -> npt.NDArray[np.float32]:
    """A soft label ``(X, Y, Z)``."""
    voxels = read_image(path).voxels
    smallest, largest = float(voxels.min(initial=0)), float(voxels.max(initial=0))
    if len(voxels) != 1 or smallest < -_PROBABILITY_TOLERANCE or largest > 1 + _PROBABILITY_TOLERANCE:
        raise BadInput(
            f"{path}: a soft label holds probabilities from 0 to 1, and this holds {smallest:.4g} to {largest:.4g}; "
            "scale it, or name it as a mask if it is one."
        )
    probabilities: npt.NDArray[np.float32] = np.clip(voxels[0].astype(np.float32, copy=False), 0, 1)
    return probabilities


def _paint(
    maps: list[tuple[LabelPart, npt.NDArray[np.int32], dict[int, int]]], wanted: Mapping[str, int]
) -> npt.NDArray[np.int32]:
    layers = [
        (counts[value], wanted[structure_key(name)], stored, value)
        for part, stored, counts in maps
        for value, name in _named(part, counts).items()
        if structure_key(name) in wanted
    ]
    merged = np.zeros_like(maps[0][1])
    for _, target, stored, value in sorted(layers, key=lambda layer: (-layer[0], layer[1])):
        merged[stored == value] = target
    return merged


def _counts(part: LabelPart, stored: npt.NDArray[np.int32]) -> dict[int, int]:
    """Voxels of each stored value but 0; BadInput when a value has no name."""
    if stored.max(initial=0) < _COUNTED_VALUES:
        line = np.bincount(stored.ravel(order="K"))
        counts = {int(value): int(line[value]) for value in np.flatnonzero(line) if value}
    else:
        values, numbers = np.unique(stored, return_counts=True)
        counts = {int(value): int(number) for value, number in zip(values, numbers, strict=True) if value}
    unnamed = sorted(set(counts) - {value for value, _ in part.names})
    if part.binary and len(counts) <= 1 and set(counts) <= {1, 255}:
        return counts
    if unnamed:
        listed = ", ".join(str(value) for value in unnamed[:6])
        if part.binary:
            remedy = f"it was taken for a mask of {part.names[0][1]}; add a .tsv with index and name, or use a recipe"
        else:
            remedy = "add them to the table of names or correct the map"
        raise BadInput(f"{part.path}: the values {listed} have no name; {remedy}.")
    return counts


def _named(part: LabelPart, counts: Mapping[int, int]) -> dict[int, str]:
    """Name of each value that occurs."""
    if part.binary:
        return dict.fromkeys(counts, part.names[0][1])
    names = dict(part.names)
    return {value: names[value] for value in counts}


def _translate(stored: npt.NDArray[np.int32], targets: Mapping[int, int]) -> npt.NDArray[np.int32]:
    if max(targets) < _COUNTED_VALUES:
        table = np.zeros(max(targets) + 1, dtype=np.int32)
        for value, target in targets.items():
            table[value] = target
        return table[stored]
    translated = np.zeros_like(stored)
    for value, target in targets.items():
        translated[stored == value] = target
    return translated


def _require_one_grid(parts: tuple[LabelPart, ...]) -> None:
    if len(parts) == 1:
        return
    shape, affine = read_geometry(parts[0].path)
    for part in parts[1:]:
        problem = grid_difference(shape, affine, *read_geometry(part.path))
        if problem:
            raise BadInput(f"{part.path}: {problem} {parts[0].path.name}; resample both to one grid.")
