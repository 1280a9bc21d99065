"""From logits on one grid to the labels of another, of a whole volume or of slabs as they come.

Conventions of the grids: ``preprocessing.resample``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

from autoseg.preprocessing.resample import Tap, corners_of, first_tap, mixed_voxels, taps_of
from autoseg.preprocessing.resample_slabs import Slab, planes_in_turn, planes_needed, shifted, slabs

# Logits that are made labels at a time: a copy at most, beside those that come.
PART_BYTES = 2**25

LabelMap = npt.NDArray[np.uint8 | np.uint16]
Logits = npt.NDArray[np.float32]


def resample_logits_to_labels(
    logits: Logits, shape_out: Sequence[int], separate_axis: int | None = None, written: Sequence[int] = ()
) -> LabelMap:
    """Linear interpolation of ``(K, *shape)`` logits to ``shape_out``, then the class with the largest.

    A tie goes to the lowest class. Of regions, ``written`` is the (different) index that each writes where its
    logit is positive, later ones over earlier ones. Where one class wins at all voxels around a point it wins there
    too, as no weight is negative; so only points between classes are interpolated, a chunk at a time, and the
    memory needed does not depend on K: two label maps and a mask.
    """
    sizes = list(zip(logits.shape[1:], shape_out, strict=True))
    if all(before == after for before, after in sizes):
        return _classes(logits, written)
    taps = [taps_of(n, m, axis == separate_axis) for axis, (n, m) in enumerate(sizes)]
    return _interpolated_classes(logits, taps, written)


def labels_of_slabs(
    of_logits: Iterator[Slab],
    shape: Sequence[int],
    shape_out: Sequence[int],
    separate_axis: int | None = None,
    written: Sequence[int] = (),
) -> Iterator[tuple[slice, LabelMap]]:
    """What ``resample_logits_to_labels`` gives, bit for bit, of logits whose planes of axis 0 come in order.

    ``shape`` ``(K, *shape)`` is that of all logits, ``of_logits`` planes of axis 0 and their logits, valid until the
    next are asked for. Yields planes of ``shape_out`` and their labels, in order; beside the slab that came last,
    ``PART_BYTES`` and a few planes are held.
    """
    sizes = list(zip(shape[1:], shape_out, strict=True))
    if all(before == after for before, after in sizes):
        yield from ((planes, _classes(logits, written)) for planes, logits in of_logits)
        return
    taps = [taps_of(n, m, axis == separate_axis) for axis, (n, m) in enumerate(sizes)]
    parts = list(slabs((shape_out[0], *shape[2:]), shape[0], PART_BYTES))
    needed = [planes_needed(taps[0], part, shape[1]) for part in parts]
    for part, (start, _), logits in zip(parts, needed, planes_in_turn(of_logits, needed), strict=True):
        yield part, _interpolated_classes(logits, [shifted(taps[0], part, start), *taps[1:]], written)


def _interpolated_classes(logits: Logits, taps: Sequence[tuple[Tap, ...]], written: Sequence[int]) -> LabelMap:
    winners = _classes(logits, written)
    result = first_tap(winners, taps)
    flat = [np.ascontiguousarray(one).reshape(-1) for one in logits]
    for where in mixed_voxels(winners, taps):
        corners = [(index, weight.astype(np.float32)) for index, weight in corners_of(where, taps, winners.shape)]
        best = np.full(where[0].size, -np.inf, np.float32)
        best_class = np.zeros(where[0].size, result.dtype)
        for number, values in enumerate(flat):
            score = np.zeros_like(best)
            for index, weight in corners:
                # mode="clip" skips the bounds check: four times faster.
                score += values.take(index, mode="clip") * weight
            _decide(best, best_class, score, number, written)
        result[where] = best_class
    return result


def _classes(logits: Logits, written: Sequence[int]) -> LabelMap:
    """The decision at each voxel, plane by plane: ``np.argmax`` would copy the whole array."""
    kind = np.uint8 if max(written, default=len(logits) - 1) <= 255 else np.uint16
    winners: LabelMap = np.zeros(logits.shape[1:], kind)
    for number, winner in enumerate(winners):
        best = np.full(winner.shape, -np.inf, np.float32)
        for candidate in range(len(logits)):
            _decide(best, winner, logits[candidate, number], candidate, written)
    return winners


def _decide(
    best: npt.NDArray[np.float32],
    best_class: LabelMap,
    score: npt.NDArray[np.float32],
    number: int,
    written: Sequence[int],
) -> None:
    """In place, outputs in ascending order: a class where its score exceeds the best, a region where it is positive."""
    if written:
        return np.copyto(best_class, written[number], where=score > 0)
    # Ten times faster than np.copyto(where=): the numbers come in ascending order, so the larger one is the newer.
    better = score > best
    np.maximum(best, score, out=best)
    np.maximum(best_class, better * best_class.dtype.type(number), out=best_class)
