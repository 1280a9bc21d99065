"""Every kind of bad input, met on the command line, and every odd one."""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tests.faults import (
    bad_channels,
    bad_datasets,
    bad_headers,
    bad_images,
    bad_models,
    bad_options,
    bad_plans,
    bad_predictions,
    bad_recipes,
    bad_sources,
    kinds,
    odd_input,
)
from tests.faults.good_input import Place, copy_of, make_good
from tests.faults.kinds import Kind
from tests.faults.odd_input import ODD
from tests.faults.row import Row

BAD: tuple[Kind, ...] = (
    *bad_headers.KINDS,
    *bad_images.KINDS,
    *bad_channels.KINDS,
    *bad_plans.KINDS,
    *bad_datasets.KINDS,
    *bad_models.KINDS,
    *bad_sources.KINDS,
    *bad_recipes.KINDS,
    *bad_options.KINDS,
    *bad_predictions.KINDS,
)
One = TypeVar("One")


def rows(size: int, seed: int, folder: Path) -> Iterator[Row]:
    """``size`` kinds of each catalogue, drawn at random; all of them where it is as large."""
    (folder / "good").mkdir()
    good = make_good(folder / "good")
    order = random.Random(seed)
    yield tried(
        "bad inputs refused",
        "exit status and sentence, to the letter",
        chosen(BAD, size, order),
        good,
        folder,
        kinds.failure,
    )
    yield tried(
        "odd inputs served",
        "cases, grid of the segmentation",
        chosen(ODD, size, order),
        good,
        folder,
        odd_input.failure,
    )


def chosen(catalogue: Sequence[One], size: int, order: random.Random) -> list[One]:
    """``size`` entries."""
    return order.sample(catalogue, min(size, len(catalogue)))


def tried(
    what: str, compared: str, catalogue: Sequence[One], good: Place, folder: Path, failure: Callable[[Place, One], str]
) -> Row:
    """The row of what was tried, each in a copy of its own."""
    failures = []
    for one in catalogue:
        place = copy_of(good, folder / "tried")
        failures.append(failure(place, one))
        shutil.rmtree(place.folder)
    wrong = tuple(filter(None, failures))
    return Row(what, len(catalogue), len(catalogue) - len(wrong), compared, wrong)
