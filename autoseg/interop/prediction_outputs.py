"""Where what is found of a case goes, and what is written about all of them: the layout of a prediction."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.prediction_table import TABLE
from autoseg.io.images import file_stem, label_file_name
from autoseg.io.probabilities import ENDING
from autoseg.io.workspace import LABELS_FILE

PROBABILITIES_FOLDER, CONFIDENCE_FOLDER, MASKS_FOLDER = "probabilities", "confidence", "masks"


@dataclass(frozen=True)
class Outputs:
    """The files of one case: a label map, masks of values of it (or masks alone), probabilities, JSON documents.

    ``confidence`` is the probability of what was decided (``io.probabilities.write_confidence``).
    """

    label_map: Path | None
    masks: Mapping[Path, int] = field(default_factory=dict)
    probabilities: Path | None = None
    sidecars: Mapping[Path, Mapping[str, Any]] = field(default_factory=dict)
    confidence: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """All of them; where the first is, the case is known by it."""
        single = (self.label_map, *self.masks, self.probabilities, self.confidence, *self.sidecars)
        return tuple(path for path in single if path is not None)

    @property
    def finished(self) -> bool:
        """Whether every file is there."""
        return all(path.is_file() for path in self.files)


@dataclass(frozen=True)
class Layout:
    """``outputs`` gives the files of a case, ``texts`` are those of the whole prediction.

    What is to be expected of each goes into the ``table``; without one, into the JSON documents of the case.
    """

    outputs: Callable[[CaseFiles], Outputs]
    texts: Mapping[Path, str]
    table: Path | None = None


def image_layout(
    folder: Path,
    labels: Labels,
    save_probabilities: bool = False,
    save_masks: bool = False,
    output_name: Callable[[CaseFiles], str] = lambda case: label_file_name(case.channels[0]),
) -> Layout:
    """All in one folder, each segmentation under the name of its image."""

    def outputs(case: CaseFiles) -> Outputs:
        name = output_name(case)
        masks = mask_files(folder / MASKS_FOLDER, name, labels) if save_masks else {}
        if not save_probabilities:
            return Outputs(folder / name, masks)
        file = file_stem(Path(name)) + ENDING
        probabilities, confidence = (folder / part / file for part in (PROBABILITIES_FOLDER, CONFIDENCE_FOLDER))
        return Outputs(folder / name, masks, probabilities, confidence=confidence)

    texts = {folder / "dseg.tsv": label_table(labels), **labels_text(folder, labels)}
    return Layout(outputs, texts, folder / TABLE)


def mask_files(folder: Path, name: str, labels: Labels) -> dict[Path, int]:
    """Where the mask of each value of the segmentation ``name`` goes: ``STEM_label-LABEL_mask``, in the way of BIDS."""
    stem = file_stem(Path(name))
    ending = name[len(stem) :]
    return {folder / f"{stem}_label-{word}_mask{ending}": value for value, word in label_words(labels).items()}


def label_words(labels: Labels, not_allowed: str = r"[\W_]") -> dict[int, str]:
    """Each foreground value and its name without what does not belong into a file name; no word comes twice."""
    short = {value: re.sub(not_allowed, "", name) for value, name in labels.written_names.items() if value}
    several = [name for name, number in Counter(short.values()).items() if number > 1 or not name]
    return {value: f"{name}{value if name in several else ''}" for value, name in short.items()}


def label_table(labels: Labels) -> str:
    """The table of values and names, in the way of BIDS."""
    return "index\tname\n" + "".join(f"{value}\t{name}\n" for value, name in labels.written_names.items())


def labels_text(folder: Path, labels: Labels) -> dict[Path, str]:
    """``labels.json``: regions and ignore, where there are any: the table of names cannot say them."""
    if not labels.joins_values and labels.ignore is None:
        return {}
    return {folder / LABELS_FILE: json.dumps(labels.document(), indent=1) + "\n"}


def refuse_to_write_over(cases: Sequence[CaseFiles], layout: Layout) -> None:
    """BadInput where an output would be an input or lie beside one, or two cases would have one output."""
    known: dict[Path, Path] = {}
    inputs = {os.path.realpath(path) for case in cases for path in (case.channels[0], case.channels[0].parent)}
    for case in cases:
        image = case.channels[0]
        output = layout.outputs(case).files[0]
        if os.path.realpath(output.parent) in inputs:
            raise BadInput(f"{output.parent}: holds the input {image.name}; give another folder for the output.")
        if output in known:
            raise BadInput(
                f"{image}: would be written to the same file as {known[output]}; predict them into different folders."
            )
        known[output] = image
