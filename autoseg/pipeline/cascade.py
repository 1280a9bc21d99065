"""Where the label maps of a cascade's previous stage come from.

In training and validation they are the segmentations of the cases that were held out (models/NAME/STAGE/foldK/
validation): those of training cases would be better than any that the next stage will ever see again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from autoseg.core.case import Image
from autoseg.core.errors import BadInput
from autoseg.core.plan import Configuration
from autoseg.io import images
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.runtime.progress import say

if TYPE_CHECKING:
    from autoseg.inference.predictor import Labels, PreviousStage


def held_out_label_maps(
    workspace: Workspace, dataset: RawDataset, configuration: Configuration, cases: Sequence[str]
) -> dict[str, Path]:
    """Case -> the file of the previous stage; empty without one. BadInput if a case was not held out yet.

    A classifier of single voxels needs none (``pipeline.voxel_cascade``).
    """
    stage = configuration.previous_stage
    if stage is None or configuration.candidates is not None:
        return {}
    found = found_label_maps(workspace, dataset, stage)
    missing = [name for name in cases if name not in found]
    if missing:
        listed = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise BadInput(
            f"{dataset.name}: {configuration.name} needs what {stage} finds in cases that it was not trained on, and "
            f"{len(missing)} are missing ({listed}); run `autoseg train {dataset.name} {stage} cv` first."
        )
    return {name: found[name] for name in cases}


def available_label_maps(
    workspace: Workspace, dataset: RawDataset, configurations: Sequence[Configuration], required: bool
) -> dict[str, dict[str, Path]]:
    """Configuration -> ``held_out_label_maps`` of all cases; one that lacks them is left out unless ``required``."""
    maps = {}
    for configuration in configurations:
        try:
            maps[configuration.name] = held_out_label_maps(
                workspace, dataset, configuration, [case.name for case in dataset.cases]
            )
        except BadInput as error:
            if required:
                raise
            say(f"left out: {error}", style="yellow")
    return maps


def found_label_maps(workspace: Workspace, dataset: RawDataset, stage: str) -> dict[str, Path]:
    """Case -> the segmentation of the finished fold that held it out."""
    found: dict[str, Path] = {}
    for fold in workspace.trained_configurations(dataset.name).get(stage, ()):
        folder = workspace.model_folder(dataset.name, stage, fold) / "validation"
        if folder.is_dir():
            found |= {images.file_stem(path): path for path in images.list_images(folder)}
    return found


def reading(files: Mapping[str, Path]) -> PreviousStage | None:
    """What gives the label map of a case from its file; None if there are no files."""

    def read(name: str, image: Image) -> Labels:
        return images.read_labels(files[name])

    return read if files else None
