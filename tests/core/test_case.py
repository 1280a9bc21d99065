"""Images know their grid."""

import dataclasses

import numpy as np
import pytest

from autoseg.core.case import Image


def test_shape_and_spacing_leave_the_channels_out():
    image = Image(np.zeros((2, 3, 4, 5)), np.diag([-0.5, 1.0, 2.0, 1.0]))
    assert image.shape == (3, 4, 5)
    assert image.spacing_mm == (0.5, 1.0, 2.0)


def test_what_crosses_a_border_cannot_be_changed():
    image = Image(np.zeros((1, 1, 1, 1)), np.eye(4))
    with pytest.raises(dataclasses.FrozenInstanceError):
        image.affine = np.eye(4)
