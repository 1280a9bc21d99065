"""TensorBoard: what a training leaves to look at in the browser, where the package is installed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.runtime import ranks
from autoseg.training.overlap import measures_from_counts
from autoseg.training.tracking import Record, tracker
from autoseg.training.validation import Sample, Validation

# The figures of an epoch, how the network does on the last training batch, and on the validation patches.
Show = Callable[[Mapping[str, Any], Validation, Validation], None]
Picture = npt.NDArray[np.float32]


@contextmanager
def board(folder: Path, epochs_done: int, configuration: Configuration, labels: Labels) -> Iterator[Show | None]:
    """A function that shows one epoch; None without the tensorboard package, and then nothing needs to be measured.

    Events after ``epochs_done`` of an earlier run are dropped.
    """
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        yield None
        return
    writer = SummaryWriter(str(folder), purge_step=epochs_done)
    if epochs_done == 0:
        text = configuration.model_dump_json(indent=1)
        writer.add_text("configuration", "".join(f"    {line}\n" for line in text.splitlines()), 0)

    def show(figures: Mapping[str, Any], training: Validation, validation: Validation) -> None:
        epoch = figures["epoch"]
        for tag, number in _scalars(figures, {"training": training, "validation": validation}, labels):
            if number is not None:
                writer.add_scalar(tag, number, epoch)
        shown = pictures(validation.sample, labels) if validation.sample else {}
        for tag, picture in shown.items():
            writer.add_image(tag, picture, epoch, dataformats="HW")
        writer.flush()

    try:
        yield show
    finally:
        writer.close()


@contextmanager
def recording(
    folder: Path, epochs_done: int, configuration: Configuration, labels: Labels, on_epoch: Record | None
) -> Iterator[Callable[[dict[str, Any], Callable[[], Validation], Validation], None]]:
    """A function that takes the figures of an epoch, what tells how its last batch is done, and the validation.

    ``progress.jsonl``, ``on_epoch`` and the board get them, from the first process. Where the board shows that batch,
    all processes look at their share of it.
    """
    first = ranks.is_first()
    write = tracker(folder, epochs_done) if first else None
    with board(folder, epochs_done, configuration, labels) if first else nullcontext() as show:
        wanted = ranks.of_first(float(show is not None))

        def record(figures: dict[str, Any], of_batch: Callable[[], Validation], found: Validation) -> None:
            if write is not None:
                write(figures)
            if on_epoch is not None:
                on_epoch(figures)
            seen = of_batch() if wanted else None
            if show is not None and seen is not None:
                show(figures, seen, found)

        yield record


def _scalars(
    figures: Mapping[str, Any], validations: Mapping[str, Validation], labels: Labels
) -> Iterator[tuple[str, float | None]]:
    """Each figure; ``validation/recall/LABEL`` and so on."""
    for name, value in figures.items():
        for key, number in value.items() if isinstance(value, dict) else [(None, value)]:
            yield (name if key is None else f"{name}/{key}"), number
    for where, validation in validations.items():
        for measure, values in measures_from_counts(validation.counts).items():
            for label, number in zip(labels.output_names, values, strict=True):
                yield f"{where}/{measure}/{label}", number


def pictures(sample: Sample, labels: Labels) -> dict[str, Picture]:
    """``(rows, columns)`` in 0..1 of a patch, its middle slice in 3D.

    Each input channel from its lowest value to its highest, the probability of each output, the predicted and the
    reference indices (where regions overlap, those that the last one writes).
    """
    probabilities = sample.logits.sigmoid() if labels.has_regions else sample.logits.softmax(0)
    names = labels.output_names if labels.has_regions else (labels.written_names[0], *labels.output_names)
    if labels.has_regions:
        predicted = torch.zeros_like(sample.target)
        for inside, index in zip(sample.logits > 0, labels.written_indices, strict=True):
            predicted[inside] = index
    else:
        predicted = sample.logits.argmax(0)
    shown = {f"input/{number}": _stretched(channel) for number, channel in enumerate(sample.image)}
    shown |= {f"output/{name}": one for name, one in zip(names, probabilities, strict=True)}
    highest = len(labels.stored_values) - (labels.ignore_index is None)
    shown |= {"prediction": predicted / highest, "reference": sample.target / highest}
    return {tag: _middle(picture) for tag, picture in shown.items()}


def _stretched(channel: torch.Tensor) -> torch.Tensor:
    low, high = channel.min(), channel.max()
    return (channel - low) / (high - low).clamp(min=1e-8)


def _middle(voxels: torch.Tensor) -> Picture:
    picture: Picture = (voxels if voxels.ndim == 2 else voxels[len(voxels) // 2]).numpy().astype(np.float32)
    return picture
