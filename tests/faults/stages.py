"""The stages of the tool on tiny images, as commands that run in processes of their own, and what they leave.

A process that has everything imported forks one for each command, so that it begins at once.
"""

import contextlib
import gzip
import hashlib
import json
import multiprocessing
import os
import re
import shutil
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.process import BaseProcess
from pathlib import Path

from autoseg.io import history
from tests.pipeline.study_files import RECIPE, write_sites, write_study

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "autoseg.pipeline.study",
        "autoseg.pipeline.prediction",
        "autoseg.training.trainer",
        "autoseg.training.probe",
        "autoseg.inference.predictor",
        "autoseg.reporting.box_plots",
        "autoseg.cli",
        "matplotlib.pyplot",
        "nibabel",
        "scipy.ndimage",
    ]
)
SAVE_INTERVAL_S = 0.02  # between states of a training that takes a second; it is half a minute in earnest
LONGEST_S = 600.0

CONVERT = ("convert-bids", "a", "b", "--dataset", "Tiny")
PLAN = ("plan", "Tiny", "--recipe", "tiny.json")
PREPARE = ("preprocess", "Tiny")
TRAIN = ("train", "Tiny", "tiny", "fold0", "--epochs", "4", "--device", "cpu", "--resume")
PREDICT = ("predict", "a", "-o", "out", "--dataset", "Tiny", "--device", "cpu", "--save-masks")
STUDY = ("study", "study.json", "--device", "cpu")


@dataclass(frozen=True)
class Stage:
    """A command and those before it."""

    name: str
    command: tuple[str, ...]
    before: tuple[tuple[str, ...], ...] = ()


STAGES = (
    Stage("conversion", CONVERT),
    Stage("preprocessing", PREPARE, (CONVERT, PLAN)),
    Stage("training", TRAIN, (CONVERT, PLAN)),
    Stage("prediction", PREDICT, (CONVERT, PLAN, TRAIN)),
    Stage("study", STUDY),
)


@dataclass(frozen=True)
class Rehearsed:
    """A stage that was run to its end once: ``work`` is put back as it was before with ``restore``."""

    stage: Stage
    work: Path
    pristine: Path
    expected: Mapping[str, str]  # file -> hash of what the stage leaves
    takes_s: float

    def restore(self) -> None:
        """Put ``work`` back: the same paths, contents and times of change."""
        shutil.rmtree(self.work)
        shutil.copytree(self.pristine, self.work, symlinks=True)

    def start(self, workers: int | None = None) -> BaseProcess:
        """Begin the stage."""
        return start(self.work, self.stage.command, workers)

    def differences(self) -> list[str]:
        """What is missing, too much (half-written files too) or otherwise than the undisturbed run left it."""
        expected, found = self.expected, contents(self.work)
        return [
            *(f"{name} is missing" for name in sorted(expected.keys() - found.keys())),
            *(f"{name} was left" for name in sorted(found.keys() - expected.keys())),
            *(f"{name} differs" for name in sorted(expected.keys() & found.keys()) if expected[name] != found[name]),
        ]


def rehearse(stage: Stage, folder: Path) -> Rehearsed:
    """Tiny sites, the commands before the stage, and the stage itself twice: the second time, everything is warm."""
    work, pristine = folder / "work", folder / "pristine"
    write_sites(work, a=2, b=2, c=1)
    write_study(work)
    (work / "tiny.json").write_text(json.dumps(RECIPE))
    for command in stage.before:
        require_success(work, command)
    shutil.copytree(work, pristine, symlinks=True)
    require_success(work, stage.command)
    first = Rehearsed(stage, work, pristine, contents(work), 0)
    first.restore()
    started = time.monotonic()
    require_success(work, stage.command)
    takes_s = time.monotonic() - started
    if problems := first.differences():
        raise RuntimeError(f"{stage.name} does not do the same twice: {problems}")
    return Rehearsed(stage, work, pristine, first.expected, takes_s)


def require_success(work: Path, command: tuple[str, ...]) -> None:
    """Run a command that nobody disturbs."""
    process = start(work, command)
    if finished(process) != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {said(work, process.pid)}")


def start(work: Path, command: tuple[str, ...], workers: int | None = None) -> BaseProcess:
    """Begin a command in a process of its own, with so many threads beside those that compute."""
    process = CONTEXT.Process(target=_run, args=(work, command, workers))
    process.start()
    return process


def finished(process: BaseProcess, seconds: float = LONGEST_S) -> int | None:
    """The exit status; None if the process had not ended by then, and was killed."""
    process.join(seconds)
    if process.exitcode is None:
        process.kill()
        process.join()
        return None
    return process.exitcode


def said(work: Path, process: int | None) -> str:
    """What the process printed."""
    log = work.parent / f"{process}.log"
    return log.read_text() if log.is_file() else ""


def _run(work: Path, command: tuple[str, ...], workers: int | None) -> None:
    from autoseg.cli import main
    from autoseg.runtime import jobs
    from autoseg.training import trainer

    if workers is not None:
        batches = trainer.batches
        jobs.num_cores = lambda: workers
        trainer.batches = lambda source, first, _, ahead: batches(source, first, workers, ahead)
    trainer.SAVE_INTERVAL_S = SAVE_INTERVAL_S
    os.chdir(work)
    sys.argv = ["autoseg", "--workspace", "workspace", *command]
    name = work.parent / f"{os.getpid()}.log"
    with name.open("w") as log, contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        status = main()
    os._exit(status)


def contents(work: Path) -> dict[str, str]:
    """File -> hash of what it holds, without durations and without the times of commands."""
    return {
        path.relative_to(work).as_posix(): hashlib.sha256(_comparable(path)).hexdigest()
        for path in sorted(work.rglob("*"))
        if path.is_file() and not path.name.startswith("events.out") and path.name != history.FILE
    }


def _comparable(path: Path) -> bytes:
    """The content, without the seconds of ``progress.jsonl`` and minutes of ``study.md``; gzipped files unpacked."""
    if path.name == "study.md":
        return re.sub(rb"\| \d+\.\d \|\n", b"|\n", path.read_bytes())
    if path.name == "progress.jsonl":
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        return json.dumps([{key: one for key, one in line.items() if key != "elapsed_s"} for line in lines]).encode()
    return gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
