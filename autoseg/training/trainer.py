"""The training loop: one network, one configuration, one fold."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import nn

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.io.store import DecodedCases, StoredCase
from autoseg.networks import build_planned
from autoseg.runtime.devices import Execution
from autoseg.runtime.interrupts import stop_requests
from autoseg.runtime.jobs import num_cores
from autoseg.runtime.progress import counted, progress, say
from autoseg.training import candidates, checkpoint
from autoseg.training.candidates import Voxels
from autoseg.training.losses import dice_from_counts, overlap_counts
from autoseg.training.patches import TRAINING_STREAM, VALIDATION_STREAM, Batch, PatchSource, SampleSource, batches
from autoseg.training.schedule import Clock
from autoseg.training.step import batch_parts, forward, in_parts, training_step
from autoseg.training.tracking import Record, tracker

SAVE_INTERVAL_S = 60.0
BATCHES_AHEAD = 3  # on a GPU, which computes while the cores read
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

    @property
    def state_path(self) -> Path:
        """The state of an unfinished training."""
        return self.folder / "state.safetensors"

    @property
    def final_path(self) -> Path:
        """The weights of a finished training."""
        return self.folder / "final.safetensors"


def train(assignment: Assignment, execution: Execution, clock: Clock) -> bool:
    """Train until the schedule ends, continuing from the state file if there is one.

    Writes ``progress.jsonl``, TensorBoard events, ``best.safetensors`` and ``final.safetensors``.
    Returns False if a signal stopped it before the end; the state is then on disk.
    """
    spec = assignment.configuration.training
    torch.manual_seed(spec.seed)
    network = build_planned(assignment.configuration.network, assignment.num_channels, assignment.labels.num_outputs)
    network.load_state_dict(assignment.initial_weights, strict=False)
    network = execution.place_network(network, assignment.configuration.network.dimensions)
    network.deep_supervision = True  # type: ignore[assignment]
    optimizer = make_optimizer(network, assignment.configuration)
    scaler = torch.amp.GradScaler(execution.device.split(":")[0], enabled=execution.precision == "fp16")
    run = checkpoint.Run()
    if assignment.state_path.is_file():
        run = checkpoint.load_state(assignment.state_path, network, optimizer, scaler)
        clock.elapsed_before_s += run.elapsed_s
        clock.plateau = run.plateau
    training, validation = patch_streams(assignment, execution, run)
    saved = time.monotonic()

    with stop_requests() as stopping, tracker(assignment.folder, run.epoch) as record, progress("train") as shown:
        while clock.fraction(run.step) < 1 and not stopping():
            for group in optimizer.param_groups:
                group["lr"] = clock.learning_rate(run.step)
            loss = training_step(
                network, optimizer, scaler, next(training), execution, assignment.configuration, assignment.labels
            )
            run.loss_in_epoch += loss
            run.step += 1
            run.steps_in_epoch += 1
            shown.update(clock.fraction(run.step), _describe(run), clock.left_s)
            if run.steps_in_epoch >= spec.steps_per_epoch or clock.fraction(run.step) >= 1:
                counts = validate(network, validation, execution, assignment.labels, spec.validation_steps)
                end_epoch(assignment, run, counts, clock, network, record)
            if time.monotonic() - saved > SAVE_INTERVAL_S:
                run.elapsed_s = clock.elapsed_s
                checkpoint.save_state(assignment.state_path, run, network, optimizer, scaler)
                saved = time.monotonic()
        finished = clock.fraction(run.step) >= 1
        if finished:
            checkpoint.save_weights(assignment.final_path, network, {"step": run.step, "epoch": run.epoch})
            assignment.state_path.unlink(missing_ok=True)
        else:
            run.elapsed_s = clock.elapsed_s
            checkpoint.save_state(assignment.state_path, run, network, optimizer, scaler)
    return finished


def make_optimizer(network: nn.Module, configuration: Configuration) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum."""
    spec = configuration.training
    return torch.optim.SGD(
        network.parameters(),
        lr=spec.initial_learning_rate,
        momentum=spec.momentum,
        nesterov=spec.momentum > 0,
        weight_decay=spec.weight_decay,
    )


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
    labels = assignment.labels
    return (
        PatchSource(assignment.training, configuration, labels, True, TRAINING_STREAM, seed),
        PatchSource(assignment.validation, configuration, labels, False, VALIDATION_STREAM, seed),
    )


