"""How sure a model was of cases that it was not trained on, and how right: what makes an expected Dice of certainty."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import ValidationError

from autoseg.core.document import Frozen, Share, wrong_entries
from autoseg.core.errors import BadInput

SCHEMA_VERSION = 1
CALIBRATION = "calibration.json"  # beside the weights of a fold


class Calibration(Frozen):
    """Of each label or region a pair (certainty, Dice) for each held-out case in which it was predicted."""

    schema_version: int = SCHEMA_VERSION
    labels: dict[str, tuple[tuple[Share, Share], ...]]


def pooled(parts: Iterable[Calibration]) -> Calibration:
    """The cases of several folds together."""
    labels: dict[str, tuple[tuple[float, float], ...]] = {}
    for part in parts:
        for name, pairs in part.labels.items():
            labels[name] = labels.get(name, ()) + pairs
    return Calibration(labels=labels)


def read_calibration(text: str, source: str) -> Calibration:
    """Parse a calibration; BadInput names the first entry that is wrong."""
    try:
        return Calibration.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(
            f"{source}: is no valid calibration ({wrong_entries(error, 1)}); restore it, or remove it to predict "
            "without expected scores."
        ) from None
