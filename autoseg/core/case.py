"""What crosses the borders between rooms: images, cases and the trace that undo needs."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated

import numpy as np
import numpy.typing as npt
from pydantic import Field

from autoseg.core.geometry import Box, Reorientation, Shape, spacing_mm

NAME = "\0"  # in the text of a file, where no file name has it
File = Annotated[str | Path, Field(union_mode="left_to_right")]  # no paths are tried where text is unpacked


@dataclass(frozen=True, eq=False)
class Image:
    """An image as stored: ``voxels`` of shape ``(C, X, Y, Z)`` and its RAS affine (millimetres).

    ``stated_spacing_mm`` is the voxel size of a header that states it more exactly than the affine: the size of a
    resampled grid and the axis that is resampled on its own hang on the last bit of it.
    """

    voxels: npt.NDArray[np.generic]
    affine: npt.NDArray[np.float64]
    stated_spacing_mm: tuple[float, float, float] | None = None

    @property
    def shape(self) -> Shape:
        """``(X, Y, Z)`` in voxels, stored axis order."""
        return tuple(self.voxels.shape[1:])

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Voxel size along each stored axis."""
        return self.stated_spacing_mm or spacing_mm(self.affine)


@lru_cache(maxsize=256)
def _one(text: str) -> str:
    """The same object for equal text."""
    return text


@dataclass(frozen=True, slots=True)
class CaseFiles:
    """Where one case of a dataset lies: its images, and its labels if there are any.

    The channels are those of the first file (several in a colour picture), then those of the next. ``group`` is
    what folds keep together beyond a subject (``family=3``), if anything. Many stages hold those of all cases, so
    files are held as text, a fifth of a path, in which ``NAME`` stands for the name: cases share it.
    """

    name: str
    files: tuple[File, ...]
    label_file: File | None
    domain: str
    subject: str
    group: str = ""
    session: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "files", tuple(_one(str(file)) for file in self.files))
        if self.label_file is not None:
            object.__setattr__(self, "label_file", _one(str(self.label_file)))
        object.__setattr__(self, "domain", _one(self.domain))

    @property
    def channels(self) -> tuple[Path, ...]:
        """The files of the images."""
        return tuple(Path(str(file).replace(NAME, self.name)) for file in self.files)

    @property
    def labels(self) -> Path | None:
        """The file of the labels."""
        return None if self.label_file is None else Path(str(self.label_file).replace(NAME, self.name))


@dataclass(frozen=True)
class SpatialTrace:
    """What was done to the grid of a case, in order: reorient, crop to ``box``, resample.

    ``box`` and the shapes are in working axes; ``stored_shape`` is ``(X, Y, Z)`` of the file.
    """

    stored_shape: Shape
    reorientation: Reorientation
    box: Box
    resampled_shape: Shape
    spacing_mm: tuple[float, ...]  # of the working axes before resampling
    resampled_spacing_mm: tuple[float, ...]  # what was asked for: sizes are rounded to whole voxels
    anisotropic_by_slices: bool = True  # slices far apart are not mixed with one another; not so where all are resized


@dataclass(frozen=True, eq=False)
class Case:
    """A prepared case in working axes.

    ``image`` is ``(C, *shape)`` float32; ``labels`` is ``(*shape)`` int16 or None, with -1 outside
    the nonzero region, holes filled, where there is no label. ``previous`` is the label map of the
    previous stage of a cascade, in the same way; all labels are indices (``core.labels``).
    """

    name: str
    image: npt.NDArray[np.float32]
    labels: npt.NDArray[np.int16] | None
    trace: SpatialTrace
    previous: npt.NDArray[np.int16] | None = None
