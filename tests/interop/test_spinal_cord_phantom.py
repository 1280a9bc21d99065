"""The phantom, measured with a ruler."""

from __future__ import annotations

import numpy as np
import pytest

from autoseg.interop.spinal_cord_phantom import GREY_MATTER, T2STAR, T2W, Anatomy, degrade, draw_anatomy, render


def test_cord_area_equals_its_superellipse() -> None:
    """Area of |x/a|^n + |y/b|^n < 1 is 4ab gamma(1 + 1/n)^2 / gamma(1 + 2/n), less the fissure."""
    from scipy.special import gamma

    anatomy = Anatomy(7.0, 4.5, 3.0, 0.0, 0.0, (0.0, 0.0), 0.0, 0.0)
    _, labels = render(anatomy, T2W, (120, 120, 1), (0.25, 0.25, 5.0), np.random.default_rng(0))
    area_mm2 = np.count_nonzero(labels) * 0.25**2
    expected_mm2 = 4 * 7.0 * 1.08 * 4.5 * gamma(1 + 1 / 2.2) ** 2 / gamma(1 + 2 / 2.2)
    assert area_mm2 == pytest.approx(expected_mm2, rel=0.03)
    np.testing.assert_array_equal(labels, labels[::-1])  # left and right are alike


def test_clean_cord_has_the_intensities_of_its_contrast() -> None:
    anatomy = Anatomy(7.0, 4.5, 3.0, 0.0, 0.0, (0.0, 0.0), 0.0, 0.0)
    for contrast in (T2W, T2STAR):
        image, labels = render(anatomy, contrast, (240, 240, 1), (0.2, 0.2, 5.0), np.random.default_rng(0))
        assert float(np.median(image[labels == GREY_MATTER])) == pytest.approx(contrast.grey, rel=0.05)
        assert float(np.median(image[labels == 1])) == pytest.approx(contrast.white, rel=0.05)


def test_rician_noise_and_bias() -> None:
    noisy = degrade(np.zeros((40, 40, 40), np.float32), 2.0, 0.0, np.random.default_rng(0))
    assert float(noisy.mean()) == pytest.approx(2.0 * np.sqrt(np.pi / 2), rel=0.02)  # mean of a Rayleigh variable
    biased = degrade(np.ones((20, 20, 20), np.float32), 0.0, 0.3, np.random.default_rng(1))
    assert float(np.abs(biased - 1).max()) == pytest.approx(0.3, rel=1e-5)


def test_anatomies_differ() -> None:
    generator = np.random.default_rng(0)
    assert draw_anatomy(generator) != draw_anatomy(generator)
