"""A known smooth field on a phantom of two tissues is taken off again."""

import numpy as np
import pytest

from autoseg.core.case import Image
from autoseg.core.geometry import box_slices
from autoseg.preprocessing import prepare
from autoseg.preprocessing.bias_field import correct_bias_field, correction_mask
from tests.preprocessing.test_prepare import make_plan

SHAPE = (48, 56, 40)
SPACING = (1.0, 1.0, 1.2)


def phantom(background: float = 0.0, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Tissues 1 and 2 (``(X, Y, Z)`` int) in a ball; intensities 100 and 160 with 1 % noise, ``background`` around."""
    random = np.random.default_rng(seed)
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    tissue = np.where(x**2 + y**2 + z**2 < 0.9, np.where(np.sin(5 * x) * np.cos(4 * y) * np.cos(3 * z) > 0, 2, 1), 0)
    clean = np.choose(tissue, (background, 100.0, 160.0)) * (1 + 0.01 * random.normal(size=SHAPE))
    return clean.astype(np.float32), tissue


def field() -> np.ndarray:
    """A factor of about 2 between opposite corners."""
    x, y, z = np.meshgrid(*(np.linspace(-1, 1, size) for size in SHAPE), indexing="ij")
    return np.exp(0.25 * x - 0.15 * y + 0.2 * z**2 - 0.1 * x * y)


def variation(image: np.ndarray, tissue: np.ndarray) -> float:
    """The mean over tissues of the coefficient of variation."""
    return float(np.mean([image[tissue == kind].std() / image[tissue == kind].mean() for kind in (1, 2)]))


@pytest.mark.parametrize("background", [0.0, 4.0])
def test_a_multiplicative_field_is_removed(background):
    clean, tissue = phantom(background)
    biased = (clean * field()).astype(np.float32)
    corrected = correct_bias_field(biased, SPACING)
    assert corrected.dtype == np.float32
    assert variation(biased, tissue) > 0.12
    assert variation(corrected, tissue) < variation(biased, tissue) / 6
    ratio = biased[tissue > 0] / corrected[tissue > 0] / field()[tissue > 0]
    assert np.std(np.log(ratio)) < 0.02  # the field itself is found, up to a constant factor


def test_an_image_without_a_field_is_left_nearly_as_it_is():
    clean, tissue = phantom()
    corrected = correct_bias_field(clean, SPACING)
    assert variation(corrected, tissue) < 0.03
    np.testing.assert_array_equal(corrected[tissue == 0], 0)


def test_the_same_bits_every_time():
    biased = (phantom()[0] * field()).astype(np.float32)
    np.testing.assert_array_equal(correct_bias_field(biased, SPACING), correct_bias_field(biased, SPACING))


def test_the_mask_is_what_was_left_or_what_is_bright():
    clean, tissue = phantom()
    np.testing.assert_array_equal(correction_mask(clean), tissue > 0)
    clean, tissue = phantom(background=4.0)
    np.testing.assert_array_equal(correction_mask(clean), tissue > 0)
    assert not correction_mask(np.zeros(SHAPE, np.float32)).any()


@pytest.mark.parametrize("value", [-3.0, 0.0, 7.0])
def test_without_contrast_there_is_nothing_to_correct(value):
    flat = np.full(SHAPE, value, np.float32)
    np.testing.assert_array_equal(correct_bias_field(flat, SPACING), flat)


def test_preparation_corrects_before_it_normalises_and_never_ct():
    voxels = (phantom()[0] * field()).astype(np.float32)
    image = Image(np.stack((voxels, voxels)), np.diag([1.0, 1.0, 1.2, 1.0]))
    plan = make_plan((1.0, 1.0, 1.2), schemes=("zscore", "ct"))
    plain = plan.configurations["only"]
    corrected = plain.model_copy(update={"bias_field_correction": True})
    before = prepare.apply("case", image, None, plan, plain)
    after = prepare.apply("case", image, None, plan, corrected)
    np.testing.assert_array_equal(after.image[1], before.image[1])
    box = box_slices(before.trace.box)
    found = correct_bias_field(voxels[box], SPACING)
    np.testing.assert_allclose(after.image[0], (found - found.mean()) / found.std(), atol=1e-4)
    assert not np.allclose(after.image[0], before.image[0], atol=0.1)
