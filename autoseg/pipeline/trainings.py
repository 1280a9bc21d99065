"""Several trainings: one after the other in this process, or side by side, each by a worker in a process of its own."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.plan import read_plan
from autoseg.io.workspace import Workspace
from autoseg.pipeline.cascade import held_out_label_maps
from autoseg.pipeline.preparation import prepare_cases, read_or_make_plan, require_configuration, require_own_plan
from autoseg.pipeline.runs import cases_of_fold
from autoseg.pipeline.training import (
    Summary,
    TrainingOptions,
    already_trained,
    resolve_folds,
    start_or_continue,
    told_together,
    train,
)
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.own_process import STOPPED, run_module
from autoseg.runtime.progress import Progress, counted, progress, say
from autoseg.runtime.repeating import repeatedly
from autoseg.runtime.workers import LostWork, Workers, give_back, is_wanted
from autoseg.training.schedule import Clock

MODULE = "autoseg.pipeline.one_training"
WHOLE = 1.0  # of a GPU, or of the cores of a worker
FOLLOW_S = 5.0
# What a process may answer instead of a summary: an error of one of these kinds, and its sentence.
ERRORS = {kind.__name__: kind for kind in (BadInput, FloatingPointError, MemoryError, ChildProcessError)}


@dataclass(frozen=True)
class Training:
    """What is trained: ``fold`` is one of them, ``cv`` or ``all``."""

    workspace: Workspace
    dataset: str
    configuration: str
    fold: str


def train_all(trainings: Sequence[Training], options: TrainingOptions) -> list[dict[str, Summary]]:
    """Of each training, fold -> summary (None for ``all``); by the workers of the options if they have any.

    FloatingPointError: the loss of one became no number; when the others are trained. BadInput and MemoryError: one
    cannot be trained; then too where workers train.
    """
    if options.workers is not None:
        return _by_workers(trainings, options, options.workers)
    found: list[dict[str, Summary]] = []
    failures = []
    for one in trainings:
        if len(trainings) > 1:
            say(f"train {one.dataset} {one.configuration} {one.fold}")
        try:
            found.append(train(one.workspace, one.dataset, one.configuration, one.fold, options))
        except FloatingPointError as error:
            if len(trainings) == 1:
                raise
            failures.append(f"{one.dataset} {one.configuration} failed: {error}")
    if failures:
        raise FloatingPointError(told_together(failures, "trainings"))
    return found


def _by_workers(trainings: Sequence[Training], options: TrainingOptions, workers: Workers) -> list[dict[str, Summary]]:
    """Prepare the cases, share out the folds, and collect what became of them."""
    splits, init_from = (path and path.absolute() for path in (options.splits, options.init_from))
    workers.require_seen(path for path in (splits, init_from) if path)
    parts = [replace(one, fold=fold) for one in trainings for fold in _begin(one, options, workers)]
    found: dict[Training, Summary] = {}
    failures: list[tuple[type[Exception], str]] = []
    title = f"train {counted(len(parts), 'fold')} on {counted(workers.num_workers, 'worker')}"
    with progress(title) as shown, _followed(parts, shown):
        begun = replace(options, workers=None, overwrite=False, resume=True, splits=splits, init_from=init_from)
        train_one = partial(train_in_process, begun)
        for part, answer in workers.results(train_one, parts, WHOLE):
            name = f"{part.dataset} {part.configuration} {part.fold}"
            if isinstance(answer, LostWork):
                failures.append(
                    (ChildProcessError, f"{name}: {answer.reason}; the same command with --resume continues.")
                )
            elif "error" in answer:
                failures.append((ERRORS[answer["error"]], answer["sentence"]))
            else:
                found[part] = answer["summary"]
            if failures and part not in found:
                say(f"{name} failed: {failures[-1][1]}", style="red")
    if failures:
        kinds = [kind for kind, _ in failures]
        raise kinds[0](told_together([sentence for _, sentence in failures], "folds"))
    return [{part.fold: found[part] for part in parts if replace(part, fold=one.fold) == one} for one in trainings]


@contextmanager
def _followed(parts: Sequence[Training], shown: Progress) -> Iterator[None]:
    """Inside the block the step shows how far the folds are, as their folders tell."""
    started = time.monotonic()
    before = sum(map(done_share, parts)) / len(parts)

    def follow() -> None:
        shares = [done_share(one) for one in parts]
        done, spent_s = sum(shares) / len(parts), time.monotonic() - started
        left_s = spent_s * (1 - done) / (done - before) if done > before else None
        under_way = (f"{one.fold} {share:.0%}" for one, share in zip(parts, shares, strict=True) if 0 < share < 1)
        shown.update(done, ", ".join(under_way), left_s)

    with repeatedly(follow, FOLLOW_S):
        yield


def done_share(training: Training) -> float:
    """How much of a fold is trained, 0 to 1, as of the last epoch that has ended."""
    folder = training.workspace.model_folder(training.dataset, training.configuration, training.fold)
    if (folder / "final.safetensors").is_file():
        return 1.0
    try:
        last = json.loads((folder / "progress.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        plan = read_plan((folder / "plan.json").read_text(encoding="utf-8"), str(folder))
    except (OSError, ValueError, IndexError, BadInput):  # not begun, or just being written
        return 0.0
    spec = plan.configurations[training.configuration].training
    return Clock(spec, elapsed_before_s=last["elapsed_s"]).fraction(last["step"])


def _begin(training: Training, options: TrainingOptions, workers: Workers) -> list[str]:
    """The folds to train, in folders that a training may continue in, with their cases prepared."""
    workspace, name = training.workspace, training.dataset
    dataset, plan = workspace.read_dataset(name), read_or_make_plan(workspace, name)
    require_own_plan(dataset, plan)
    configuration = require_configuration(plan, training.configuration)
    folds = resolve_folds(dataset, plan, training.fold, options.splits)
    if options.on_epoch is not None:
        raise BadInput("on_epoch: figures of epochs do not come back from workers; leave it out.")
    for fold in folds:
        folder = workspace.model_folder(name, configuration.name, fold)
        if options.overwrite and options.init_from and folder.resolve() in options.init_from.resolve().parents:
            raise BadInput(f"{options.init_from}: lies where --overwrite trains anew; copy it elsewhere.")
        if not already_trained(folder, options, several=training.fold == "cv"):
            start_or_continue(folder, options)
    begun = (cases_of_fold(workspace, dataset, configuration, *fold, anew=options.overwrite) for fold in folds.items())
    wanted = {case for fold in begun for case in (*fold.train, *fold.validation)}
    cases: list[CaseFiles] = [case for case in dataset.cases if case.name in wanted]
    stages = held_out_label_maps(workspace, dataset, configuration, [case.name for case in cases])
    prepare_cases(workspace, plan, [configuration], cases, {configuration.name: stages}, workers)
    return list(folds)


def train_in_process(options: TrainingOptions, training: Training) -> dict[str, Any]:
    """In a worker: train one fold in a process of its own; its summary, or an error and its sentence.

    It ends, with its state saved, with this process or when nobody waits for it any more; where this worker is to end,
    another one goes on.
    """
    folder = training.workspace.model_folder(training.dataset, training.configuration, training.fold)
    request = {
        "training": {**asdict(training), "workspace": str(training.workspace.root)},
        "options": {name: str(value) if isinstance(value, Path) else value for name, value in asdict(options).items()},
        "cores": num_cores(),
    }
    wanted = is_wanted()
    try:
        answer = run_module(MODULE, request, wanted)
    except (ChildProcessError, KeyboardInterrupt) as error:  # the latter of the other process: here it ends the worker
        if not wanted():
            give_back()
        stopped = f"{folder}: its training was stopped; --resume continues."
        return {"error": "ChildProcessError", "sentence": str(error) or stopped}
    if answer == STOPPED:
        sentence = (
            f"{folder}: the system ended its training, as for lack of memory; the same command with --resume continues."
        )
        return {"error": "MemoryError", "sentence": sentence}
    result: dict[str, Any] = answer
    return result
