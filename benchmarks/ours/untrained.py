"""Save a model with random weights.

``python -m benchmarks.ours.untrained PLAN CONFIGURATION FOLDER [--mirror-all]``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from autoseg.core.plan import read_plan
from autoseg.io.files import write_bytes, write_text
from autoseg.networks import build_planned, model_file


def main() -> None:
    """Write ``plan.json`` and ``final.safetensors`` as a training would."""
    parser = argparse.ArgumentParser()
    parser.add_argument("plan", type=Path)
    parser.add_argument("configuration")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mirror-all", action="store_true")
    asked = parser.parse_args()
    plan = read_plan(asked.plan.read_text(encoding="utf-8"), str(asked.plan))
    configuration = plan.configurations[asked.configuration]
    if asked.mirror_all:
        axes = tuple(range(configuration.network.dimensions))
        augmentation = configuration.augmentation.model_copy(update={"mirror_axes": axes})
        configuration = configuration.model_copy(update={"augmentation": augmentation})
    chosen = {"configurations": {configuration.name: configuration}, "recommended": configuration.name}
    plan = plan.model_copy(update=chosen)
    torch.manual_seed(0)
    network = build_planned(configuration.network, len(plan.channels), plan.labels.num_outputs)
    write_bytes(asked.folder / "final.safetensors", model_file.serialise(network.state_dict(), {}))
    write_text(asked.folder / "plan.json", plan.model_dump_json(indent=1) + "\n")


if __name__ == "__main__":
    main()
