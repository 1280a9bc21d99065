"""Which voxels train a classifier of single voxels, and the patches around them.

All lesion voxels of a case, also those that are no candidates, and as many candidates that are not lesion, drawn
once for the whole training (Valverde et al., NeuroImage 2017). After a first stage the candidates are the voxels that
it takes for lesion, so that the second one learns to tell its mistakes from lesions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch

from autoseg.core.labels import Labels
from autoseg.core.plan import CandidateSpec, Configuration
from autoseg.io.store import DecodedCases, StoredCase
from autoseg.training import operations
from autoseg.training.patches import Batch, Origin, Sample, stack

VALIDATION_SHARE = 0.25  # of all voxels
# Patches of 11 x 11 x 11 voxels are read 128 a step: from disk that takes as long as the step, so a brain is held.
DECODED_BYTES = 2**31

Flat = npt.NDArray[np.int64]  # voxels of a case as flat indices into its shape, C order


@dataclass(frozen=True, eq=False)
class Drawn:
    """The voxels of one case that are shown to a network; ``shortage`` says in words why they are not balanced."""

    positives: Flat
    negatives: Flat
    shortage: str | None = None


def draw_voxels(
    case: StoredCase,
    spec: CandidateSpec,
    labels: Labels,
    seed: int,
    previous: npt.NDArray[np.float32] | None = None,
) -> Drawn:
    """All lesion voxels of a case and as many candidates that are none; the same in every order of the cases.

    ``previous`` is the probability ``(*shape)`` that a first stage gives. The case is held in memory meanwhile.
    """
    image, indices = case.read(tuple((0, size) for size in case.shape))
    intensity = image[spec.channel]
    candidates = intensity > spec.threshold
    if previous is not None:
        candidates &= previous > spec.previous_training
        if not candidates.any():
            candidates = intensity > spec.fallback_threshold
    known = indices != labels.ignore_index
    positives = np.flatnonzero((indices > 0) & known)
    negatives = np.flatnonzero(candidates & (indices <= 0))
    shortage = None
    if not len(positives):
        shortage = "has no lesion, so none of its voxels is drawn"
    elif len(negatives) < len(positives):
        shortage = f"has {len(negatives)} candidates besides {len(positives)} lesion voxels; all are taken"
    if len(negatives) > len(positives):
        random = np.random.default_rng((seed, *case.name.encode()))
        negatives = np.sort(random.choice(negatives, len(positives), replace=False))
    return Drawn(positives, negatives, shortage)


@dataclass(frozen=True, eq=False)
class Voxels:
    """``places`` ``(N, 2)`` int64: the number of a case in a list, and the flat index of a voxel in it."""

    places: npt.NDArray[np.int64]

    def num_batches(self, batch_size: int) -> int:
        """Those that show every voxel once; the last one may be smaller."""
        return -(-len(self.places) // batch_size)


def all_voxels(drawn: Sequence[Drawn], first: int = 0) -> Voxels:
    """Of all cases, which are numbered from ``first`` on."""
    return Voxels(np.concatenate([_places(n, flat) for n, one in enumerate(drawn, first) for flat in _groups(one)]))


def not_too_many(validation: Voxels, training: Voxels, seed: int) -> Voxels:
    """A random part of the voxels that validate where they would take more than their share of the time."""
    most = round(VALIDATION_SHARE / (1 - VALIDATION_SHARE) * len(training.places))
    if len(validation.places) <= most:
        return validation
    chosen = np.random.default_rng(seed).choice(len(validation.places), max(1, most), replace=False)
    return Voxels(validation.places[np.sort(chosen)])


def shared_out(drawn: Sequence[Drawn], seed: int) -> tuple[Voxels, Voxels]:
    """A random three quarters of the positives and of the negatives of each case to train, the rest to validate."""
    random = np.random.default_rng(seed)
    sides: tuple[list[npt.NDArray[np.int64]], ...] = ([], [])
    for number, one in enumerate(drawn):
        for flat in _groups(one):
            mixed = random.permutation(flat)
            ends = (0, len(mixed) - round(VALIDATION_SHARE * len(mixed)), len(mixed))
            for side, (first, last) in zip(sides, pairwise(ends), strict=True):
                side.append(_places(number, mixed[first:last]))
    training, validation = (Voxels(np.concatenate(side)) for side in sides)
    return training, validation


def _groups(drawn: Drawn) -> tuple[Flat, Flat]:
    return drawn.positives, drawn.negatives


def _places(number: int, flat: Flat) -> npt.NDArray[np.int64]:
    return np.stack((np.full_like(flat, number), flat), axis=1)


@dataclass(frozen=True)
class CandidateSource:
    """The patches of one stream (training, or validation during training): every voxel once an epoch.

    Training voxels come in another random order in each epoch, which depends on the seed and the epoch alone. The
    operations of the plan change the patch around them; the class is that of the voxel.
    """

    cases: Sequence[StoredCase]
    voxels: Voxels
    configuration: Configuration
    augmented: bool
    stream: int
    seed: int
    decoded: DecodedCases = field(default_factory=lambda: DecodedCases(DECODED_BYTES))
    _orders: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)

    def batch(self, step: int) -> Batch:
        """The batch of a step."""
        return stack([self.sample(step, index) for index in range(self.size(step))])

    def size(self, step: int) -> int:
        """How many samples the batch of a step holds."""
        size = self.configuration.batch_size
        first = step % self.voxels.num_batches(size) * size
        return min(size, len(self.voxels.places) - first)

    def sample(self, step: int, index: int) -> Sample:
        """Patch ``(C, *patch)`` and the class of its centre voxel ``(1, 1, 1)``; threads may ask at once."""
        case, centre = self._place(step, index)
        patch_size = self.configuration.patch_size
        starts = [int(voxel) - extent // 2 for voxel, extent in zip(centre, patch_size, strict=True)]
        box = tuple((start, start + extent) for start, extent in zip(starts, patch_size, strict=True))
        image, labels = self.decoded.read(case, box)
        own = self.configuration.augmentation.operations
        if self.augmented and own:
            random = np.random.default_rng((self.seed, self.stream, step, index))
            chosen = operations.draw(own, patch_size, case.num_channels, random)
            image, _ = operations.apply(chosen, image, labels[None], (0.0,) * case.num_channels)
        middle = tuple(slice(extent // 2, extent // 2 + 1) for extent in patch_size)
        target = np.maximum(labels[middle], 0).astype(np.int64)
        return torch.from_numpy(image), torch.from_numpy(target)

    def origin(self, step: int, index: int) -> Origin:
        """Where a sample comes from."""
        case, centre = self._place(step, index)
        return case.name, tuple(int(voxel) for voxel in centre)

    def _place(self, step: int, index: int) -> tuple[StoredCase, tuple[np.intp, ...]]:
        """The case of a sample and the voxel in its middle."""
        size = self.configuration.batch_size
        epoch, number = divmod(step, self.voxels.num_batches(size))
        place = self._order(epoch)[number * size + index]
        case = self.cases[int(self.voxels.places[place, 0])]
        return case, np.unravel_index(int(self.voxels.places[place, 1]), case.shape)

    def _order(self, epoch: int) -> npt.NDArray[np.int64]:
        """The places in the order of an epoch; that of the epoch before is kept, for what is read ahead."""
        order = self._orders.get(epoch)
        if order is None:
            order = np.arange(len(self.voxels.places))
            if self.augmented:
                order = np.random.default_rng((self.seed, self.stream, epoch)).permutation(order)
            self._orders[epoch] = order
            self._orders.pop(epoch - 2, None)
        return order
