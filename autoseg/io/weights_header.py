"""What the header of a safetensors file says: names, shapes and types of its tensors, none of which is read.

The file begins with the length of the header (8 bytes, little endian) and the header itself, JSON (safetensors,
"Format"). Neither torch nor the safetensors library has to be imported for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.resources.abc import Traversable
from math import prod
from typing import Any

from autoseg.core.errors import BadInput

MOST_HEADER_BYTES = 100_000_000  # of the format
RUNNING = ("running_mean", "running_var", "num_batches_tracked")  # of batch norms: kept, not trained
_FACTS = "autoseg"


@dataclass(frozen=True)
class WeightsHeader:
    """``num_weights`` counts what is trained; ``types`` are such as ``F32``; ``facts`` are the writer's."""

    num_tensors: int
    num_weights: int
    types: tuple[str, ...]
    facts: dict[str, Any]


def read_weights_header(path: Traversable) -> WeightsHeader:
    """The header of a file or of a member of an archive; BadInput where it is damaged or none."""
    try:
        with path.open("rb") as stream:
            length = int.from_bytes(stream.read(8), "little")
            if not 2 <= length <= MOST_HEADER_BYTES:
                raise ValueError("it does not begin with a length")
            document = json.loads(stream.read(length))
        facts = json.loads(document.pop("__metadata__", {}).get(_FACTS, "{}"))
        sizes = {name: prod(int(size) for size in entry["shape"]) for name, entry in document.items()}
        types = {str(entry["dtype"]) for entry in document.values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise BadInput(f"{path}: is damaged or no safetensors file ({error}); restore or retrain it.") from None
    trained = sum(size for name, size in sizes.items() if not name.endswith(RUNNING))
    return WeightsHeader(len(sizes), trained, tuple(sorted(types)), facts if isinstance(facts, dict) else {})
