"""Held-out cases as pairs of configurations segment them; each network sees a case once, in however many pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from autoseg.core.case import Case, CaseFiles
from autoseg.inference.certainty import no_sums
from autoseg.interop.prediction_table import Row
from autoseg.io import images
from autoseg.io.workspace import Workspace
from autoseg.pipeline.cascade import held_out_label_maps, reading
from autoseg.pipeline.elsewhere import SHARE, in_networks
from autoseg.pipeline.preparation import read_or_make_plan
from autoseg.pipeline.runs import recorded_split
from autoseg.pipeline.safety import Safety
from autoseg.runtime.jobs import keeping_last, map_threads
from autoseg.runtime.workers import LostWork, Workers

if TYPE_CHECKING:
    from autoseg.inference.ensemble import Ensemble


@dataclass(frozen=True)
class PairsOfFold:
    """Whose networks are averaged: ``folders`` is where the segmentations of each pair go."""

    workspace: Workspace
    dataset: str
    fold: str
    folders: Mapping[tuple[str, ...], Path]
    num_cases: int
    device: str | None

    @property
    def names(self) -> list[str]:
        """The configurations, each once."""
        return list(dict.fromkeys(name for pair in self.folders for name in pair))


@dataclass(frozen=True)
class Averaging:
    """The networks of all pairs of a fold, and the ending of the files that they are written to."""

    pairs: PairsOfFold
    ensemble: Ensemble
    file_ending: str

    def prepare(self, case: CaseFiles) -> tuple[CaseFiles, tuple[Case, ...]]:
        """The case as the networks of each configuration see it."""
        return case, self.ensemble.prepare(case.name, images.read_channels(case.channels))

    def segment(self, case: CaseFiles, ready: tuple[Case, ...]) -> list[list[Row]]:
        """Write the case as each pair segments it; the rows of their tables."""
        from autoseg.inference.ensemble import average_labels

        names, labels = self.pairs.names, self.ensemble.plan.labels
        groups = [tuple(names.index(name) for name in pair) for pair in self.pairs.folders]
        sums = np.stack([no_sums(labels)] * len(groups))
        traces = [one.trace for one in ready]
        maps = average_labels(self.ensemble.logits(ready), traces, labels, groups, sums=sums)
        rows = []
        for folder, label_map, of_pair in zip(self.pairs.folders.values(), maps, sums, strict=True):
            images.write_labels(folder / (case.name + self.file_ending), label_map, like=case.channels[0])
            rows.append(Safety(labels).judge(of_pair, ()).rows())
        return rows


def segment_fold(
    pairs: PairsOfFold, cases: Sequence[CaseFiles], workers: Workers | None
) -> Iterator[tuple[CaseFiles, list[list[Row]]]]:
    """Each case when it is segmented, with the rows of the table of each pair; the next one is prepared meanwhile.

    ChildProcessError: the workers that were at a case were lost.
    """
    if workers is not None:
        workers.require_seen([pairs.workspace.root, *(case.channels[0] for case in cases[:1])])
        for case, rows in workers.results(partial(segment_one, pairs), cases, SHARE):
            if isinstance(rows, LostWork):
                raise ChildProcessError(f"{case.name}: {rows.reason}; the same command continues.")
            yield case, rows
        return
    averaging = load_pairs(pairs)
    for case, ready in map_threads(averaging.prepare, cases, workers=1):
        yield case, averaging.segment(case, ready)


def segment_one(pairs: PairsOfFold, case: CaseFiles) -> list[list[Row]]:
    """In a worker: one case as each pair."""
    averaging = _kept(pairs)
    _, ready = averaging.prepare(case)
    with in_networks:
        return averaging.segment(case, ready)


def load_pairs(pairs: PairsOfFold) -> Averaging:
    """Load the networks of the fold."""
    from autoseg.inference.ensemble import Ensemble
    from autoseg.inference.predictor import load_predictor

    workspace, dataset = pairs.workspace, pairs.workspace.read_dataset(pairs.dataset)
    plan = read_or_make_plan(workspace, pairs.dataset)
    members = []
    for name in pairs.names:
        folder = workspace.model_folder(pairs.dataset, name, pairs.fold)
        split = recorded_split(folder)
        stages = held_out_label_maps(workspace, dataset, plan.configurations[name], split.scored if split else ())
        previous = reading(stages)
        members.append(load_predictor([folder], name, pairs.device, num_cases=pairs.num_cases, previous=previous))
    return Averaging(pairs, Ensemble(members), dataset.file_ending)


_kept = keeping_last(load_pairs)
