"""Reading the label files of one image as one label map in the values of a dataset.

Where structures overlap the smaller one wins (the one with fewer voxels in this case), so that grey
matter stays visible inside the cord. Of several raters, each voxel gets what more than half of them say,
else background.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import numpy.typing as npt

from autoseg.core.errors import BadInput
from autoseg.interop.label_conventions import LabelPart, LabelSource, structure_key
from autoseg.io.grids import grid_difference
from autoseg.io.images import read_geometry, read_labels

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
    maps = []
    for part in parts:
        stored = read_labels(part.path)
        maps.append((part, stored, _counts(part, stored)))
    if len(maps) == 1:
        part, stored, counts = maps[0]
        translated = {value: wanted.get(structure_key(name), 0) for value, name in _named(part, counts).items()}
        if all(value == target for value, target in translated.items()):
            return stored, True
        return _translate(stored, translated), False
    return _paint(maps, wanted), False


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
