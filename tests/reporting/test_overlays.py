"""Colours are where labels and errors are: pixels counted in volumes of a few boxes."""

import numpy as np
import pytest

from autoseg.core.labels import Labels
from autoseg.reporting.overlays import (
    ERROR_OPACITY,
    FILL_OPACITY,
    GAP_PIXELS,
    Scan,
    colours_of,
    draw_overlay,
    draw_panels,
    window,
)
from autoseg.reporting.palette import ERROR_COLOURS, OKABE_ITO, rgb
from autoseg.reporting.slices import box_to_show

LABELS = Labels(values={"background": 0, "front": 1, "back": 2})


def scan(spacing=(1.0, 1.0, 1.0), shape=(20, 18, 18), image=0.0, labels=LABELS):
    """A cube of 10 voxels as reference; the prediction has it moved by two voxels along X."""
    reference, prediction = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
    reference[4:14, 4:14, 4:14] = 1
    prediction[6:16, 4:14, 4:14] = 1
    return Scan(np.full(shape, image, np.float32), prediction, spacing, labels, reference)


def count(picture, colour, opacity=1.0, tolerance=1):
    """Pixels of a colour over black."""
    return int((np.abs(picture.astype(float) - opacity * np.array(rgb(colour))).max(axis=2) <= tolerance).sum())


def test_areas_of_fill_outline_and_errors():
    segmentations, errors = draw_panels(scan(), side_pixels=200)  # the box is everything: 10 pixels a voxel
    assert [panel.shape for panel in segmentations + errors] == [(180, 180, 3), (180, 200, 3), (180, 200, 3)] * 2
    # The sagittal slice is the first with most errors and nearest to the middle: 14, the prediction alone.
    sagittal, coronal, axial = segmentations
    assert count(sagittal, OKABE_ITO[0], FILL_OPACITY) == 100 * 100
    for panel in (coronal, axial):  # 100 x 100 pixels of prediction, and an outline 2 pixels wide of the reference
        outline = 100**2 - 96**2
        assert count(panel, OKABE_ITO[0]) == outline
        # Of the prediction 80 x 100 lies in the reference, with its outline at three sides.
        assert count(panel, OKABE_ITO[0], FILL_OPACITY) == 100 * 100 - (80 * 100 - 78 * 96)
    sagittal, coronal, axial = errors
    assert count(sagittal, ERROR_COLOURS[2], ERROR_OPACITY) == 100 * 100
    for panel in (coronal, axial):
        assert count(panel, ERROR_COLOURS[2], ERROR_OPACITY) == 20 * 100
        white = np.array([255 * (1 - ERROR_OPACITY)] * 3) + ERROR_OPACITY * np.array(rgb(ERROR_COLOURS[1]))
        on_outline = int((np.abs(panel - white).max(axis=2) <= 1).sum())
        assert count(panel, ERROR_COLOURS[1], ERROR_OPACITY) + on_outline == 20 * 100
        assert count(panel, ERROR_COLOURS[3], ERROR_OPACITY) == 0


def test_a_wrong_label_has_its_own_colour():
    shown = scan()
    assert shown.reference is not None
    shown.prediction[:] = 2 * shown.reference
    segmentations, errors = draw_panels(shown, side_pixels=160)  # with the margin 16 voxels are shown
    inside = 98**2  # within the outline of one pixel
    assert count(errors[0], ERROR_COLOURS[3], ERROR_OPACITY) == inside
    assert count(segmentations[0], OKABE_ITO[1], FILL_OPACITY) == 96**2  # the prediction's colour within the outline
    assert count(segmentations[0], OKABE_ITO[0]) == 100**2 - 96**2


