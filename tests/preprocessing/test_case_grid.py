"""Boxes and grids by hand."""

import numpy as np
import pytest

from autoseg.core.geometry import box_shape
from autoseg.preprocessing.case_grid import crop_box, crops_alike, prepared_grid

SHAPE = (9, 24, 21)


@pytest.fixture
def nonzero():
    inside = np.zeros(SHAPE, bool)
    inside[2:7, 3:20, 5:6] = True
    return inside


@pytest.fixture
def configuration(tiny_pair_plan):
    def changed(dimensions=3, **changes):
        name = {2: "2d", 3: "3d_fullres"}[dimensions]
        return tiny_pair_plan.configurations[name].model_copy(update=changes)

    return changed


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, ((2, 7), (3, 20), (5, 6))),
        ({"crop": "none"}, ((0, 9), (0, 24), (0, 21))),
        ({"crop": "centre", "native_spacing": True}, ((0, 9), (4, 20), (2, 18))),  # 16 of each axis that has them
        ({"crop": "centre", "spacing_mm": (1.0, 0.5, 2.0)}, ((0, 9), (8, 16), (0, 21))),  # of the case's voxels
        (
            {"crop": "centre", "native_spacing": True, "dimensions": 2, "patch_size": (32, 8)},
            ((0, 9), (0, 24), (6, 14)),
        ),
    ],
)
def test_what_is_kept_of_a_case(nonzero, configuration, changes, expected):
    assert crop_box(nonzero, (1.0, 1.0, 1.0), configuration(**changes)) == expected


def test_without_a_nonzero_voxel_everything_is_kept(configuration):
    assert crop_box(np.zeros(SHAPE, bool), (1.0, 1.0, 1.0), configuration()) == tuple((0, size) for size in SHAPE)


@pytest.mark.parametrize(
    ("changes", "shape", "spacing"),
    [
        ({"spacing_mm": (2.0, 1.0, 1.0)}, (2, 20, 12), (2.0, 1.0, 1.0)),
        ({"dimensions": 2, "spacing_mm": (2.0, 1.0)}, (5, 10, 12), (1.0, 2.0, 1.0)),
        ({"native_spacing": True}, (5, 10, 6), (1.0, 2.0, 2.0)),
        ({"resized_shape": (10, 20, 4)}, (10, 20, 4), (0.5, 1.0, 3.0)),
    ],
)
def test_the_grid_of_a_prepared_case(configuration, changes, shape, spacing):
    box = ((2, 7), (0, 10), (3, 9))
    found = prepared_grid(box, (1.0, 2.0, 2.0), configuration(**changes))
    assert found == (shape, spacing)
    extents = [n * s for n, s in zip(found[0], found[1], strict=True)]
    if "native_spacing" in changes or "resized_shape" in changes:
        assert extents == [n * s for n, s in zip(box_shape(box), (1.0, 2.0, 2.0), strict=True)]


def test_what_can_be_averaged(configuration):
    centre = configuration(crop="centre", native_spacing=True)
    assert crops_alike(configuration(), configuration(spacing_mm=(3.0, 3.0, 3.0)))
    assert not crops_alike(configuration(), configuration(crop="none"))
    assert not crops_alike(configuration(), centre)
    assert crops_alike(centre, configuration(crop="centre", native_spacing=True, spacing_mm=(3.0, 3.0, 3.0)))
    assert not crops_alike(centre, configuration(crop="centre", native_spacing=True, patch_size=(8, 8, 8)))
    assert not crops_alike(centre, configuration(crop="centre"))
