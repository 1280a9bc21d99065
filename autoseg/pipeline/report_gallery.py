"""The cases that a report shows, read one after the other and made small enough for a page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from autoseg.core.case import CaseFiles, Image
from autoseg.core.errors import BadInput
from autoseg.core.geometry import canonical_axes
from autoseg.core.labels import Labels
from autoseg.evaluation.error_maps import error_map
from autoseg.io import images
from autoseg.io.grids import grid_difference
from autoseg.reporting.figure_files import png_bytes
from autoseg.reporting.montage import draw_montage
from autoseg.reporting.overlays import Scan, colours_of, draw_overlay
from autoseg.reporting.page import Gallery, ShownCase
from autoseg.reporting.viewer_volumes import MOST_LABELS, base64_text, viewer_volumes
from autoseg.runtime.progress import counted, progress, say

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing

MOST_CHANNELS = 4
MOST_IN_MONTAGE = 4
OTHERS_COLOUR = "#999999"


@dataclass(frozen=True)
class Item:
    """A case to show: its images, what was found in them and, where there is one, the reference on the same grid."""

    case: CaseFiles
    segmentation: Path
    reference: Path | None = None
    rank: str = ""
    scores: Mapping[str, str] = field(default_factory=dict)


def make_gallery(
    items: Sequence[Item], channels: Sequence[str], labels: Labels, text: str
) -> tuple[Gallery, list[str]]:
    """The gallery of ``items``, and a sentence about each that cannot be shown."""
    shown, problems = [], []
    with progress(f"prepare {counted(len(items), 'case')} for the viewer") as step:
        for done, item in enumerate(items, start=1):
            try:
                shown.append(show(item, channels, labels))
            except BadInput as error:
                problems.append(str(error))
                say(f"left out of the viewer: {error}", style="red")
            step.update(done / len(items), item.case.name)
    names = viewer_names(labels)
    colours = dict(zip(names, map(colours_of(labels).get, _values(labels)), strict=False))
    return Gallery(shown, {index: (names[index], colours[index] or OTHERS_COLOUR) for index in names}, text), problems


def montage_of(items: Sequence[Item], labels: Labels) -> Callable[[], Drawing] | None:
    """What draws the first case of each rank for a paper; it reads them again. None: there is no case."""
    first = {item.rank: item for item in reversed(items)}
    chosen = [item for item in items if first[item.rank] is item][:MOST_IN_MONTAGE]
    if not chosen:
        return None

    def draw() -> Drawing:
        return draw_montage([(_title(item), read(item).scan(labels)) for item in chosen])

    return draw


@dataclass(frozen=True, eq=False)
class ReadCase:
    """An image with its label maps (stored values), all on one grid."""

    image: Image
    segmentation: npt.NDArray[np.int32]
    reference: npt.NDArray[np.int32] | None

    def scan(self, labels: Labels) -> Scan:
        """What is drawn of it: the first channel, in canonical axes."""
        canonical = canonical_axes(self.image.affine)
        x, y, z = (self.image.spacing_mm[axis] for axis in canonical.axes)
        found = canonical.apply(self.segmentation).astype(np.int32)
        wanted = None if self.reference is None else canonical.apply(self.reference).astype(np.int32)
        return Scan(canonical.apply(self.image.voxels)[0], found, (x, y, z), labels, wanted)


def read(item: Item) -> ReadCase:
    """BadInput: a file cannot be read, or lies on another grid than the image."""
    image = images.read_channels(item.case.channels)

    def on_its_grid(path: Path) -> npt.NDArray[np.int32]:
        label_map, affine = images.read_label_map(path)
        if problem := grid_difference(image.shape, image.affine, label_map.shape, affine):
            raise BadInput(f"{path}: {problem} {item.case.channels[0]}; segment the image again.")
        return label_map

    reference = None if item.reference is None else on_its_grid(item.reference)
    return ReadCase(image, on_its_grid(item.segmentation), reference)


def show(item: Item, channels: Sequence[str], labels: Labels) -> ShownCase:
    """Read a case; its label maps as numbers of the viewer's labels, its errors by kind."""
    found = read(item)
    maps: dict[str, npt.NDArray[np.integer]] = {"segmentation": viewer_values(found.segmentation, labels)}
    if found.reference is not None:
        maps["reference"] = viewer_values(found.reference, labels)
        maps["errors"] = error_map(found.segmentation, found.reference, labels)
    voxels = found.image.voxels
    names = _channel_names(channels, len(voxels))
    volumes = viewer_volumes(dict(zip(names, voxels, strict=False)), maps, found.image.affine)
    picture = draw_overlay(found.scan(labels))
    left_out = f"the first {MOST_CHANNELS} of {len(voxels)} channels" if len(voxels) > MOST_CHANNELS else ""
    note = "; ".join(filter(None, (volumes.note, left_out)))
    case = item.case
    facts = case.name, case.domain, case.subject, case.session, item.rank, item.scores
    return ShownCase(*facts, names, volumes.encoded, base64_text(png_bytes(picture)), note)


def viewer_names(labels: Labels) -> dict[int, str]:
    """The number that each label has in a viewer, from 1, and its name; what is beyond a byte shares the last one."""
    values = _values(labels)
    known = labels.written_names
    names = {index: known.get(value, f"value {value}") for index, value in enumerate(values[:MOST_LABELS], start=1)}
    if len(values) > MOST_LABELS:
        names[MOST_LABELS] = f"{len(values) - MOST_LABELS + 1} more labels"
    return names


def viewer_values(label_map: npt.NDArray[np.integer], labels: Labels) -> npt.NDArray[np.uint8]:
    """Stored values as the numbers of ``viewer_names``; background, ignored voxels and unknown values are 0."""
    values = np.array(_values(labels))
    places = np.minimum(np.searchsorted(values, label_map), len(values) - 1)
    numbers = np.where(values[places] == label_map, np.minimum(places + 1, MOST_LABELS), 0)
    return numbers.astype(np.uint8)


def _values(labels: Labels) -> list[int]:
    """Every value of a reference or a prediction but background, ascending."""
    return sorted({*labels.stored_values, *labels.written_names} - {0})


def _channel_names(channels: Sequence[str], number: int) -> list[str]:
    names = list(channels) if len(channels) == number and len(set(channels)) == number else []
    return (names or [f"channel {index + 1}" for index in range(number)])[:MOST_CHANNELS]


def _title(item: Item) -> str:
    """Such as ``worst: sub-01_T2w, Dice 0.612``."""
    scores = "".join(f", {name} {value}" for name, value in item.scores.items())
    return f"{item.rank}: {item.case.name}{scores}" if item.rank else f"{item.case.name}{scores}"
