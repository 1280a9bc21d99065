"""Cases segmented by workers: each has the networks of one request, and one case in them at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from threading import Lock
from typing import Any, TypeVar

from autoseg.core.case import CaseFiles
from autoseg.interop.prediction_outputs import Outputs
from autoseg.pipeline.segmenting import InWork, Line, OutputsOf
from autoseg.runtime.jobs import keeping_last
from autoseg.runtime.workers import LostWork, Workers

SHARE = 0.5  # of a GPU: while the networks see a case, another one is read and prepared, or written

Request = TypeVar("Request")

in_networks = Lock()  # so that the memory for one case suffices, whatever the number of threads


def segment_elsewhere(
    workers: Workers,
    make_line: Callable[[Request], Line],
    request: Request,
    todo: Iterable[CaseFiles],
    outputs: OutputsOf,
) -> Iterator[InWork]:
    """As ``segmenting.pass_through``, by ``workers``, of which each calls ``make_line`` with ``request`` once."""
    items = ((case, outputs(case)) for case in todo)
    for (case, _), done in workers.results(partial(segment_one, make_line, request), items, SHARE):
        if isinstance(done, LostWork):
            done = InWork(case, failed=f"{case.name}: {done.reason}.", short_of_memory=True)
        yield replace(done, case=case)  # not the copy that came back, which takes as much memory again


def segment_one(make_line: Callable[[Request], Line], request: Request, item: tuple[CaseFiles, Outputs]) -> InWork:
    """In a worker: one case from its files to those of its segmentation."""
    case, outputs = item
    line = _line((make_line, request))
    one = line.prepare(case)
    with in_networks:
        one = line.segment(one, outputs)
    return line.write(one, outputs)


@keeping_last
def _line(made_by: tuple[Callable[[Any], Line], Any]) -> Line:
    make_line, request = made_by
    return make_line(request)
