"""What is compared of an image."""

import numpy as np
import pytest

from autoseg.core.case import Image
from autoseg.core.labels import Labels
from autoseg.planning import case_profile
from autoseg.planning.case_profile import intensity_quantiles, profile_of, profile_of_case
from autoseg.planning.measure import measure_case


@pytest.fixture
def image():
    voxels = np.random.default_rng(0).gamma(2, 100, size=(2, 12, 10, 8)).astype(np.float32)
    voxels[0, :5] = 0
    return Image(voxels, np.diag([1.5, 1.0, 2.0, 1.0]))


def test_the_quantiles_are_those_of_nonzero_voxels(image):
    inside = image.voxels[0][image.voxels[0] != 0]
    assert intensity_quantiles(image.voxels) == (
        tuple(np.quantile(inside, (0.05, 0.5, 0.95))),
        tuple(np.quantile(image.voxels[1], (0.05, 0.5, 0.95))),
    )


def test_a_sample_is_as_good(monkeypatch):
    """Also of stripes along an axis, of which a step that divides its size would see one alone."""
    monkeypatch.setattr(case_profile, "SAMPLED_VOXELS", 4000)
    voxels = np.random.default_rng(0).gamma(2, 100, size=(1, 64, 64, 16)).astype(np.float32)
    voxels[..., ::4] += 1000
    for order in ("C", "F"):
        found = intensity_quantiles(np.asarray(voxels, order=order))[0]
        np.testing.assert_allclose([(voxels <= value).mean() for value in found], (0.05, 0.5, 0.95), atol=0.02)


def test_few_nonzero_voxels_are_found_and_none_are_zero(monkeypatch):
    monkeypatch.setattr(case_profile, "SAMPLED_VOXELS", 10)
    voxels = np.zeros((2, 9, 9, 9), np.float32)
    voxels[0, 4, 4, 4] = 7
    assert intensity_quantiles(voxels) == ((7, 7, 7), (0, 0, 0))


def test_the_profile_does_not_depend_on_how_an_image_is_stored_but_for_its_code(image):
    turned = Image(
        image.voxels.transpose(0, 3, 1, 2)[:, ::-1],
        image.affine @ np.array([[0, 1, 0, 0], [0, 0, 1, 0], [-1, 0, 0, 7], [0, 0, 0, 1]]),
    )
    plain, other = profile_of(image), profile_of(turned)
    assert plain.spacing_mm == other.spacing_mm == (1.5, 1.0, 2.0)
    assert plain.field_of_view_mm == other.field_of_view_mm == (18.0, 10.0, 16.0)
    assert (plain.orientation, other.orientation) == ("RAS", "IRA")
    np.testing.assert_allclose(plain.intensities, other.intensities)


def test_planning_and_prediction_measure_alike(image):
    labels = np.ones(image.shape, np.int32)
    measured, _ = measure_case("case", "site", "sub", image, labels, Labels(values={"background": 0, "a": 1}))
    assert profile_of_case(measured) == profile_of(image)
