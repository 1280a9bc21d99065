"""Segmentations over their images: the reference as an outline, the prediction as a fill, errors in their colours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoseg.core.geometry import box_slices
from autoseg.core.labels import Labels
from autoseg.evaluation.error_maps import error_map
from autoseg.reporting.palette import ERROR_COLOURS, label_colours, rgb
from autoseg.reporting.slices import View, box_to_show, choose_views

SIDE_PIXELS = 320
GAP_PIXELS = 4
GAP_GREY = 90
WINDOW_PERCENTILES = (0.5, 99.5)
FILL_OPACITY = 0.4
ERROR_OPACITY = 0.8
OUTLINE_PIXELS = 2
FINE_PIXELS = 4  # pixels a voxel, below which an outline is thinner, so that it does not hide small things
REFERENCE_IN_ERRORS = "#FFFFFF"

Picture = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Scan:
    """One case to show, all arrays ``(X, Y, Z)`` on one grid in canonical (RAS) order.

    ``prediction`` and ``reference`` hold the values of ``labels``; without a reference the prediction is shown alone.
    """

    image: npt.NDArray[np.generic]
    prediction: npt.NDArray[np.integer]
    spacing_mm: tuple[float, float, float]
    labels: Labels
    reference: npt.NDArray[np.integer] | None = None


def draw_overlay(scan: Scan, side_pixels: int = SIDE_PIXELS) -> Picture:
    """An RGB picture ``(height, width, 3)`` of up to three slices, below them their errors if there is a reference.

    The slices are those of ``slices.choose_views``, cut to the surroundings of the labels, in true proportions and at
    one scale; the longest side of the largest is ``side_pixels``.
    """
    rows = [_beside(panels) for panels in draw_panels(scan, side_pixels)]
    gap = np.full((GAP_PIXELS, rows[0].shape[1], 3), GAP_GREY, np.uint8)
    return rows[0] if len(rows) == 1 else np.concatenate([rows[0], gap, rows[1]])


def draw_panels(scan: Scan, side_pixels: int = SIDE_PIXELS) -> list[list[Picture]]:
    """The pictures of ``draw_overlay`` one by one: a row of segmentations, and one of errors if there is a reference.

    Without a reference the outline is that of the prediction.
    """
    foreground = scan.labels.stored_values[1:]
    labelled = np.isin(scan.prediction, foreground)
    errors = np.zeros(scan.prediction.shape, np.uint8)
    if scan.reference is not None:
        labelled |= np.isin(scan.reference, foreground)
        errors = error_map(scan.prediction, scan.reference, scan.labels)
    box = box_slices(box_to_show(labelled, scan.spacing_mm))
    image = window(scan.image[box])
    prediction, errors = scan.prediction[box], errors[box]
    outlined = prediction if scan.reference is None else scan.reference[box]
    views = choose_views(labelled[box], errors > 0, scan.spacing_mm)
    pixel_mm = _pixel_mm(views, image.shape, scan.spacing_mm, side_pixels)
    colours = colours_of(scan.labels)
    segmentations, wrong = [], []
    for view in views:
        grid = _Grid(view, scan.spacing_mm, pixel_mm)
        grey = np.repeat(grid.smooth(image)[..., None], 3, axis=2)
        outline = grid.nearest(outlined)
        edges = np.where(_is_edge(outline, grid.outline_pixels), outline, 0)
        picture = _painted(grey, grid.nearest(prediction), colours, FILL_OPACITY)
        segmentations.append(_as_bytes(_painted(picture, edges, colours, 1.0)))
        if scan.reference is not None:
            thin = np.where(_is_edge(outline, 1), outline, 0)
            picture = _painted(grey, thin, dict.fromkeys(foreground, REFERENCE_IN_ERRORS), 1.0)
            wrong.append(_as_bytes(_painted(picture, grid.nearest(errors), ERROR_COLOURS, ERROR_OPACITY)))
    return [segmentations, wrong] if wrong else [segmentations]


def colours_of(labels: Labels) -> dict[int, str]:
    """The colour of each value of a label map, by the order of the names in the document of the labels.

    A value that no region writes has the colour of the first region that it belongs to.
    """
    names = list(labels.foreground)
    by_name = dict(zip(names, label_colours(len(names)), strict=True))
    written = labels.written_names
    return {
        value: by_name[written[value]]
        if value in written
        else next(by_name[name] for name in names if value in labels.foreground[name])
        for value in labels.stored_values[1:]
    }


def window(image: npt.NDArray[np.generic]) -> Floats:
    """Intensities as greys of 0 to 1, between two percentiles of the finite values that are not 0, of any shape."""
    values = np.nan_to_num(np.asarray(image, np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    known = values[values != 0]
    if not known.size:
        return np.zeros_like(values)
    low, high = np.percentile(known, WINDOW_PERCENTILES)
    if high <= low:  # a constant image
        return np.where(values >= high, 1.0, 0.0)
    greys: Floats = np.clip((values - low) / (high - low), 0.0, 1.0)
    return greys


@dataclass(frozen=True)
class _Grid:
    """The pixels of one picture: squares of ``pixel_mm``, from the edge of the first voxel to that of the last."""

    view: View
    spacing_mm: tuple[float, float, float]
    pixel_mm: float

    @property
    def outline_pixels(self) -> int:
        """How wide outlines are."""
        return 1 if min(self.view.pixel_mm(self.spacing_mm)) < FINE_PIXELS * self.pixel_mm else OUTLINE_PIXELS

    def nearest(self, voxels: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """The slice with the value of the voxel that each pixel's centre lies in."""
        plane = self.view.cut(voxels)
        rows, columns = (np.floor(at + 0.5).astype(int) for at in self._at(plane))
        found: npt.NDArray[np.int64] = plane[np.ix_(rows, columns)].astype(np.int64)
        return found

    def smooth(self, voxels: Floats) -> Floats:
        """The slice in linear interpolation."""
        from scipy.ndimage import map_coordinates

        plane = self.view.cut(voxels)
        places = np.stack(np.meshgrid(*self._at(plane), indexing="ij"))
        found: Floats = map_coordinates(plane, places, order=1, mode="nearest")
        return found

    def _at(self, plane: npt.NDArray[np.generic]) -> list[Floats]:
        """The centres of the pixels along rows and columns, in voxels of ``plane``."""
        centres = []
        for size, voxel_mm in zip(plane.shape, self.view.pixel_mm(self.spacing_mm), strict=True):
            number = max(1, round(size * voxel_mm / self.pixel_mm))
            centres.append((np.arange(number) + 0.5) * size / number - 0.5)
        return centres


