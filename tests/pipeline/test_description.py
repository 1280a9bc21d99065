"""Numbers in words."""

import pytest

from autoseg.pipeline.description import enumerated, file_size, number, times


def test_sides():
    assert times((256, 256, 176)) == "256 x 256 x 176"
    assert times((0.5, 0.5, 7.5)) == "0.5 x 0.5 x 7.5"


@pytest.mark.parametrize(
    ("value", "shown"), [(1257, "1,257"), (0.0, "0"), (0.33951, "0.3395"), (-12.0, "-12"), (1e20, "1e+20")]
)
def test_numbers(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("size", "shown"), [(651, "651 bytes"), (1_694_718, "1.7 MB"), (227_586, "0.2 MB"), (2_500_000_000, "2.5 GB")]
)
def test_sizes(size, shown):
    assert file_size(size) == shown


def test_long_lists_are_cut():
    assert enumerated(["a", "b", "c"], 2) == "a, b and 1 more"
    assert enumerated([]) == "-"
