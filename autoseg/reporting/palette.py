"""The colours of all figures: methods, labels, domains, and the kinds of errors."""

from __future__ import annotations

from math import ceil

# Okabe and Ito (2008): told apart with any colour vision; black gives way to grey, on which points can be seen.
OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#999999")
HATCHES = ("", "////", "xxxx", "....")  # for more methods than colours

# By the keys of ``evaluation.error_maps.ERRORS``: missed, invented, wrong label. At least 3 to 1 on white and on
# #1a1a1a (WCAG 2.1, 1.4.11), 40 apart in CIELAB with each kind of colour vision, 25 from the colours of labels.
ERROR_COLOURS = {1: "#E60000", 2: "#9933FF", 3: "#E64DB3"}
_STRONGEST_MIX = 0.6


def label_colours(number: int) -> list[str]:
    """So many different colours for labels, as ``#RRGGBB``: those of Okabe and Ito, then darker and lighter ones.

    Grey is not among them, because images are grey.
    """
    base = OKABE_ITO[:-1]
    steps = ceil((ceil(number / len(base)) - 1) / 2)
    colours = []
    for place in range(number):
        turn, which = divmod(place, len(base))
        strength = ceil(turn / 2) / steps * _STRONGEST_MIX if turn else 0.0
        colours.append(_mixed(base[which], 0 if turn % 2 else 255, strength))
    return colours


def rgb(colour: str) -> tuple[int, int, int]:
    """``#RRGGBB`` as three numbers of 0 to 255."""
    red, green, blue = (int(colour[start : start + 2], 16) for start in (1, 3, 5))
    return red, green, blue


def _mixed(colour: str, with_grey: int, strength: float) -> str:
    return "#" + "".join(f"{round((1 - strength) * part + strength * with_grey):02X}" for part in rgb(colour))
