"""A study: on which datasets specific and general models are trained, and on which they are tested."""

from __future__ import annotations

from pydantic import Field, ValidationError, model_validator

from autoseg.core.document import Count, Frozen, refuse, wrong_entries
from autoseg.core.errors import BadInput
from autoseg.core.plan import Balance

DEFAULT_METRICS = ("dice", "volume_error_percent", "hd95_mm")


class StudySpec(Frozen):
    """The document that ``autoseg study`` reads.

    ``datasets`` train and, with the cases that they hold out, test; ``unseen`` only test. Each is the name of a dataset
    of the workspace or a BIDS folder, relative to the document. ``balance`` with the value ``domains`` adds a general
    model to which each dataset is shown equally often. ``metrics`` are scores of ``evaluation.scores``, the first of
    which the conclusion is about. ``seed`` is that of the test cases, of the trainings and of the bootstrap.
    """

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")
    datasets: tuple[str, ...] = Field(min_length=2)
    unseen: tuple[str, ...] = ()
    configuration: str | None = None  # None: what the plan of each model recommends
    recipe: str | None = None  # its name, or a file relative to the document
    time_budget: str | None = None  # of each training, such as 20m
    epochs: Count | None = None
    balance: Balance = "cases"
    metrics: tuple[str, ...] = Field(DEFAULT_METRICS, min_length=1)
    seed: int = Field(0, ge=0)

    @model_validator(mode="after")
    def _parts_agree(self) -> StudySpec:
        problems = []
        if self.time_budget is not None and self.epochs is not None:
            problems.append(("epochs", "exclude a time_budget; give one of the two"))
        named = (*self.datasets, *self.unseen)
        problems += [
            ("datasets", f"{name} is named twice") for name in sorted({n for n in named if named.count(n) > 1})
        ]
        refuse(problems)
        return self


def read_study(text: str, source: str) -> StudySpec:
    """Parse the document; every error is listed with its path in one BadInput sentence."""
    try:
        return StudySpec.model_validate_json(text)
    except ValidationError as error:
        raise BadInput(f"{source}: is no valid study ({wrong_entries(error)}); correct it.") from None
