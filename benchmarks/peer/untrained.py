"""Save an nnU-Net with random weights, as a training of fold 0 would.

Runs in the peer's environment: ``python untrained.py DATASET CONFIGURATION``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from nnunetv2.run.run_training import get_trainer_from_args


def main() -> None:
    """Write the checkpoint and the two documents that a prediction reads."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("configuration")
    asked = parser.parse_args()
    trainer = get_trainer_from_args(asked.dataset, asked.configuration, 0, device=torch.device("cpu"))
    prepared = Path(trainer.preprocessed_dataset_folder)
    prepared.mkdir(parents=True, exist_ok=True)
    (prepared / "none.b2nd").touch()  # it looks for the format of prepared cases; there are none
    trainer.initialize()
    folder = Path(trainer.output_folder)
    folder.mkdir(parents=True, exist_ok=True)
    trainer.save_checkpoint(str(folder / "checkpoint_final.pth"))
    base = Path(trainer.output_folder_base)
    (base / "plans.json").write_text(json.dumps(trainer.plans_manager.plans))
    (base / "dataset.json").write_text(json.dumps(trainer.dataset_json))


if __name__ == "__main__":
    main()