@pytest.mark.parametrize("spacing", [(1.0, 1.0, 2.0), (0.5, 1.0, 1.5), (2.9, 1.0, 1.0)])
def test_proportions_are_true(spacing):
    shown = scan(spacing)
    box = box_to_show((shown.prediction > 0) | (shown.reference > 0), spacing)
    row, _ = draw_panels(shown, side_pixels=240)
    x, y, z = ((stop - start) * length for (start, stop), length in zip(box, spacing, strict=True))
    pixel_mm = max(x, y, z) / 240
    for panel, (height_mm, width_mm) in zip(row, ((z, y), (z, x), (y, x)), strict=True):
        assert panel.shape[:2] == (round(height_mm / pixel_mm), round(width_mm / pixel_mm))
    fill = [(np.abs(p - FILL_OPACITY * np.array(rgb(OKABE_ITO[0]))).max(axis=2) <= 1) for p in row[:1]]
    rows, columns = np.flatnonzero(fill[0].any(axis=1)), np.flatnonzero(fill[0].any(axis=0))
    assert np.ptp(rows) + 1 == pytest.approx(10 * spacing[2] / pixel_mm, abs=1)
    assert np.ptp(columns) + 1 == pytest.approx(10 * spacing[1] / pixel_mm, abs=1)


def test_a_prediction_alone_is_filled_and_outlined():
    shown = scan()
    (row,) = draw_panels(Scan(shown.image, shown.prediction, shown.spacing_mm, LABELS), side_pixels=160)
    for panel in row:
        assert count(panel, OKABE_ITO[0]) == 100**2 - 96**2
        assert count(panel, OKABE_ITO[0], FILL_OPACITY) == 96**2


def test_rows_are_one_below_the_other():
    shown = scan((1.0, 1.0, 2.0))
    picture = draw_overlay(shown, 100)
    top, bottom = draw_panels(shown, 100)
    height = max(panel.shape[0] for panel in top)
    assert picture.dtype == np.uint8
    assert picture.shape == (2 * height + GAP_PIXELS, sum(panel.shape[1] for panel in top) + 2 * GAP_PIXELS, 3)
    np.testing.assert_array_equal(picture[:height, : top[0].shape[1]], top[0])
    np.testing.assert_array_equal(picture[-height:, : bottom[0].shape[1]], bottom[0])


def test_an_image_of_one_slice_and_thick_slices():
    thin = scan()
    assert thin.reference is not None
    flat = Scan(
        thin.image[:, :, 9:10], thin.prediction[:, :, 9:10], (1.0, 1.0, 1.0), LABELS, thin.reference[:, :, 9:10]
    )
    assert [[panel.shape for panel in row] for row in draw_panels(flat, 100)] == [[(90, 100, 3)]] * 2
    thick = draw_panels(scan((1.0, 1.0, 4.0)), 100)
    assert [[panel.shape for panel in row] for row in thick] == [[(90, 100, 3)] * 3] * 2


def test_nothing_to_show_is_the_image():
    empty = np.zeros((6, 7, 8), np.uint8)
    image = np.ones((6, 7, 8)) * np.arange(1, 9)
    row, errors = draw_panels(Scan(image, empty, (1.0, 1.0, 1.0), LABELS, empty), 80)
    for panel in row + errors:
        assert (np.ptp(panel, axis=2) == 0).all()
    sagittal = row[0].astype(int)[:, 0, 0]
    assert (np.diff(sagittal) <= 0).all()  # the brightest is at the top
    assert (sagittal[0], sagittal[-1]) == (255, 0)


def test_window_by_hand():
    values = np.concatenate([np.zeros(1000), np.arange(1.0, 202.0)])
    low, high = np.percentile(np.arange(1.0, 202.0), (0.5, 99.5))
    greys = window(values)
    assert (low, high) == (2, 200)
    np.testing.assert_allclose(greys[1000:], np.clip((np.arange(1.0, 202.0) - 2) / 198, 0, 1))
    assert window(np.array([np.nan, np.inf, 1.0, 2.0]))[0] == 0
    assert window(np.zeros(3)).tolist() == [0, 0, 0]
    assert window(np.array([0.0, 5, 5])).tolist() == [0, 1, 1]


def test_colours_are_by_name_and_what_no_region_writes_has_one():
    assert colours_of(LABELS) == {1: OKABE_ITO[0], 2: OKABE_ITO[1]}
    swapped = Labels(values={"background": 0, "back": 2, "front": 1})
    assert colours_of(swapped) == {1: OKABE_ITO[1], 2: OKABE_ITO[0]}
    regions = Labels(values={"background": 0, "whole": (1, 2, 3), "core": (2, 3)}, region_order=(1, 2))
    assert colours_of(regions) == {1: OKABE_ITO[0], 2: OKABE_ITO[1], 3: OKABE_ITO[0]}
