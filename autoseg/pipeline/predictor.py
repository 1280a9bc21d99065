"""A trained model in a Python program: loaded once, it segments one image after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from autoseg.core.case import Image
from autoseg.core.selection import Postprocessing
from autoseg.inference.postprocess import postprocess
from autoseg.io import images
from autoseg.io.workspace import usual_workspace
from autoseg.pipeline.memory_checks import memory_guard
from autoseg.pipeline.models import choose, named_models
from autoseg.pipeline.prediction import PredictionOptions, load
from autoseg.pipeline.segmenting import Segmenter

PathLike = Path | str


@dataclass(frozen=True)
class Segmentation:
    """What a model found in an image: ``labels`` ``(X, Y, Z)`` on the image's own grid, in its stored axis order.

    ``affine`` (RAS, mm) is that of the image; ``names`` maps each value to its name. ``source`` is the file of the
    image, None for an image that came from memory.
    """

    labels: npt.NDArray[np.integer]
    affine: npt.NDArray[np.float64]
    names: Mapping[int, str]
    source: Path | None = None

    @property
    def image(self) -> Image:
        """The labels as an image of one channel, ``(1, X, Y, Z)``."""
        return Image(self.labels[None], self.affine)

    def volumes_ml(self) -> dict[str, float]:
        """The volume of each label except the background."""
        voxel_ml = abs(float(np.linalg.det(self.affine[:3, :3]))) / 1000
        return {name: np.count_nonzero(self.labels == value) * voxel_ml for value, name in self.names.items() if value}

    def save(self, path: PathLike) -> Path:
        """Write the label map; the format follows the ending, the geometry that of the image's file. Atomic."""
        images.write_labels(Path(path), self.labels, like=self.source or self.image)
        return Path(path)


@dataclass(frozen=True)
class Predictor:
    """A trained model on a device. ``load`` makes one."""

    segmenter: Segmenter
    postprocessing: Postprocessing

    @classmethod
    def load(
        cls,
        model: PathLike,
        *,
        configuration: str | None = None,
        folds: Sequence[str] = (),
        device: str | None = None,
        mirroring: bool = True,
        step: float = 0.5,
        engine: str | None = None,
        workspace: PathLike | None = None,
    ) -> Predictor:
        """The model of a file of ``export``, of the folder of a trained fold, or of a dataset of the workspace.

        It is what ``autoseg predict`` would use: what ``select`` chose, else the recommended configuration with all
        its folds. The other arguments are the options of that verb. BadInput where there is no such model.
        """
        models = named_models(model, usual_workspace(workspace))
        chosen = choose(models, configuration, folds)
        options = PredictionOptions(device=device, mirror=mirroring, step=step, engine=engine)
        return cls(load(models, chosen, options, num_cases=1), chosen.postprocessing)

    @property
    def channels(self) -> tuple[str, ...]:
        """The contrasts of an image, in their order."""
        return self.segmenter.plan.channels

    @property
    def names(self) -> dict[int, str]:
        """The name of each value of a segmentation."""
        return self.segmenter.plan.labels.written_names

    def predict(self, image: PathLike | Sequence[PathLike] | Image) -> Segmentation:
        """Segment an image: a file, a file for each channel, or an ``Image`` ``(C, X, Y, Z)`` with its affine.

        The labels are, bit for bit, those that ``autoseg predict`` writes for it on this machine with the same engine.
        BadInput where the image cannot be read, or has not the channels of the model.
        """
        source: Path | None = None
        if isinstance(image, Image):
            name, read = "the image", image
        else:
            files = [Path(image)] if isinstance(image, Path | str) else [Path(one) for one in image]
            source, name = files[0], images.file_stem(files[0])
            read = images.read_channels(files)
        memory_guard(self.segmenter).require(name, read)
        found = postprocess(self.segmenter.segment(self.segmenter.prepare(name, read))(), self.postprocessing)
        return Segmentation(found, read.affine, self.names, source)
