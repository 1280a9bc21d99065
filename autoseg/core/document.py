"""What all documents (fingerprint, plan, recipe) are made of."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import PydanticCustomError

DISAGREE = "disagree"

Count = Annotated[int, Field(ge=1, le=2**31 - 1)]
Edge = Annotated[int, Field(ge=1, le=2**16)]  # voxels along an axis, of any image that there is
Length = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Problem = tuple[str, str]  # the path of a field and what is wrong with it


class Frozen(BaseModel):
    """An immutable document part that refuses unknown keys, and numbers that are none or infinite."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def refuse(problems: Sequence[Problem]) -> None:
    """Raise what pydantic lists with its other errors, unless there are no problems."""
    if problems:
        summary = "; ".join(f"{path}: {problem}" for path, problem in problems)
        raise PydanticCustomError(DISAGREE, "{listed}", {"listed": summary, "problems": problems})


def wrong_entries(error: ValidationError, most: int | None = None) -> str:
    """Where a document is wrong and how, ``most`` of it or all, such as ``jobs: Input should be greater than 0``."""
    entries = ((".".join(map(str, item["loc"])) or "document", item["msg"]) for item in error.errors()[:most])
    return "; ".join(f"{path}: {problem}" for path, problem in entries)


def length(path: str, values: Sequence[Any], wanted: int, of: str) -> list[Problem]:
    """A problem unless there are as many values as ``of``."""
    return [] if len(values) == wanted else [(path, f"{len(values)} entries for {wanted} {of}")]


def listed(values: Iterable[int]) -> str:
    """Such as ``16 x 16 x 18``."""
    return " x ".join(str(value) for value in values)
