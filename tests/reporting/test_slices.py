"""The slices with the most errors or labels, and how they lie in a picture, in volumes worked out by hand."""

import numpy as np
import pytest

from autoseg.reporting.slices import View, box_to_show, choose_views

ISOTROPIC = (1.0, 1.0, 1.0)


def empty(shape=(10, 12, 14)):
    return np.zeros(shape, bool)


def test_the_slices_with_most_errors():
    labelled, errors = empty(), empty()
    labelled[1:9, 1:9, 1:9] = True
    errors[6, 2:5, 7] = True
    errors[6, 3, 8] = True
    assert choose_views(labelled, errors, ISOTROPIC) == (View(0, 6), View(1, 3), View(2, 7))


def test_without_errors_those_with_most_labels_nearest_to_the_middle():
    labelled = empty()
    labelled[2:9, 5, 5:8] = True
    labelled[3, 5:9, 6] = True
    assert choose_views(labelled, empty(), ISOTROPIC) == (View(0, 3), View(1, 5), View(2, 6))
    ball = empty((11, 11, 11))
    ball[2:9, 2:9, 2:9] = True  # all of its slices alike
    assert choose_views(ball, empty((11, 11, 11)), ISOTROPIC) == (View(0, 5), View(1, 5), View(2, 5))


def test_thick_slices_are_shown_across_the_coarse_axis_alone():
    labelled, errors = empty(), empty()
    labelled[2:8, 2:8, 2:11] = True  # slices 2 to 10: thirds of three
    errors[2:4, 2, 3] = errors[2:4, 2, 7] = errors[2, 2, 8] = errors[2, 2, 10] = True
    views = choose_views(labelled, empty(), (1.0, 1.0, 3.5))
    assert {view.axis for view in views} == {2}
    assert [view.index for view in views] == [4, 7, 8]  # of each third the nearest to the middle, 6.5
    assert choose_views(labelled, errors, (1.0, 1.0, 3.5)) == (View(2, 7), View(2, 8), View(2, 10))
    assert len(choose_views(labelled, errors, (1.0, 1.0, 3.0))) == 3
    one = empty()
    one[2, 2, 9] = True
    assert choose_views(one, empty(), (1.0, 1.0, 4.0)) == (View(2, 9),)


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_an_image_of_one_slice_is_that_slice(axis):
    shape = [8, 9, 10]
    shape[axis] = 1
    labelled = np.ones(shape, bool)
    assert choose_views(labelled, labelled, (1.0, 5.0, 1.0)) == (View(axis, 0),)


def test_pictures_lie_as_anatomy_does():
    voxels = np.zeros((3, 4, 5), int)
    voxels[2, 1, 4] = 1  # right, back of the middle, top
    assert np.argwhere(View(0, 2).cut(voxels)).tolist() == [[0, 1]]  # front is at the right
    assert np.argwhere(View(1, 1).cut(voxels)).tolist() == [[0, 2]]  # right is at the right
    assert np.argwhere(View(2, 4).cut(voxels)).tolist() == [[2, 2]]  # front is at the top
    assert View(2, 4).cut(voxels).shape == (4, 3)
    assert View(0, 0).pixel_mm((1.0, 2.0, 3.0)) == (3.0, 2.0)


def test_the_box_has_a_margin_in_mm():
    labelled = empty((100, 100, 50))
    labelled[40:60, 45:55, 20:25] = True  # 20, 10 and 10 mm: the margin is a tenth of 100 mm
    assert box_to_show(labelled, (1.0, 1.0, 2.0)) == ((30, 70), (35, 65), (15, 30))
    labelled[10:90, 50, 22] = True  # 80 mm: the margin is 24 mm
    assert box_to_show(labelled, (1.0, 1.0, 2.0)) == ((0, 100), (21, 79), (8, 37))
    assert box_to_show(empty((4, 5, 6)), ISOTROPIC) == ((0, 4), (0, 5), (0, 6))
