"""How far two folders of segmentations agree."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from autoseg.io.images import list_images, read_labels


def agreement(one: Path, other: Path) -> tuple[float, int]:
    """The share of equal voxels among those that either calls foreground, over all files; how many those are."""
    equal = counted = 0
    names = sorted(path.name for path in list_images(one))
    if not names or names != sorted(path.name for path in list_images(other)):
        raise ValueError(f"{one} and {other} do not hold the same files")
    for name in names:
        left, right = read_labels(one / name), read_labels(other / name)
        foreground = (left > 0) | (right > 0)
        equal += int(np.count_nonzero((left == right) & foreground))
        counted += int(np.count_nonzero(foreground))
    return equal / max(1, counted), counted
