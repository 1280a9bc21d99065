"""What cross-validation decided: the configurations that predict, and what is done to their label maps."""

from __future__ import annotations

from pydantic import Field, ValidationError

from autoseg.core.calibration import Calibration
from autoseg.core.document import Frozen, wrong_entries
from autoseg.core.errors import BadInput

SCHEMA_VERSION = 1


class Postprocessing(Frozen):
    """For each set of label values, in this order: keep the largest component of their union, clear the others."""

    keep_largest: tuple[tuple[int, ...], ...] = ()


class Candidate(Frozen):
    """Configurations whose probabilities are averaged, and their cross-validated Dice before any postprocessing.

    ``dice`` has the mean over cases of each label or region; ``mean_dice`` is the mean over those. None: undefined.
    """

    configurations: tuple[str, ...] = Field(min_length=1)
    mean_dice: float | None
    dice: dict[str, float | None]

    @property
    def title(self) -> str:
        """Such as ``2d + 3d_fullres``."""
        return " + ".join(self.configurations)


class Step(Frozen):
    """A postprocessing that was tried: the Dice that decided, without and with it."""

    what: str
    values: tuple[int, ...]
    dice_before: float | None
    dice_after: float | None
    kept: bool


class Selection(Frozen):
    """The outcome of ``autoseg select``: what ``predict`` does unless told otherwise, and why."""

    schema_version: int = SCHEMA_VERSION
    dataset: str
    configurations: tuple[str, ...] = Field(min_length=1)
    folds: tuple[str, ...] = Field(min_length=1)
    postprocessing: Postprocessing
    mean_dice: float | None  # of the chosen candidate, with the postprocessing
    reason: str
    candidates: tuple[Candidate, ...]
    steps: tuple[Step, ...]
    calibration: Calibration | None = None  # of several configurations; a single one has that of its folds


def read_selection(text: str, source: str) -> Selection:
    """Parse a selection; BadInput names the first entry that is wrong."""
    try:
        return Selection.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(
            f"{source}: is no valid selection ({wrong_entries(error, 1)}); run `autoseg select` again."
        ) from None
