"""Which configurations and which postprocessing are best in cross-validation, from one pass over the cases.

A *component* is a connected set of voxels (by faces, edges and corners) of one predicted label value. The
components of a union of values, before or after others were cleared, are unions of these; so the Dice after
any sequence of "keep the largest component" follows from a small table of each case.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import bounding_box, box_slices
from autoseg.core.selection import Candidate, Postprocessing, Step
from autoseg.evaluation.evaluate import mean_of_defined

Structures = Mapping[str, tuple[int, ...]]  # name -> the label values that make it up
Counts = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class ComponentTable:
    """The components of one case. Number ``i + 1`` stands for ``values[i]``, 0 for every other value.

    ``numbers`` and ``sizes`` (voxels) have an entry for each component; ``contacts`` ``(E, 2)`` are the pairs of
    components that touch. Entry ``j`` of the three ``shared_*`` says that component ``shared_component[j]`` has
    ``shared_voxels[j]`` voxels whose reference is number ``shared_reference[j]``; ``expected`` has the voxels of
    each number in the reference. Both leave out the voxels that the reference ignores.
    """

    values: tuple[int, ...]
    numbers: npt.NDArray[np.int32]
    sizes: Counts
    contacts: npt.NDArray[np.intp]
    shared_component: npt.NDArray[np.int32]
    shared_reference: npt.NDArray[np.int32]
    shared_voxels: Counts
    expected: Counts


class MeanDice(NamedTuple):
    """The mean over cases of each structure, and the mean over structures of those."""

    mean: float | None
    structures: dict[str, float | None]


def component_table(
    prediction: npt.NDArray[np.integer],
    reference: npt.NDArray[np.integer],
    values: Sequence[int],
    ignore: int | None = None,
) -> ComponentTable:
    """The table of two label maps ``(X, Y, Z)`` on one grid; ``values`` are the foreground values that count.

    Voxels whose reference is ``ignore`` count for nothing but the sizes of components.
    """
    import cc3d

    known = tuple(values)
    num_references = len(known) + 2  # the last one: ignored
    wanted = _numbered(reference, known, ignore)
    expected = np.bincount(wanted.ravel(order="K"), minlength=num_references)[: len(known) + 1].astype(np.int64)
    found = _numbered(prediction, known)
    box = bounding_box(found > 0)
    if box is None:
        nothing = np.zeros(0, np.int32)
        none, no_contacts = np.zeros(0, np.int64), np.zeros((0, 2), np.intp)
        return ComponentTable(known, nothing, none, no_contacts, nothing, nothing, none, expected)
    found, wanted = np.ascontiguousarray(found[box_slices(box)]), np.ascontiguousarray(wanted[box_slices(box)])
    components, number = cc3d.connected_components(found, connectivity=26, return_N=True)
    several = len(np.unique(found)) > 2
    pairs = cc3d.region_graph(components, connectivity=26) if several else ()
    foreground = np.flatnonzero(found)
    component = components.ravel()[foreground].astype(np.int64) - 1
    numbers = np.zeros(number, np.int32)
    numbers[component] = found.ravel()[foreground]
    voxels = np.bincount(component * num_references + wanted.ravel()[foreground])
    keys = np.flatnonzero(voxels)
    keys = keys[keys % num_references != num_references - 1]
    return ComponentTable(
        known,
        numbers,
        np.bincount(component, minlength=number),
        np.array(sorted(pairs), np.intp).reshape(-1, 2) - 1,
        (keys // num_references).astype(np.int32),
        (keys % num_references).astype(np.int32),
        voxels[keys].astype(np.int64),
        expected,
    )


def without_smaller_components(
    table: ComponentTable, present: npt.NDArray[np.bool_], values: Sequence[int]
) -> npt.NDArray[np.bool_]:
    """Which components are still there after keeping the largest of the union of ``values``.

    ``present`` tells which were there before; of equally large unions of components all stay.
    """
    numbers = [number for number, value in enumerate(table.values, start=1) if value in values]
    members = present & np.isin(table.numbers, numbers)
    if not members.any():
        return present
    union = np.arange(len(members))
    if len(numbers) > 1:
        union = _connected(len(members), table.contacts[members[table.contacts].all(axis=1)])
    sizes = np.zeros(len(members), np.int64)
    np.add.at(sizes, union[members], table.sizes[members])
    largest: npt.NDArray[np.bool_] = sizes[union] == sizes.max()
    return present & (~members | largest)


def case_dice(table: ComponentTable, present: npt.NDArray[np.bool_], structures: Structures) -> dict[str, float | None]:
    """The Dice of each structure in one case; None where it is in neither map (``scores.EMPTY_LABEL_RULE``)."""
    there = present[table.shared_component]
    predicted_numbers = table.numbers[table.shared_component]
    dice: dict[str, float | None] = {}
    for name, values in structures.items():
        numbers = [number for number, value in enumerate(table.values, start=1) if value in values]
        predicted = there & np.isin(predicted_numbers, numbers)
        shared = predicted & np.isin(table.shared_reference, numbers)
        total = int(table.shared_voxels[predicted].sum()) + int(table.expected[numbers].sum())
        dice[name] = 2 * int(table.shared_voxels[shared].sum()) / total if total else None
    return dice


def rate(configurations: Sequence[str], tables: Sequence[ComponentTable], structures: Structures) -> Candidate:
    """The Dice of a candidate over all cases, each structure weighing the same."""
    scores = _mean_dice(tables, [np.ones(len(table.numbers), bool) for table in tables], structures)
    return Candidate(configurations=tuple(configurations), mean_dice=scores.mean, dice=scores.structures)


def best(candidates: Sequence[Candidate]) -> int:
    """The place of the best mean Dice; of equal ones the first, so that a pair must be better than a single one."""
    scores = [-1.0 if one.mean_dice is None else one.mean_dice for one in candidates]
    return scores.index(max(scores))


def decide_postprocessing(
    tables: Sequence[ComponentTable], structures: Structures
) -> tuple[Postprocessing, tuple[Step, ...], float | None]:
    """What to keep the largest component of, every step that was tried, and the mean Dice with what was kept.

    First all foreground values together: kept if the mean Dice rises and that of no structure falls. Then, if
    there are several structures, each one in turn: kept if its own Dice rises (nnU-Net v2,
    ``remove_connected_components.py``).
    """
    present = [np.ones(len(table.numbers), bool) for table in tables]
    current = _mean_dice(tables, present, structures)
    foreground = tuple(sorted({value for values in structures.values() for value in values}))
    tried = [("all foreground", foreground)] + (list(structures.items()) if len(structures) > 1 else [])
    steps: list[Step] = []
    for what, values in tried:
        after = [without_smaller_components(table, there, values) for table, there in zip(tables, present, strict=True)]
        scores = _mean_dice(tables, after, structures)
        if not steps:
            dice_before, dice_after = current.mean, scores.mean
            harmed = any(_rises(scores.structures[name], current.structures[name]) for name in structures)
        else:
            dice_before, dice_after = current.structures[what], scores.structures[what]
            harmed = False
        kept = _rises(dice_before, dice_after) and not harmed
        steps.append(Step(what=what, values=values, dice_before=dice_before, dice_after=dice_after, kept=kept))
        if kept:
            present, current = after, scores
    return Postprocessing(keep_largest=tuple(step.values for step in steps if step.kept)), tuple(steps), current.mean


def _rises(before: float | None, after: float | None) -> bool:
    return before is not None and after is not None and after > before


def _mean_dice(
    tables: Sequence[ComponentTable], present: Sequence[npt.NDArray[np.bool_]], structures: Structures
) -> MeanDice:
    cases = [case_dice(table, there, structures) for table, there in zip(tables, present, strict=True)]
    dice = {name: mean_of_defined(case[name] for case in cases) for name in structures}
    return MeanDice(mean_of_defined(dice.values()), dice)


def _connected(number: int, contacts: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The connected component of each of ``number`` nodes of a graph, as a number."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(contacts), bool), (contacts[:, 0], contacts[:, 1])), (number, number))
    groups: npt.NDArray[np.intp] = connected_components(graph, directed=False)[1].astype(np.intp)
    return groups


def _numbered(
    label_map: npt.NDArray[np.integer], values: Sequence[int], ignore: int | None = None
) -> npt.NDArray[np.uint16]:
    """``values[i]`` becomes ``i + 1``, ``ignore`` one more than the last, every other value 0."""
    top = max((*values, ignore or 0), default=0)
    table = np.zeros(top + 2, np.uint16)
    table[list(values)] = np.arange(1, len(values) + 1)
    if ignore is not None:
        table[ignore] = len(values) + 1
    result = np.empty(label_map.shape, np.uint16)
    for plane, source in zip(result, label_map, strict=True):
        plane[...] = table[np.clip(source, 0, top + 1)]
    return result
