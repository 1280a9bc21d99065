"""Colours are told apart with each kind of colour vision, and errors are seen on light and dark."""

import itertools

import numpy as np
import pytest
from skimage.color import rgb2lab

from autoseg.reporting.palette import ERROR_COLOURS, OKABE_ITO, label_colours, rgb

# Machado, Oliveira and Fernandes (2009), severity 1, for linear RGB.
VISION = {
    "normal": np.eye(3),
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritanopia": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def linear(colour):
    parts = np.array(rgb(colour)) / 255
    return np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)


def lab(colour, vision):
    seen = np.clip(np.array(VISION[vision]) @ linear(colour), 0, 1)
    return rgb2lab(np.where(seen <= 0.0031308, 12.92 * seen, 1.055 * seen ** (1 / 2.4) - 0.055))


def contrast(one, other):
    bright, dark = sorted((linear(colour) @ [0.2126, 0.7152, 0.0722] + 0.05 for colour in (one, other)), reverse=True)
    return bright / dark


@pytest.mark.parametrize("vision", VISION)
def test_errors_are_told_apart(vision):
    for one, other in itertools.combinations(ERROR_COLOURS.values(), 2):
        assert np.linalg.norm(lab(one, vision) - lab(other, vision)) > 40, (one, other)


def test_errors_are_no_labels_and_seen_on_light_and_dark():
    for colour in ERROR_COLOURS.values():
        assert contrast(colour, "#FFFFFF") >= 3
        assert contrast(colour, "#1A1A1A") >= 3
        for label in OKABE_ITO[:-1]:
            assert np.linalg.norm(lab(colour, "normal") - lab(label, "normal")) > 25, (colour, label)


@pytest.mark.parametrize("number", [0, 1, 7, 8, 14, 15, 118])
def test_every_label_has_a_colour_of_its_own(number):
    colours = label_colours(number)
    assert len(colours) == len(set(colours)) == number
    assert colours[:7] == list(OKABE_ITO[: min(7, number)])


def test_further_labels_are_darker_then_lighter():
    colours = label_colours(21)
    assert contrast("#FFFFFF", colours[7]) > contrast("#FFFFFF", colours[0]) > contrast("#FFFFFF", colours[14])
    assert (colours[7], colours[14]) == ("#002E47", "#99C7E0")  # 60 % of black, of white
