"""Several configurations as one: the mean of their class probabilities on the stored grid.

Each configuration prepares the case in its own way and gives logits on its own grid. These are resampled to
the crop, made probabilities and averaged some planes at a time, so that probabilities of the whole case
exist only where they are asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import numpy.typing as npt

from autoseg.core.case import Case, Image, SpatialTrace
from autoseg.core.errors import BadInput
from autoseg.core.geometry import box_shape
from autoseg.core.labels import Labels
from autoseg.core.plan import Plan
from autoseg.inference.certainty import Sums, overlap_sums
from autoseg.inference.class_probabilities import Logits, painted, sigmoid, softmax
from autoseg.inference.predictor import WAITING_LOGITS_BYTES, Predictor
from autoseg.inference.predictor import Labels as LabelMap
from autoseg.preprocessing import prepare
from autoseg.preprocessing.case_grid import crops_alike
from autoseg.preprocessing.resample_slabs import resample_logits_slab, slabs
from autoseg.runtime.jobs import map_threads

PROBABILITY_ONE = 65535  # stored as whole numbers of 16 bits

Group = tuple[int, ...]


@dataclass(frozen=True)
class Ensemble:
    """Predictors of one dataset, such as those of ``2d`` and ``3d_fullres``; one alone is allowed."""

    members: Sequence[Predictor]

    def __post_init__(self) -> None:
        first, *others = (member.plan for member in self.members)
        for plan in others:
            if (plan.channels, plan.labels, plan.axis_order) != (first.channels, first.labels, first.axis_order):
                raise BadInput(
                    f"{first.dataset}: {' and '.join(member.configuration.name for member in self.members)} were "
                    "trained with other channels, labels or axes; train them anew with one plan to average them."
                )

        if not all(crops_alike(self.members[0].configuration, member.configuration) for member in self.members):
            raise BadInput(
                f"{first.dataset}: {' and '.join(member.configuration.name for member in self.members)} crop cases "
                "differently and cannot be averaged; name one of them with --configuration."
            )

    @property
    def plan(self) -> Plan:
        """The plan of the first member; what it says of channels, labels and axes holds for all."""
        return self.members[0].plan

    def describe(self) -> str:
        """What computes each member."""
        return " and ".join(dict.fromkeys(member.describe() for member in self.members))

    def prepare(self, name: str, image: Image) -> tuple[Case, ...]:
        """What the networks of each member see of ``image``."""
        return tuple(member.prepare(name, image) for member in self.members)

    def logits(self, cases: Sequence[Case]) -> list[Logits]:
        """The logits of each member, ``(K, *resampled_shape)`` each."""
        return [member.logits(case.image) for member, case in zip(self.members, cases, strict=True)]

    def segment(self, cases: Sequence[Case], sums: Sums | None = None) -> Callable[[], LabelMap]:
        """As ``Predictor.segment``: run the networks; what is returned gives the labels on the stored grid, once."""
        logits, traces = self.logits(cases), [case.trace for case in cases]
        group = tuple(range(len(logits)))
        of_group = None if sums is None else sums[None]
        average = partial(average_labels, logits, traces, self.plan.labels, (group,), sums=of_group)
        if sum(one.nbytes for one in logits) > WAITING_LOGITS_BYTES:
            finished = average()
            return lambda: finished[0]
        return lambda: average()[0]

    def segment_with_probabilities(
        self, cases: Sequence[Case], sums: Sums | None = None
    ) -> tuple[LabelMap, npt.NDArray[np.uint16]]:
        """Labels ``(X, Y, Z)`` and probabilities ``(K, X, Y, Z)`` in units of 1 / ``PROBABILITY_ONE``, as stored.

        Outside the crop the background is certain, and no region is there.
        """
        trace = cases[0].trace
        logits = self.logits(cases)
        kept = np.empty((len(logits[0]), *box_shape(trace.box)), np.uint16)
        group = tuple(range(len(logits)))
        traces, of_group = [case.trace for case in cases], None if sums is None else sums[None]
        (labels,) = average_labels(logits, traces, self.plan.labels, (group,), kept, of_group)
        probabilities = np.empty((len(kept), *labels.shape), np.uint16)
        for target, one in zip(probabilities, kept, strict=True):
            target[...] = prepare.undo_box(one, trace)
        if not self.plan.labels.has_regions:
            probabilities[0][~prepare.undo_box(np.ones(box_shape(trace.box), bool), trace)] = PROBABILITY_ONE
        return labels, probabilities


def average_labels(
    logits: Sequence[Logits],
    traces: Sequence[SpatialTrace],
    labels: Labels,
    groups: Sequence[Group],
    probabilities: npt.NDArray[np.uint16] | None = None,
    sums: Sums | None = None,
) -> list[LabelMap]:
    """Values ``(X, Y, Z)`` as stored, a map for each of ``groups``: members whose probabilities are averaged.

    ``logits`` are ``(K, *resampled_shape)`` of its trace for each member. The first group's means are written to
    ``probabilities`` ``(K, *box)``, and the ``certainty.overlap_sums`` of each group are added to ``sums``
    ``(groups, outputs, 3)``, where these are given. The largest wins, a tie goes to the lowest class; with
    regions, each more probable than one half is painted over those before it.
    """
    shape = box_shape(traces[0].box)
    if any(trace.box != traces[0].box for trace in traces):
        raise ValueError("the members crop the case differently")
    separate = [prepare.axis_back(trace) for trace in traces]
    written = labels.written_indices
    kind = np.uint8 if len(labels.stored_values) <= 256 else np.uint16
    indices = [np.empty(shape, kind) for _ in groups]
    nonlinearity = sigmoid if written else softmax

    def average(planes: slice) -> list[Sums]:
        members = [
            nonlinearity(resample_logits_slab(one, shape, planes, axis))
            for one, axis in zip(logits, separate, strict=True)
        ]
        found = []
        for number, (group, target) in enumerate(zip(groups, indices, strict=True)):
            total = sum((members[member] for member in group[1:]), start=members[group[0]])
            target[planes] = painted(total, len(group) / 2, written) if written else total.argmax(axis=0)
            if number == 0 and probabilities is not None:
                probabilities[:, planes] = np.rint(total * np.float32(PROBABILITY_ONE / len(group)))
            if sums is not None:
                found.append(overlap_sums(total, target[planes], labels, len(group)))
        return found

    for found in map_threads(average, slabs(shape, len(logits[0]))):
        if sums is not None:
            sums += found
    return [prepare.undo_labels(one, traces[0], labels) for one in indices]
