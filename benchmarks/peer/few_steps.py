"""Go on with a training as nnU-Net's fine-tuning does, for a few steps, and save the model.

Runs in the peer's environment: ``python few_steps.py DATASET CONFIGURATION PLANS CHECKPOINT --steps N``. The trainer,
its loaders, its training step and its checkpoint are nnU-Net's; all weights come from ``CHECKPOINT``.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from nnunetv2.run.run_training import get_trainer_from_args


def main() -> None:
    """Write the model folder of fold 0."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("configuration")
    parser.add_argument("plans")
    parser.add_argument("checkpoint")
    parser.add_argument("--steps", type=int, default=3)
    asked = parser.parse_args()
    trainer = get_trainer_from_args(
        asked.dataset, asked.configuration, 0, plans_identifier=asked.plans, device=torch.device("cpu")
    )
    trainer.on_train_start()
    saved = torch.load(asked.checkpoint, map_location="cpu", weights_only=True)
    trainer.network.load_state_dict(saved["network_weights"])
    trainer.num_epochs = 1
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    losses = [float(trainer.train_step(next(trainer.dataloader_train))["loss"]) for _ in range(asked.steps)]
    trainer.current_epoch = trainer.num_epochs
    trainer.on_train_end()
    print(json.dumps({"losses": losses, "model": str(Path(trainer.output_folder_base))}))


if __name__ == "__main__":
    main()
