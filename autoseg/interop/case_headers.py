"""What the headers of matched cases say against them, and whether the volumes of 4D images are their channels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from autoseg.core.errors import BadInput
from autoseg.core.packed import Packed
from autoseg.interop.bids_matching import PlannedCase, without
from autoseg.interop.raw_layout import Problem, without_file
from autoseg.io.grids import grid_difference
from autoseg.io.images import read_header
from autoseg.runtime.jobs import map_threads


@dataclass(frozen=True)
class Checked:
    """The cases that can be used, what was left out, and the names of the channels where they were asked for."""

    cases: Packed[PlannedCase]
    problems: tuple[Problem, ...]
    channels: tuple[str, ...]


def check_headers(cases: Packed[PlannedCase], channels: Sequence[str]) -> Checked:
    """Open the headers of all files, in threads: geometry, grids that differ, volumes.

    Where a single contrast was asked for as ``channels``, the volumes of its 4D images are channels, ``MPM_1``,
    ``MPM_2`` and so on, and all images must have as many as most have. Elsewhere 4D images are left out.
    """
    found = list(map_threads(_inspect, cases))
    numbers = Counter(number for number in found if isinstance(number, int))
    most = max(numbers, key=lambda number: numbers[number], default=1) if len(channels) == 1 else 1
    problems: dict[int, Problem] = {}
    for place, result in enumerate(found):
        if isinstance(result, Problem):
            problems[place] = result
        elif result != most:
            case = cases[place]
            problems[place] = Problem(case.images[0], _unlike(result, most, case, channels))
    named = [f"{channels[0]}_{number}" for number in range(1, most + 1)] if most > 1 else channels
    return Checked(without(cases, problems), tuple(problems.values()), tuple(named))


def _inspect(case: PlannedCase) -> Problem | int:
    """The volumes of the first image, or what is wrong."""
    images = case.images
    path = images[0]
    try:
        number, (shape, affine) = read_header(path)
        for path in (*images[1:], *(part.path for part in case.labels.parts)):
            volumes, grid = read_header(path)
            difference = grid_difference(shape, affine, *grid)
            if difference:
                return Problem(path, f"{difference} {images[0].name}; resample it to the grid of the image.")
            if volumes > 1:
                return Problem(path, f"the file is 4D with {volumes} volumes; store each as a 3D file.")
    except BadInput as error:
        return Problem(path, without_file(error, path))
    return number


def _unlike(number: int, most: int, case: PlannedCase, channels: Sequence[str]) -> str:
    if most > 1 or len(channels) == 1:
        return f"the number of its volumes is {number}, and {most} in most images; correct or exclude it."
    remedy = "store each as a 3D file"
    if not channels:
        remedy += f", or make them the channels of a case with --channels {case.contrast}"
    return f"the image is 4D with {number} volumes; {remedy}."