def patch_streams(
    assignment: Assignment, execution: Execution, run: checkpoint.Run
) -> tuple[Iterator[Batch], Iterator[Batch]]:
    """Endless training batches (augmented) and validation batches (plain), from where the run stands."""
    training, plain = sample_sources(assignment)
    # On a CPU the network wants every core itself: nothing is read ahead beside it.
    on_cpu = execution.device == "cpu"
    workers, ahead = (torch.get_num_threads(), 0) if on_cpu else (max(1, num_cores() - 2), BATCHES_AHEAD)
    validated = run.epoch * assignment.configuration.training.validation_steps
    return batches(training, run.step, workers, ahead), batches(plain, validated, workers, min(ahead, 1))


def validate(
    network: nn.Module, validation: Iterator[Batch], execution: Execution, labels: Labels, num_batches: int
) -> torch.Tensor:
    """Overlap counts ``(3, outputs but background)`` summed over patches of the validation cases."""
    network.eval()
    counts = torch.zeros(())
    for _ in range(num_batches):
        batch = next(validation)
        image, target = execution.place(batch.image), batch.target.to(execution.device)

        @torch.no_grad()
        def count(part: slice, image: torch.Tensor = image, target: torch.Tensor = target) -> torch.Tensor:
            return overlap_counts(forward(network, image[part], execution)[0], target[part], labels).cpu()

        counts = counts + torch.stack(in_parts(count, batch_parts(len(image), execution))).sum(0)
    network.train()
    return counts


def end_epoch(
    assignment: Assignment,
    run: checkpoint.Run,
    counts: torch.Tensor,
    clock: Clock,
    network: nn.Module,
    record: Record,
) -> None:
    """Record the epoch, and keep the weights if the smoothed Dice is the best so far."""
    dice = dict(zip(assignment.labels.output_names, dice_from_counts(counts), strict=True))
    known = [value for value in dice.values() if value is not None]
    mean = sum(known) / len(known) if known else 0.0
    run.dice = mean
    run.smoothed_dice = mean if run.smoothed_dice is None else SMOOTHING * run.smoothed_dice + (1 - SMOOTHING) * mean
    if run.best_dice is None or run.smoothed_dice > run.best_dice:
        run.best_dice, run.epochs_since_best = run.smoothed_dice, 0
        facts = {"step": run.step, "epoch": run.epoch, "patch_dice": mean}
        checkpoint.save_weights(assignment.folder / "best.safetensors", network, facts)
    else:
        run.epochs_since_best += 1
    record(
        {
            "epoch": run.epoch,
            "step": run.step,
            "elapsed_s": round(clock.elapsed_s, 1),
            "learning_rate": clock.learning_rate(run.step - 1),
            "loss": run.loss_in_epoch / run.steps_in_epoch,
            "patch_dice": dice,
            "mean_patch_dice": mean,
            "best_smoothed_dice": run.best_dice,
        }
    )
    run.epoch += 1
    run.steps_in_epoch, run.loss_in_epoch = 0, 0.0
    shorten_at_plateau(run, clock)


def shorten_at_plateau(run: checkpoint.Run, clock: Clock) -> None:
    """Begin the end of the schedule where the smoothed Dice has not improved for as long as the plan allows."""
    patience = clock.spec.patience_epochs
    if patience is None or run.plateau is not None or run.epochs_since_best < patience or clock.fraction(run.step) >= 1:
        return
    run.plateau = clock.plateau = clock.planned_fraction(run.step)
    say(
        f"no better validation Dice for {counted(patience, 'epoch')}: the learning rate now falls to 0, and the "
        f"training ends at {clock.end:.1%} of its planned length, {run.plateau:.1%} of which are done"
    )


def _describe(run: checkpoint.Run) -> str:
    if run.smoothed_dice is None or run.best_dice is None:
        return f"step {run.step}"
    return (
        f"step {run.step}  validation Dice {run.dice:.3f} (smoothed {run.smoothed_dice:.3f}, best {run.best_dice:.3f})"
    )
