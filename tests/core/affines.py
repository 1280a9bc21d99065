"""Affines and shapes for tests of properties."""

from __future__ import annotations

from itertools import permutations, product
from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

TURNS = [
    np.eye(3)[:, list(order)] * np.array(signs)
    for order in permutations(range(3))
    for signs in product((1, -1), repeat=3)
]


@st.composite
def affines(draw: Any, most_degrees: float = 180.0, most_shear: float = 0.3) -> npt.NDArray[np.float64]:
    """Any of the 48 orders and directions of axes, rotated and sheared, sides of 0.1 to 10 mm, anywhere."""
    spacing_mm = [draw(st.floats(0.1, 10)) for _ in range(3)]
    vector = np.array([draw(st.floats(-1, 1)) for _ in range(3)])
    degrees = draw(st.floats(-most_degrees, most_degrees))
    slants = [draw(st.floats(-most_shear, most_shear)) for _ in range(3)]
    shear = np.eye(3)
    shear[np.triu_indices(3, 1)] = slants
    affine = np.eye(4)
    affine[:3, :3] = rotation(vector, degrees) @ shear @ draw(st.sampled_from(TURNS)) @ np.diag(spacing_mm)
    affine[:3, 3] = [draw(st.floats(-500, 500)) for _ in range(3)]
    return affine


def rotation(axis: npt.NDArray[np.float64], degrees: float) -> npt.NDArray[np.float64]:
    """Rodrigues' formula; the identity for an axis of no length."""
    length = float(np.linalg.norm(axis))
    if length < 1e-3:
        return np.eye(3)
    x, y, z = axis / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    angle = np.deg2rad(degrees)
    turned: npt.NDArray[np.float64] = np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
    return turned


def shapes(least: int, most: int) -> Any:
    """``(X, Y, Z)``."""
    return st.tuples(*[st.integers(least, most)] * 3)
