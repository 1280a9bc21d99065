"""The training loop: one network, one configuration, one fold."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.core.training_spec import TrainingSpec
from autoseg.io.store import DecodedCases, StoredCase
from autoseg.networks import build_planned
from autoseg.runtime import ranks
from autoseg.runtime.devices import Execution
from autoseg.runtime.interrupts import deferred_interrupts
from autoseg.runtime.profiling import lap, phase
from autoseg.runtime.progress import counted, progress, say
from autoseg.training import candidates, checkpoint
from autoseg.training.bad_batch import keep
from autoseg.training.board import recording
from autoseg.training.candidates import Voxels
from autoseg.training.forecast import Forecast
from autoseg.training.frozen import freeze
from autoseg.training.optimizers import make_optimizer
from autoseg.training.overlap import dice_from_counts
from autoseg.training.patches import TRAINING_STREAM, VALIDATION_STREAM, Batch, PatchSource, SampleSource, batches
from autoseg.training.schedule import Clock
from autoseg.training.step import draws_random_numbers, pools_statistics, supervised, training_step
from autoseg.training.tracking import Record
from autoseg.training.validation import Validation, validate

SAVE_INTERVAL_S = 30.0  # with the longest of what lies between, an epoch's validation, about a minute
BATCHES_AHEAD = 3  # on a GPU, which computes while the cores read
DRAWING_STREAM = 2  # beside those of patches
SMOOTHING = 0.9  # of the validation Dice that chooses the best weights (nnU-Net)


@dataclass(frozen=True)
class Assignment:
    """What is to be trained, on what, and where it goes."""

    configuration: Configuration
    labels: Labels
    num_channels: int  # of the network's input: those of the image and of a previous stage
    training: Sequence[StoredCase]
    validation: Sequence[StoredCase]
    folder: Path
    initial_weights: Mapping[str, torch.Tensor] = field(default_factory=dict)  # of another model, for a new training
    voxels: tuple[Voxels, Voxels] | None = None  # that train and validate a classifier of single voxels
    zeros: Sequence[float] = ()  # what the normalisation makes of an intensity of 0 in each channel; empty: 0
    domains: Sequence[str] = ()  # of the training cases

    @property
    def state_path(self) -> Path:
        """The state of an unfinished training."""
        return self.folder / "state.safetensors"

    @property
    def final_path(self) -> Path:
        """The weights of a finished training."""
        return self.folder / "final.safetensors"


@phase("train")
def train(assignment: Assignment, execution: Execution, clock: Clock, on_epoch: Record | None = None) -> None:
    """Train until the schedule ends, or the loss that the plan stops at, from the state file if there is one.

    Writes ``progress.jsonl``, TensorBoard events, ``best.safetensors`` and ``final.safetensors``; ``on_epoch`` gets the
    lines of the first one too.
    A signal stops it after the step at hand: the state is then on disk, and KeyboardInterrupt follows.
    """
    configuration, labels = assignment.configuration, assignment.labels
    spec = configuration.training
    network = beginning(assignment, execution)
    optimizer = make_optimizer(network, spec)
    scaler = torch.amp.GradScaler(execution.device.split(":")[0], enabled=execution.precision == "fp16")
    run = checkpoint.Run()
    if assignment.state_path.is_file():
        run = checkpoint.load_state(assignment.state_path, network, optimizer, scaler)
        clock.elapsed_before_s += run.elapsed_s
        clock.plateau, clock.reached = run.plateau, run.reached
    ranks.copy_from_first(network.state_dict().values())
    training, validation = patch_streams(assignment, execution, run)
    saved, forecast = time.monotonic(), Forecast(spec, clock.folds)

    with (
        deferred_interrupts() as stopping,
        recording(assignment.folder, run.epoch, configuration, labels, on_epoch) as record,
        progress("train") as shown,
    ):
        while goes_on(clock, run, stopping):
            for group in optimizer.param_groups:
                group["lr"] = clock.learning_rate(run.step)
            if draws_random_numbers(network):
                torch.manual_seed(drawing_seed(spec.seed, run.step))
            batch = next(training)
            with keeping_bad_batch(assignment, batch, run.step, clock.learning_rate(run.step)):
                loss = training_step(network, optimizer, scaler, batch, execution, configuration, labels)
            run.add(loss)
            clock.agree()
            shown.update(clock.fraction(run.step), _describe(run, spec), clock.expected_left_s(run.step))
            if sentence := forecast.step():
                say(sentence)
            if run.steps_in_epoch >= spec.steps_per_epoch or clock.fraction(run.step) >= 1:
                found = validate(network, validation, execution, configuration, labels, spec.validation_steps)
                figures = end_epoch(assignment, run, found, clock, network)
                record(figures, partial(validate, network, iter([batch]), execution, configuration, labels, 1), found)
            if time.monotonic() - saved > SAVE_INTERVAL_S:
                save_state(assignment, run, clock, network, optimizer, scaler)
                saved = time.monotonic()
        if clock.fraction(run.step) < 1:
            save_state(assignment, run, clock, network, optimizer, scaler)
        elif ranks.is_first():
            checkpoint.save_weights(assignment.final_path, network, {"step": run.step, "epoch": run.epoch})
            assignment.state_path.unlink(missing_ok=True)


def beginning(assignment: Assignment, execution: Execution) -> nn.Module:
    """The network as a new training begins, on its device. BadInput if several processes cannot share its batches."""
    configuration = assignment.configuration
    torch.manual_seed(configuration.training.seed)
    network = build_planned(configuration.network, assignment.num_channels, assignment.labels.num_outputs)
    network.load_state_dict(assignment.initial_weights, strict=False)
    network = supervised(execution.place_network(network, configuration.network.dimensions))
    freeze(network, configuration.training.frozen)
    if ranks.count() > 1 and ranks.is_first() and pools_statistics(network):
        raise BadInput(
            f"{configuration.name}: {configuration.network.describe()} has batch normalisation, whose statistics are "
            "of the whole batch; train it in one process."
        )
    return network


def goes_on(clock: Clock, run: checkpoint.Run, stopping: Callable[[], int]) -> bool:
    """Whether there is another step to take; a time budget is worth one at least.

    Of several processes the first one's clock counts, and a signal to any of them stops, and then reaches, all.
    """
    clock.agree()
    requested = ranks.largest(stopping())
    if requested and not stopping():
        signal.raise_signal(requested)  # deferred, as that of the other process is
    return (clock.fraction(run.step) < 1 or not run.step) and not requested


def save_state(
    assignment: Assignment,
    run: checkpoint.Run,
    clock: Clock,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
) -> None:
    """Write the state; the first process does."""
    run.elapsed_s = clock.elapsed_s
    if ranks.is_first():
        checkpoint.save_state(assignment.state_path, run, network, optimizer, scaler)


@contextmanager
def keeping_bad_batch(assignment: Assignment, batch: Batch, step: int, learning_rate: float) -> Iterator[None]:
    """Where the loss becomes no number inside the block, the batch is written and the sentence says where."""
    try:
        yield
    except FloatingPointError as error:
        if not ranks.is_first():
            raise
        source, _ = sample_sources(assignment)
        batch = batch if ranks.count() == 1 else source.batch(step)
        spacing_mm = assignment.configuration.spacing_mm
        kept = keep(assignment.folder, batch, source, spacing_mm, {"step": step, "learning_rate": learning_rate})
        raise FloatingPointError(f"{assignment.folder}: in step {step} {error}{kept}.") from None


def drawing_seed(seed: int, step: int) -> int:
    """What a network draws in a step, such as dropout, follows from these: a resumed training draws the same.

    Processes that share a batch draw different numbers, so with dropout their number matters.
    """
    key = (seed, DRAWING_STREAM, step, *(() if ranks.is_first() else (ranks.number(),)))
    return int(np.random.SeedSequence(key).generate_state(1, np.uint64)[0] >> np.uint64(1))


def sample_sources(assignment: Assignment) -> tuple[SampleSource, SampleSource]:
    """What makes the samples of the training and of the validation."""
    configuration, seed = assignment.configuration, assignment.configuration.training.seed
    if assignment.voxels is not None:
        cases, decoded = [*assignment.training, *assignment.validation], DecodedCases(candidates.DECODED_BYTES)
        seen, unseen = assignment.voxels
        return (
            candidates.CandidateSource(cases, seen, configuration, True, TRAINING_STREAM, seed, decoded),
            candidates.CandidateSource(cases, unseen, configuration, False, VALIDATION_STREAM, seed, decoded),
        )
    labels, domains = assignment.labels, assignment.domains
    return (
        PatchSource(
            assignment.training, configuration, labels, True, TRAINING_STREAM, seed, assignment.zeros, domains=domains
        ),
        PatchSource(assignment.validation, configuration, labels, False, VALIDATION_STREAM, seed),
    )


def patch_streams(
    assignment: Assignment, execution: Execution, run: checkpoint.Run
) -> tuple[Iterator[Batch], Iterator[Batch]]:
    """Endless training batches (augmented) and validation batches (plain), from where the run stands."""
    training, plain = sample_sources(assignment)
    # On a CPU the network wants every core itself: nothing is read ahead beside it.
    on_cpu = execution.device == "cpu"
    workers, ahead = (torch.get_num_threads(), 0) if on_cpu else (max(1, ranks.own_cores() - 2), BATCHES_AHEAD)
    validated = run.epoch * assignment.configuration.training.validation_steps
    return batches(training, run.step, workers, ahead), batches(plain, validated, workers, min(ahead, 1))


def end_epoch(
    assignment: Assignment, run: checkpoint.Run, found: Validation, clock: Clock, network: nn.Module
) -> dict[str, Any]:
    """The figures of the epoch; the weights are kept if they are the best so far by what the plan chooses them by."""
    spec = assignment.configuration.training
    dice = dict(zip(assignment.labels.output_names, dice_from_counts(found.counts), strict=True))
    known = [value for value in dice.values() if value is not None]
    run.dice = mean = sum(known) / len(known) if known else 0.0
    run.smoothed_dice = mean if run.smoothed_dice is None else SMOOTHING * run.smoothed_dice + (1 - SMOOTHING) * mean
    score = {"smoothed_dice": run.smoothed_dice, "dice": mean, "loss": found.loss}[spec.best_by]
    if run.best is None or (score < run.best if spec.best_by == "loss" else score > run.best):
        run.best, run.best_epoch, run.epochs_since_best = score, run.epoch, 0
        facts = {"step": run.step, "epoch": run.epoch, "patch_dice": mean}
        if ranks.is_first():
            checkpoint.save_weights(assignment.folder / "best.safetensors", network, facts)
    else:
        run.epochs_since_best += 1
    loss = run.loss_in_epoch / run.steps_in_epoch
    figures = {
        "epoch": run.epoch,
        "step": run.step,
        "elapsed_s": round(clock.elapsed_s, 1),
        "learning_rate": clock.learning_rate(run.step - 1),
        "loss": loss,
        "validation_loss": found.loss,
        "patch_dice": dice,
        "mean_patch_dice": mean,
        f"best_{spec.best_by}": run.best,
        "best_epoch": run.best_epoch,
    }
    lap("epoch")
    run.epoch += 1
    run.steps_in_epoch, run.loss_in_epoch = 0, 0.0
    if spec.stop_at_loss is not None and loss <= spec.stop_at_loss and not run.reached:
        run.reached = clock.reached = True
        say(f"the loss of an epoch, {loss:.4g}, has reached {spec.stop_at_loss:g}: the training ends")
    shorten_at_plateau(run, clock)
    return figures


def shorten_at_plateau(run: checkpoint.Run, clock: Clock) -> None:
    """Begin the end of the schedule where the smoothed Dice has not improved for as long as the plan allows."""
    patience = clock.spec.patience_epochs
    if patience is None or run.plateau is not None or run.epochs_since_best < patience or clock.fraction(run.step) >= 1:
        return
    run.plateau = clock.plateau = clock.planned_fraction(run.step)
    name = "loss" if clock.spec.best_by == "loss" else "Dice"
    say(
        f"no better validation {name} for {counted(patience, 'epoch')}: the learning rate now falls to 0, and the "
        f"training ends at {clock.end:.1%} of its planned length, {run.plateau:.1%} of which are done"
    )


def _describe(run: checkpoint.Run, spec: TrainingSpec) -> str:
    if run.smoothed_dice is None or run.best is None:
        return f"step {run.step}"
    best = f"best {'loss ' if spec.best_by == 'loss' else ''}{run.best:.3f}"
    return f"step {run.step}  validation Dice {run.dice:.3f} (smoothed {run.smoothed_dice:.3f}, {best})"
