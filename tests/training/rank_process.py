"""One process of a training that several share, for the tests: ``python -m tests.training.rank_process FILE.json``.

The file says what is trained; ``losses.json`` in its folder gets the loss of every step, from the first process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import torch

from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration
from autoseg.io.store import open_case
from autoseg.runtime import ranks
from autoseg.runtime.devices import Execution
from autoseg.runtime.launching import planned_count
from autoseg.training import trainer
from autoseg.training.schedule import Clock


def main(request: Mapping[str, Any]) -> None:
    """Train, in fp32 on one core of the CPU; ``kill`` and ``stop`` say {rank: step} of a signal to this process."""
    torch.set_num_threads(1)
    folder, losses = Path(request["folder"]), []
    cases = [open_case(Path(request["cases"]), f"sub-{number:02d}") for number in range(6)]
    configuration, labels = Configuration(**request["configuration"]), Labels(**request["labels"])
    assignment = trainer.Assignment(configuration, labels, 1, cases[:4], cases[4:], folder)
    original = trainer.training_step

    def step(*arguments: Any) -> float:
        for kind, number in (("kill", signal.SIGKILL), ("stop", signal.SIGTERM)):
            if request.get(kind, {}).get(str(ranks.number())) == len(losses):
                os.kill(os.getpid(), number)
        losses.append(original(*arguments))
        return losses[-1]

    trainer.training_step = step
    trainer.SAVE_INTERVAL_S = request.get("save_interval_s", 30.0)
    try:
        with ranks.joined("cpu") if planned_count() > 1 else nullcontext():
            trainer.train(assignment, Execution("cpu", "fp32", channels_last=False), Clock(configuration.training))
    except KeyboardInterrupt:
        pass  # SIGTERM, as the test asked
    finally:
        if os.environ.get("RANK", "0") == "0":
            (folder / "losses.json").write_text(json.dumps(losses))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    main(json.loads(Path(sys.argv[1]).read_text()))
