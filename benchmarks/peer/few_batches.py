"""Train an nnU-Net on a few batches again and again, so that it finds something within minutes, and save it.

Runs in the peer's environment: ``python few_batches.py DATASET CONFIGURATION PLANS --steps N``. The trainer, its
loaders, its training step and its checkpoint are nnU-Net's.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from nnunetv2.run.run_training import get_trainer_from_args

NUM_BATCHES = 6


def main() -> None:
    """Write the model folder of fold 0."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("configuration")
    parser.add_argument("plans")
    parser.add_argument("--steps", type=int, default=150)
    asked = parser.parse_args()
    trainer = get_trainer_from_args(
        asked.dataset, asked.configuration, 0, plans_identifier=asked.plans, device=torch.device("cpu")
    )
    trainer.on_train_start()
    trainer.num_epochs = 1
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    batches = [next(trainer.dataloader_train) for _ in range(NUM_BATCHES)]
    losses = [float(trainer.train_step(batches[step % NUM_BATCHES])["loss"]) for step in range(asked.steps)]
    trainer.current_epoch = trainer.num_epochs
    trainer.on_train_end()
    print(json.dumps({"losses": losses[:: max(1, asked.steps // 10)], "model": str(Path(trainer.output_folder_base))}))


if __name__ == "__main__":
    main()
