"""One fold, trained for a worker in a process of its own; the request is JSON on stdin."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from autoseg.core.errors import BadInput
from autoseg.io.workspace import Workspace
from autoseg.pipeline.training import TrainingOptions, train
from autoseg.pipeline.trainings import ERRORS
from autoseg.runtime.interrupts import interrupts
from autoseg.runtime.jobs import grant_cores
from autoseg.runtime.lifeline import end_with_parent


def main(request: dict[str, Any]) -> dict[str, Any]:
    """The summary of the fold; or the kind of error and its sentence."""
    training, options = request["training"], request["options"]
    paths = {name: Path(options[name]) for name in ("splits", "init_from") if options[name]}
    chosen = TrainingOptions(**{**options, **paths, "frozen": tuple(options["frozen"]), "waits": True})
    place = Workspace(Path(training["workspace"]))
    try:
        summaries = train(place, training["dataset"], training["configuration"], training["fold"], chosen)
    except (BadInput, FloatingPointError, MemoryError) as error:
        kind = next(name for name, kind in ERRORS.items() if isinstance(error, kind))  # numpy has kinds of its own
        return {"error": kind, "sentence": str(error)}
    return {"summary": summaries[training["fold"]]}


if __name__ == "__main__":
    asked = json.load(sys.stdin)
    grant_cores(asked["cores"])
    end_with_parent()
    with interrupts():
        print(json.dumps(main(asked)))
