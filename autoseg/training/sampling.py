"""Passes over the training data: every slice, or every case, once an epoch.

Axes are the plan's working axes; a slice lies across axis 0. All follows from (seed, stream, step, index): the same
whatever is resumed, and whatever thread makes a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import Box, Shape
from autoseg.core.plan import Configuration
from autoseg.io.store import StoredCase

ORDER_KEY = 1  # makes the generator of an order another one than those of samples


@dataclass(frozen=True)
class Item:
    """What a sample shows: a case by its place in the list, and one of its slices if each is an item of its own."""

    case: int
    slice: int | None


@dataclass(frozen=True)
class Passes:
    """Over ``cases`` whose items are seen once in each pass of ``num_steps`` steps.

    ``shuffled``: in another order in every pass, whose last batch is filled up with the items that the pass began
    with. Otherwise in order, and the last batch is smaller.
    """

    cases: Sequence[StoredCase]
    slices: bool
    batch_size: int
    shuffled: bool
    seed: int
    stream: int

    @cached_property
    def _ends(self) -> npt.NDArray[np.int64]:
        """After how many items each case ends."""
        return np.cumsum([case.shape[0] if self.slices else 1 for case in self.cases])

    @property
    def num_items(self) -> int:
        """Slices, or cases."""
        return int(self._ends[-1])

    @property
    def num_steps(self) -> int:
        """Of one pass."""
        return -(-self.num_items // self.batch_size)

    def size(self, step: int) -> int:
        """How many samples the batch of a step holds."""
        if self.shuffled:
            return self.batch_size
        return min(self.batch_size, self.num_items - step % self.num_steps * self.batch_size)

    def item(self, step: int, index: int) -> Item:
        """What a sample shows."""
        turn, within = divmod(step, self.num_steps)
        place = (within * self.batch_size + index) % self.num_items
        number = int(epoch_order(self.seed, self.stream, turn, self.num_items)[place]) if self.shuffled else place
        case = int(np.searchsorted(self._ends, number, side="right"))
        return Item(case, number - int(self._ends[case - 1]) * (case > 0) if self.slices else None)


@lru_cache(maxsize=4)
def epoch_order(seed: int, stream: int, epoch: int, size: int) -> npt.NDArray[np.int64]:
    """The numbers below ``size``, as shuffled for an epoch."""
    return np.random.default_rng((seed, stream, epoch, 0, ORDER_KEY)).permutation(size)


def passes(
    cases: Sequence[StoredCase], configuration: Configuration, shuffled: bool, seed: int = 0, stream: int = 0
) -> Passes | None:
    """How the configuration passes over the cases; None if it draws them at random."""
    if configuration.sampling not in ("slices", "cases"):
        return None
    slices = configuration.sampling == "slices"
    return Passes(cases, slices, configuration.batch_size, shuffled, seed, stream)


def members_of_domains(domains: Sequence[str], configuration: Configuration) -> tuple[tuple[int, ...], ...]:
    """The places of the cases of each domain, where patches come from each equally often; else nothing."""
    if configuration.balance != "domains":
        return ()
    names = sorted(set(domains))
    return tuple(tuple(place for place, name in enumerate(domains) if name == one) for one in names)


def draw_case(num_cases: int, members: Sequence[Sequence[int]], random: np.random.Generator) -> int:
    """The place of a case: each as likely, or with the members of domains each domain, then each of its cases."""
    if not members:
        return int(random.integers(num_cases))
    domain = members[int(random.integers(len(members)))]
    return domain[int(random.integers(len(domain)))]


def with_counted_steps(
    configuration: Configuration, training: Sequence[StoredCase], validation: Sequence[StoredCase]
) -> Configuration:
    """With the steps of an epoch, and of a validation, that one pass over the cases takes; nothing else changes."""
    once, held_out = passes(training, configuration, True), passes(validation, configuration, False)
    if once is None or held_out is None:
        return configuration
    counted = {"steps_per_epoch": once.num_steps, "validation_steps": held_out.num_steps}
    return configuration.model_copy(update={"training": configuration.training.model_copy(update=counted)})


def slice_box(shape: Shape, number: int, size: Sequence[int]) -> Box:
    """The box of ``size`` (2) in the middle of a slice of a case of ``shape`` (3)."""
    starts = [number, *((extent - s) // 2 for extent, s in zip(shape[1:], size, strict=True))]
    return tuple((start, start + s) for start, s in zip(starts, (1, *size), strict=True))
