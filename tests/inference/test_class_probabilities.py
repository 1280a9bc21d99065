"""Softmax, sigmoid and painted regions."""

import numpy as np

from autoseg.inference.class_probabilities import painted, sigmoid, softmax


def test_softmax_neither_overflows_nor_changes_its_input():
    logits = np.array([[1000.0, -1000.0], [999.0, 0.0]], np.float32)
    before = logits.copy()
    np.testing.assert_allclose(softmax(logits), [[1 / (1 + np.exp(-1)), 0], [1 / (1 + np.exp(1)), 1]], atol=1e-6)
    np.testing.assert_array_equal(logits, before)


def test_sigmoid_does_not_overflow():
    np.testing.assert_allclose(sigmoid(np.array([-1e4, -2, 0, 2, 1e4], np.float32)), [0, 0.1192029, 0.5, 0.8807971, 1])


def test_later_regions_are_painted_over_earlier_ones():
    values = np.array([[0.9, 0.9, 0.5, 0.1], [0.1, 0.6, 0.5, 0.7]], np.float32)[:, None]
    assert painted(values, 0.5, (2, 1)).tolist() == [[2, 1, 0, 1]]
