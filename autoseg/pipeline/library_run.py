"""One configuration run by one library, sampled, in a process of its own: what an earlier run has taken is not in it.

``python -m autoseg.pipeline.library_run`` reads a request from stdin and writes the run to stdout, both as JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from autoseg.core.case import Case, CaseFiles
from autoseg.core.plan import Configuration, Plan
from autoseg.io import images, store
from autoseg.io.files import write_bytes, write_text
from autoseg.io.workspace import Workspace
from autoseg.networks import build_planned
from autoseg.pipeline.cascade import held_out_label_maps, reading
from autoseg.pipeline.preparation import read_or_make_plan
from autoseg.preprocessing.previous_stage import num_input_channels
from autoseg.reporting.profile_table import LibraryRun
from autoseg.runtime.memory import keep_freed_memory
from autoseg.runtime.own_process import STOPPED, run_module
from autoseg.runtime.profiling import Phase, phase, sampling, timed

if TYPE_CHECKING:
    from autoseg.inference.predictor import Predictor
    from autoseg.training.trainer import Assignment

MODULE = "autoseg.pipeline.library_run"
REST_SHARE, SHORTEST_REST_S = 0.1, 1.0  # of the time of a phase; but at least


@dataclass(frozen=True)
class Request:
    """What to run: ``cases`` are prepared; each phase lasts ``seconds``, and takes at least one step, pass or case.

    Samples are appended to ``samples``, their time from ``begun_s`` (of ``time.time``) on.
    """

    workspace: str
    dataset: str
    configuration: str
    library: str
    device: str
    seconds: float
    cases: tuple[str, ...]
    samples: str
    begun_s: float


def run_library(request: Request) -> LibraryRun:
    """Run it in a new process; RuntimeError if that fails."""
    answer = run_module(MODULE, asdict(request))
    if answer == STOPPED:
        raise RuntimeError(
            f"profile: {request.configuration} with {request.library} was stopped by the system, "
            "most likely for want of memory"
        )
    return LibraryRun(**answer | {"patch_size": tuple(answer["patch_size"])})


def run_here(request: Request) -> LibraryRun:
    """Run it in this process, with a network of random weights."""
    workspace = Workspace(Path(request.workspace))
    plan = read_or_make_plan(workspace, request.dataset)
    configuration = plan.configurations[request.configuration]
    folder = workspace.preprocessed_folder(request.dataset, request.configuration)
    cases = [store.open_case(folder, name) for name in request.cases]
    files = [case for case in workspace.read_dataset(request.dataset).cases if case.name in request.cases]
    subject = f"{request.configuration} {request.library}"
    execution: dict[str, str] = {}
    with (
        TemporaryDirectory() as temporary,
        sampling(Path(request.samples), subject, request.device, begun_s=request.begun_s) as recording,
    ):
        assignment = _assignment(plan, configuration, cases, Path(temporary))
        trainable, fixed = save_random_network(plan, assignment)
        with phase("rest"):
            threading.Event().wait(
                max(SHORTEST_REST_S, REST_SHARE * request.seconds)
            )  # for what a process takes that does nothing
        if request.library == "torch":
            keep_freed_memory()  # as a training does
            execution["train"] = train(assignment, request)
        predictor = load(workspace, plan, assignment, request)
        execution["predict"] = predictor.describe()
        evaluate(predictor, assignment, request)
        predict(predictor, files, request)
    return LibraryRun(
        configuration.name,
        configuration.network.name,
        request.library,
        trainable,
        fixed,
        configuration.patch_size,
        configuration.batch_size,
        configuration.training.steps_per_epoch,
        configuration.training.validation_steps,
        execution,
        recording.summary()[subject],
    )


def _assignment(
    plan: Plan, configuration: Configuration, cases: Sequence[store.StoredCase], folder: Path
) -> Assignment:
    from autoseg.training.trainer import Assignment

    return Assignment(configuration, plan.labels, num_input_channels(plan, configuration), cases, cases, folder)


def save_random_network(plan: Plan, assignment: Assignment) -> tuple[int, int]:
    """A fold as a training leaves it, but for what the weights have learned; parameters: trainable, fixed.

    The batches that a batch norm has seen are no parameter.
    """
    import torch

    from autoseg.networks import model_file

    torch.manual_seed(0)
    network = build_planned(assignment.configuration.network, assignment.num_channels, assignment.labels.num_outputs)
    write_bytes(assignment.final_path, model_file.serialise(network.state_dict(), {}))
    write_text(assignment.folder / "plan.json", plan.model_dump_json())
    weights = list(network.parameters())
    trainable = sum(weight.numel() for weight in weights if weight.requires_grad)
    buffers = sum(b.numel() for name, b in network.named_buffers() if not name.endswith("num_batches_tracked"))
    return trainable, sum(weight.numel() for weight in weights) - trainable + buffers


def repeat(name: Phase, seconds: float, action: Callable[[], object]) -> None:
    """``action`` once before (it allocates, picks kernels, compiles), then again and again in the phase ``name``."""
    action()
    with phase(name):
        end = time.monotonic() + seconds
        action()
        while time.monotonic() < end:
            action()


def train(assignment: Assignment, request: Request) -> str:
    """Real training steps on real patches; how they were executed."""
    import torch

    from autoseg.runtime.devices import usual_execution
    from autoseg.training import checkpoint, step, trainer
    from autoseg.training.optimizers import make_optimizer

    configuration = assignment.configuration
    execution = usual_execution(request.device, configuration.training.precision)
    network = build_planned(configuration.network, assignment.num_channels, assignment.labels.num_outputs)
    network = execution.place_network(network, configuration.network.dimensions)
    network = step.supervised(network)
    optimizer = make_optimizer(network, configuration.training)
    scaler = torch.amp.GradScaler(execution.device.split(":")[0], enabled=execution.precision == "fp16")
    batches, _ = trainer.patch_streams(assignment, execution, checkpoint.Run())

    def one_step() -> float:
        batch = next(batches)
        return step.training_step(network, optimizer, scaler, batch, execution, configuration, assignment.labels)

    repeat("train", request.seconds, timed("step", one_step, request.device))
    return execution.describe()


def load(workspace: Workspace, plan: Plan, assignment: Assignment, request: Request) -> Predictor:
    """What ``predict`` would load for the fold."""
    from autoseg.inference.predictor import load_predictor

    dataset, configuration = workspace.read_dataset(plan.dataset), assignment.configuration
    previous = reading(held_out_label_maps(workspace, dataset, configuration, request.cases))
    return load_predictor(
        [assignment.folder], configuration.name, request.device, engine=request.library, previous=previous
    )


def evaluate(predictor: Predictor, assignment: Assignment, request: Request) -> None:
    """Forward passes of a validation batch."""
    from autoseg.training.patches import VALIDATION_STREAM, PatchSource

    source = PatchSource(
        assignment.validation, assignment.configuration, assignment.labels, False, VALIDATION_STREAM, seed=0
    )
    batch = source.batch(0).image
    repeat("evaluate", request.seconds, lambda: predictor.engines[0](batch))


def predict(predictor: Predictor, files: Sequence[CaseFiles], request: Request) -> None:
    """Whole cases, one after the other; they are prepared before."""
    prepared: list[Case] = []
    with phase("prepare"):
        for one in files:
            prepared.append(predictor.prepare(one.name, images.read_channels(one.channels)))
    segment = timed("case", lambda case: predictor.segment(case)(), request.device)
    with phase("predict"):
        end = time.monotonic() + request.seconds
        for done, case in enumerate(cycle(prepared)):
            if done and time.monotonic() >= end:
                break
            segment(case)


if __name__ == "__main__":
    print(json.dumps(asdict(run_here(Request(**json.load(sys.stdin))))))