def _pixel_mm(
    views: Sequence[View], shape: tuple[int, ...], spacing_mm: tuple[float, float, float], side_pixels: int
) -> float:
    """The size of a pixel with which the longest side of all views has ``side_pixels``."""
    sides = [shape[axis] * spacing_mm[axis] for axis in range(3)]
    return max(side for view in views for axis, side in enumerate(sides) if axis != view.axis) / side_pixels


def _is_edge(labels: npt.NDArray[np.int64], pixels: int) -> npt.NDArray[np.bool_]:
    """Where another label is at most so many pixels away; the border of the picture is no edge."""
    from scipy.ndimage import maximum_filter, minimum_filter

    size = 2 * pixels + 1
    highest = maximum_filter(labels, size, mode="nearest")
    edge: npt.NDArray[np.bool_] = (highest != labels) | (minimum_filter(labels, size, mode="nearest") != labels)
    return edge


def _painted(picture: Floats, labels: npt.NDArray[np.int64], colours: Mapping[int, str], opacity: float) -> Floats:
    """``picture`` ``(H, W, 3)`` of 0 to 1 with each label that has a colour painted over it."""
    painted = picture.copy()
    for value in np.unique(labels).tolist():
        if value in colours:
            where = labels == value
            painted[where] = (1 - opacity) * painted[where] + opacity * np.array(rgb(colours[value])) / 255
    return painted


def _as_bytes(picture: Floats) -> Picture:
    return np.rint(255 * picture).astype(np.uint8)


def _beside(panels: Sequence[Picture]) -> Picture:
    """Pictures side by side, centred, with gaps between them."""
    height = max(panel.shape[0] for panel in panels)
    gap = np.full((height, GAP_PIXELS, 3), GAP_GREY, np.uint8)
    parts = []
    for panel in panels:
        parts += [gap, centred(panel, height, panel.shape[1])]
    return np.concatenate(parts[1:], axis=1)


def centred(panel: Picture, height: int, width: int) -> Picture:
    """A picture in the middle of a black one of this size, which is at least its own."""
    above, left = (height - panel.shape[0]) // 2, (width - panel.shape[1]) // 2
    around = np.zeros((height, width, 3), np.uint8)
    around[above : above + panel.shape[0], left : left + panel.shape[1]] = panel
    return around
