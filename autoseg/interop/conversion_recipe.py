"""A conversion recipe: what overrides the detection of conventions in ``convert-bids --recipe FILE.json``.

::

    {"datasets": {"FOLDER": {"contrasts": ["T2w"],
                             "labels": {"cord": "*_seg-manual", "lesion": "*_lesion-manual"},
                             "exclude": ["sub-03", "sub-04_ses-1_T2w"],
                             "threshold": 0.5,
                             "domain": "siteA"}},
     "labels": ["cord", "lesion"],
     "channels": ["T1w", "T2w"],
     "group": "family"}

All keys are optional; unknown ones are refused. FOLDER is the name of a BIDS folder (with its parent's
name, ``PARENT-FOLDER``, where two are called the same). ``labels`` of a dataset is either structure ->
pattern of the stem of its mask (of the path from the dataset where the pattern holds a slash), or
structure -> value in the one label map of each image. The outer ``labels`` is the final set: a case
without one of them is left out, other structures become background. ``channels`` makes one case of
several contrasts; it excludes ``contrasts``. ``threshold`` is that of soft labels (rule: ``label_merging``).
``group`` is a column of participants.tsv: folds keep the cases of one value together.
"""

from __future__ import annotations

from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated

from pydantic import Field, ValidationError, model_validator

from autoseg.core.document import Frozen, wrong_entries
from autoseg.core.errors import BadInput
from autoseg.interop.label_conventions import SOFT_THRESHOLD, LabelPart, is_soft, rater_of, structure_key
from autoseg.io.bids import BidsFile
from autoseg.io.files import read_text


class DatasetRecipe(Frozen):
    """What is said about one BIDS dataset."""

    contrasts: tuple[str, ...] = ()
    labels: dict[str, str] | dict[str, int] = Field(default_factory=dict)
    exclude: tuple[str, ...] = ()
    threshold: Annotated[float, Field(gt=0, lt=1)] = SOFT_THRESHOLD
    domain: Annotated[str, Field(pattern=r"^[A-Za-z0-9._-]*$")] = ""

    @model_validator(mode="after")
    def _values_are_foreground(self) -> DatasetRecipe:
        if any(isinstance(value, int) and value < 1 for value in self.labels.values()):
            raise ValueError("label values start at 1; background needs no entry")
        if len(set(map(structure_key, self.labels))) < len(self.labels):
            raise ValueError("two labels have the same name")
        return self


class Recipe(Frozen):
    """The whole recipe."""

    datasets: dict[str, DatasetRecipe] = Field(default_factory=dict)
    labels: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()
    group: str = ""

    @model_validator(mode="after")
    def _channels_or_contrasts(self) -> Recipe:
        if self.channels and any(dataset.contrasts for dataset in self.datasets.values()):
            raise ValueError("channels and contrasts exclude each other")
        if len(set(map(structure_key, self.labels))) < len(self.labels) or "background" in self.labels:
            raise ValueError("labels must differ, and background needs no entry")
        return self


def read_recipe(path: Path | None) -> Recipe:
    """Read and check a recipe; None gives the empty one. BadInput names every wrong key."""
    if path is None:
        return Recipe()
    try:
        return Recipe.model_validate_json(read_text(path), strict=True)
    except ValidationError as error:
        raise BadInput(f"{path}: this is no valid conversion recipe ({wrong_entries(error)}); correct it.") from None


def described_by_recipe(label: BidsFile, root: Path, recipe: DatasetRecipe) -> tuple[LabelPart | None, str]:
    """What the recipe says that a label file holds (None: not used), or a sentence when it says two things.

    With values instead of patterns, every file that is no mask of a named structure is the label map.
    """
    rater = rater_of(label.label_part)
    values = tuple((value, name) for name, value in recipe.labels.items() if isinstance(value, int))
    if values:
        if is_soft(label) or any(token.startswith("label-") for token in label.label_part.split("_")):
            return None, ""
        return LabelPart(label.file, tuple(sorted(values)), binary=False, has_table=True, rater=rater), ""
    inside = label.path.relative_to(root).as_posix()
    names = [
        name
        for name, pattern in recipe.labels.items()
        if fnmatchcase(
            inside[: -len(label.path.name)] + label.stem if "/" in str(pattern) else label.stem, str(pattern)
        )
    ]
    if len(names) > 1:
        return None, f"the recipe patterns of {' and '.join(names)} both match it; make them differ."
    if not names:
        return None, ""
    threshold = recipe.threshold if is_soft(label) else None
    return LabelPart(label.file, ((1, names[0]),), binary=True, has_table=True, rater=rater, threshold=threshold), ""
