"""Case after case through the networks, and onto the disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
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
from autoseg.interop.prediction_table import PredictionTable, recording
from autoseg.io import images
from autoseg.io.files import remove_partial, write_json, write_text
from autoseg.io.probabilities import write_confidence, write_probabilities
from autoseg.pipeline.memory_checks import MemoryGuard, memory_guard
from autoseg.pipeline.safety import Announcer, Judgement, Safety
from autoseg.runtime.jobs import map_threads
from autoseg.runtime.memory import is_shortage
from autoseg.runtime.profiling import phase, timed
from autoseg.runtime.progress import counted, progress, say

if TYPE_CHECKING:
    from autoseg.core.trained_ranges import Finding
    from autoseg.inference.ensemble import Ensemble
    from autoseg.inference.predictor import Labels as LabelMap

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
    judgement: Judgement | None = None
    failed: str | None = None
    short_of_memory: bool = False
    alone: bool = False  # large: no other large case is read until the networks have seen it


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
    outputs = {case: layout.outputs(case) for case in cases}
    written, problems, short, announcer = [], [], [], Announcer()
    guard = memory_guard(predictor, trained)
    remove_partial({path.parent for own in outputs.values() for path in own.files})
    with recording(layout.table) if layout.table and safety else nullcontext() as table:
        todo = {case: own for case, own in outputs.items() if overwrite or not is_finished(own, table)}
        for path, text in layout.texts.items():
            if todo or not path.is_file():
                write_text(path, text)
        if table:
            table.keep(own.files[0] for case, own in outputs.items() if case not in todo)
            table.begin()
        with progress(f"predict {counted(len(todo), 'case')}", parts=len(todo)) as shown:
            finished = pass_through(guard, todo, postprocessing, safety, in_documents=table is None)
            for done, one in enumerate(finished, start=1):
                if one.failed:
                    problems.append(one.failed)
                    short += [one.failed] if one.short_of_memory else []
                    say(f"left out: {one.failed}", style="red")
                else:
                    written.append(todo[one.case].files[0])
                    announcer.tell(one.case.name, one.unlike)
                    if table and one.judgement:
                        table.put(written[-1], one.judgement.rows())
                shown.update(done / len(todo), one.case.name)
    announcer.conclude(len(todo), str(layout.table or "the JSON documents beside the segmentations"))
    skipped = [own.files[0] for case, own in outputs.items() if case not in todo]
    return Predicted(tuple(written), tuple(skipped), tuple(problems), tuple(announcer.sentences), tuple(short))


def is_finished(outputs: Outputs, table: PredictionTable | None) -> bool:
    """Whether all files are there, and the rows of a table that was begun before they were."""
    return outputs.finished and (table is None or not table.existed or table.has(outputs.files[0]))


def pass_through(
    guard: MemoryGuard,
    todo: Mapping[CaseFiles, Outputs],
    postprocessing: Postprocessing,
    safety: Safety | None,
    in_documents: bool,
) -> Iterator[InWork]:
    """Each case when its files are written; ``in_documents`` puts what is known of it into its JSON documents.

    While the networks see a case, the next one is read and prepared (unless both are large) and the one before is
    written, each in a thread of its own.
    """

    predictor: Segmenter = guard.predictor
    room_for_large = Semaphore()

    def prepare(case: CaseFiles) -> InWork:
        alone = False
        try:
            alone = guard.require_by_header(case) > LARGE_CASE_VALUES and room_for_large.acquire()
            image = images.read_channels(case.channels)
            guard.require(case.name, image)
            prepared = predictor.prepare(case.name, image)  # first: it refuses a wrong number of channels
            return InWork(case, prepared, unlike=safety.unlike(image) if safety else (), alone=alone)
        except Exception as error:
            if alone:
                room_for_large.release()
            if not isinstance(error, BadInput | MemoryError | RuntimeError):
                raise
            return left_out(guard, case, error)

    def segmented() -> Iterator[InWork]:
        for one in map_threads(phase("prepare")(prepare), todo, workers=1):
            sums = safety.no_sums() if safety else None
            labels = None
            try:
                if not one.failed:
                    labels = segment(predictor, one.prepared, one.case, todo[one.case], sums)
                one = replace(one, prepared=None, labels=labels, sums=sums)
            except (BadInput, MemoryError, RuntimeError) as error:
                one = replace(left_out(guard, one.case, error), alone=one.alone)
            finally:
                if one.alone:
                    room_for_large.release()
            yield one
            del one, labels

    def write(one: InWork) -> InWork:
        try:
            if one.labels is None:
                return one
            label_map = postprocess(one.labels(), postprocessing)
            judgement = safety.judge(one.sums, one.unlike) if safety and one.sums is not None else None
            facts = judgement.document() if judgement and in_documents else {}
            write_outputs(todo[one.case], label_map, one.case.channels[0], facts)
            return replace(one, labels=None, judgement=judgement)
        except (BadInput, MemoryError, RuntimeError) as error:
            return left_out(guard, one.case, error)

    return map_threads(write, segmented(), workers=1)


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
