"""What all documents (fingerprint, plan, recipe) are made of."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Frozen(BaseModel):
    """An immutable document part that refuses unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")
