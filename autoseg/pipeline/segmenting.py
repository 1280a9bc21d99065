"""Case after case through the networks, and onto the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from threading import Semaphore
from typing import TYPE_CHECKING, Any, Protocol, cast

import numpy as np

from autoseg.core.case import CaseFiles, Image
from autoseg.core.errors import BadInput
from autoseg.core.plan import Plan
from autoseg.core.selection import Postprocessing
from autoseg.inference.certainty import Sums
from autoseg.inference.postprocess import postprocess
from autoseg.interop.prediction_outputs import Layout, Outputs
from autoseg.interop.prediction_table import PredictionTable, Row, recording
from autoseg.io import images
from autoseg.io.files import remove_partial, write_json, write_text
from autoseg.io.probabilities import write_confidence, write_probabilities
from autoseg.pipeline.memory_checks import MemoryGuard, memory_guard
from autoseg.pipeline.safety import Announcer, Safety
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.memory import is_shortage
from autoseg.runtime.profiling import phase, timed
from autoseg.runtime.progress import counted, progress, say

if TYPE_CHECKING:
    from autoseg.core.trained_ranges import Finding
    from autoseg.inference.ensemble import Ensemble
    from autoseg.inference.predictor import Labels as LabelMap

OutputsOf = Callable[[CaseFiles], Outputs]
UNCHANGED = Postprocessing()
LARGE_CASE_VALUES = 2**26  # of the image: from here on only one case at a time is read, prepared or segmented


class Segmenter(Protocol):
    """A ``Predictor``, ``Ensemble`` or ``CandidatePredictor``: prepares an image, then segments what that gave."""

    @property
    def plan(self) -> Plan:
        """What holds for all networks."""

    def prepare(self, name: str, image: Image) -> Any:
        """What the networks see of ``image``."""

    def segment(self, case: Any, sums: Sums | None = None, /) -> Callable[[], LabelMap]:
        """Run the networks; what is returned gives the labels, once, and adds the sums of certainty to ``sums``."""


@dataclass(frozen=True)
class Predicted:
    """The outcome of a prediction: files written, files that were there, and sentences about failures.

    ``unlike`` are sentences about images that are unlike those of the training. ``short_of_memory`` are those
    ``problems`` that are the machine's, not the image's: the same command may succeed.
    """

    written: tuple[Path, ...]
    skipped: tuple[Path, ...]
    problems: tuple[str, ...]
    unlike: tuple[str, ...] = ()
    short_of_memory: tuple[str, ...] = ()


@dataclass(frozen=True)
class InWork:
    """A case on its way: what was prepared, then what gives the labels, then what is known of them; or what failed."""

    case: CaseFiles
    prepared: Any = None
    labels: Callable[[], LabelMap] | None = None
    unlike: Sequence[Finding] = ()
    sums: Sums | None = None
    rows: Sequence[Row] = ()  # of the table of predictions
    failed: str | None = None
    short_of_memory: bool = False
    alone: bool = False  # large: no other large case is read until the networks have seen it


@dataclass(frozen=True)
class Line:
    """What every case goes through; ``in_documents`` puts what is known of it into its JSON documents."""

    guard: MemoryGuard
    postprocessing: Postprocessing
    safety: Safety | None
    in_documents: bool
    room_for_large: Semaphore = field(default_factory=Semaphore)

    def prepare(self, case: CaseFiles) -> InWork:
        """Read it, and make of it what the networks see. Of large cases only one is so far and not segmented."""
        alone = False
        try:
            alone = self.guard.require_by_header(case) > LARGE_CASE_VALUES and self.room_for_large.acquire()
            image = images.read_channels(case.channels)
            self.guard.require(case.name, image)
            prepared = self.guard.predictor.prepare(case.name, image)  # first: it refuses a wrong number of channels
            return InWork(case, prepared, unlike=self.safety.unlike(image) if self.safety else (), alone=alone)
        except Exception as error:
            if alone:
                self.room_for_large.release()
            if not isinstance(error, BadInput | MemoryError | RuntimeError):
                raise
            return left_out(self.guard, case, error)

    def segment(self, one: InWork, outputs: Outputs) -> InWork:
        """Run the networks on what was prepared, which is given up."""
        sums = self.safety.no_sums() if self.safety else None
        labels = None
        try:
            if not one.failed:
                labels = segment(self.guard.predictor, one.prepared, one.case, outputs, sums)
            return replace(one, prepared=None, labels=labels, sums=sums, alone=False)
        except (BadInput, MemoryError, RuntimeError) as error:
            return left_out(self.guard, one.case, error)
        finally:
            if one.alone:
                self.room_for_large.release()

    def write(self, one: InWork, outputs: Outputs) -> InWork:
        """Write the files; what is left is what is known of the case."""
        try:
            if one.labels is None:
                return one
            label_map = postprocess(one.labels(), self.postprocessing)
            judgement = self.safety.judge(one.sums, one.unlike) if self.safety and one.sums is not None else None
            facts = judgement.document() if judgement and self.in_documents else {}
            write_outputs(outputs, label_map, one.case.channels[0], facts)
            return replace(one, labels=None, sums=None, rows=judgement.rows() if judgement else ())
        except (BadInput, MemoryError, RuntimeError) as error:
            return left_out(self.guard, one.case, error)


def predict_cases(
    predictor: Segmenter,
    cases: Sequence[CaseFiles],
    layout: Layout,
    overwrite: bool,
    postprocessing: Postprocessing = UNCHANGED,
    safety: Safety | None = None,
    trained: Sequence[str] = (),
) -> Predicted:
    """Segment each case onto its own grid, into the files of ``layout``; finished cases are kept unless ``overwrite``.

    Probabilities, and what ``safety`` makes of them, are those before ``postprocessing``; a ``Predictor`` has no files
    of them. A case that cannot be used, or for which there is not the memory, is reported and the others go on;
    ``trained`` are configurations that could be named in its place.
    """
    in_table = layout.table is not None and safety is not None
    line = Line(memory_guard(predictor, trained), postprocessing, safety, in_documents=not in_table)
    return recorded(cases, layout, overwrite, in_table, partial(pass_through, line))


def recorded(
    cases: Sequence[CaseFiles],
    layout: Layout,
    overwrite: bool,
    in_table: bool,
    segmented: Callable[[Sequence[CaseFiles], OutputsOf], Iterable[InWork]],
) -> Predicted:
    """The outcome of ``segmented``, which gives each case that is to do when its files are written.

    The files of a case are told when they are needed: of many cases their paths take a kilobyte each.
    What is known of the cases goes into the table of ``layout`` if ``in_table``.
    """

    def segmentation(case: CaseFiles) -> Path:
        return layout.outputs(case).files[0]

    written, problems, short, announcer = [], [], [], Announcer()
    todo: list[CaseFiles] = []
    kept: list[CaseFiles] = []
    remove_partial({path.parent for case in cases for path in layout.outputs(case).files})
    with recording(layout.table) if layout.table and in_table else nullcontext() as table:
        for case in cases:
            (todo if overwrite or not is_finished(layout.outputs(case), table) else kept).append(case)
        for path, text in layout.texts.items():
            if todo or not path.is_file():
                write_text(path, text)
        if table:
            table.keep(map(segmentation, kept))
            table.begin()
        with progress(f"predict {counted(len(todo), 'case')}", parts=len(todo)) as shown:
            for done, one in enumerate(segmented(todo, layout.outputs), start=1):
                if one.failed:
                    problems.append(one.failed)
                    short += [one.failed] if one.short_of_memory else []
                    say(f"left out: {one.failed}", style="red")
                else:
                    written.append(one.case)
                    announcer.tell(one.case.name, one.unlike)
                    if table and one.rows:
                        table.put(segmentation(one.case), one.rows)
                shown.update(done / len(todo), one.case.name)
    announcer.conclude(len(todo), str(layout.table or "the JSON documents beside the segmentations"))
    files = tuple(map(segmentation, written)), tuple(map(segmentation, kept))
    return Predicted(*files, tuple(problems), tuple(announcer.sentences), tuple(short))


def is_finished(outputs: Outputs, table: PredictionTable | None) -> bool:
    """Whether all files are there, and the rows of a table that was begun before they were."""
    return outputs.finished and (table is None or not table.existed or table.has(outputs.files[0]))


def pass_through(line: Line, todo: Iterable[CaseFiles], outputs: OutputsOf) -> Iterator[InWork]:
    """Each case when its files are written.

    While the networks see a case, the next one is read and prepared (unless both are large) and the one before is
    written, each in a thread of its own.
    """

    def segmented() -> Iterator[InWork]:
        for one in map_threads(phase("prepare")(line.prepare), todo, workers=1):
            one = line.segment(one, outputs(one.case))
            yield one
            del one

    return map_threads(lambda one: line.write(one, outputs(one.case)), segmented(), workers=1)


def left_out(guard: MemoryGuard, case: CaseFiles, error: Exception) -> InWork:
    """A case that cannot be used, or that memory did not suffice for; any other error is raised."""
    if isinstance(error, BadInput):
        return InWork(case, failed=str(error))
    if not is_shortage(error):
        raise error
    return InWork(case, failed=guard.sentence(case.name, error), short_of_memory=True)


def write_outputs(outputs: Outputs, label_map: LabelMap, like: Path, facts: Mapping[str, Any]) -> None:
    """Masks, label map, documents with ``facts``: a document that is there is about the image that is there."""
    for path in outputs.sidecars:
        path.unlink(missing_ok=True)
    for mask, value in outputs.masks.items():
        images.write_labels(mask, (label_map == value).astype(np.uint8), like=like)
    if outputs.label_map:
        images.write_labels(outputs.label_map, label_map, like=like)
    for path, document in outputs.sidecars.items():
        write_json(path, {**document, **facts})


@phase("predict")
def segment(
    predictor: Segmenter, prepared: Any, case: CaseFiles, outputs: Outputs, sums: Sums | None
) -> Callable[[], LabelMap]:
    """What gives the labels, and writes the probabilities where that is asked for."""
    wanted = () if sums is None else (sums,)
    if outputs.probabilities is None and outputs.confidence is None:
        return timed("case", predictor.segment)(prepared, *wanted)
    from autoseg.inference.ensemble import PROBABILITY_ONE

    labels, probabilities = timed("case", cast("Ensemble", predictor).segment_with_probabilities)(prepared, *wanted)

    def write_then_give() -> LabelMap:
        like, independent = case.channels[0], predictor.plan.labels.has_regions
        if outputs.confidence is not None:
            write_confidence(outputs.confidence, probabilities, PROBABILITY_ONE, like, independent)
        if outputs.probabilities is not None:
            write_probabilities(outputs.probabilities, probabilities, PROBABILITY_ONE, like)
        return labels

    return write_then_give
