"""How far two folders of segmentations agree."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.io.images import list_images, read_labels
from benchmarks import models
from benchmarks.setting import Setting

LEAST_EQUAL = 0.999
MOST_DICE_CHANGE = 0.001


@dataclass(frozen=True)
class Agreement:
    """The share of equal voxels among those that either calls foreground, how many those are, and each mean Dice."""

    share: float
    voxels: int
    dice: dict[str, float]

    @property
    def dice_change(self) -> float:
        """How far apart the mean Dice of the two are."""
        return max(self.dice.values()) - min(self.dice.values())

    @property
    def checks(self) -> dict[str, bool]:
        """What two ways to the same segmentations must fulfil."""
        return {
            f">= {LEAST_EQUAL:.1%} equal": self.share >= LEAST_EQUAL,
            f"Dice change < {MOST_DICE_CHANGE}": self.dice_change < MOST_DICE_CHANGE,
        }

    @property
    def facts(self) -> dict[str, Any]:
        """What is recorded of it."""
        return {
            "equal_share": self.share,
            "foreground_or_predicted_voxels": self.voxels,
            "dice": self.dice,
            "dice_change": self.dice_change,
        }


def agreement(setting: Setting, one: Path, other: Path, references: Path) -> Agreement:
    """Compare two folders with one another, and each with the references; named as the folders are."""
    share, voxels = equal_share(one, other)
    dice = {folder.name: models.mean_dice(setting, folder, references) for folder in (one, other)}
    return Agreement(share, voxels, dice)


def equal_share(one: Path, other: Path) -> tuple[float, int]:
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
