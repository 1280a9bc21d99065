"""Train nnU-Net: its own trainer and loaders, with a schedule that ends when the time or the steps are over.

Runs in the peer's environment: ``python training.py DATASET CONFIGURATION (--steps N | --seconds S) [--name NAME]``
prints one JSON line. With ``--seconds`` the epochs are sized from the first steps, so that the learning rate reaches
zero as the time ends; nnU-Net has no such option, and its default of 250,000 steps would score zero.
"""

from __future__ import annotations

import argparse
import json
import time
from os import environ
from pathlib import Path

import torch
from nnunetv2.run.run_training import get_trainer_from_args

EPOCHS = 20
STEPS_PER_VALIDATION_STEP = 5  # nnU-Net's 250 to 50


def main() -> None:
    """Train fold 0 as asked."""
    parser = argparse.ArgumentParser()
    parser.add_argument("dataset")
    parser.add_argument("configuration")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--seconds", type=float)
    asked = parser.parse_args()
    torch.set_num_threads(torch.multiprocessing.cpu_count())  # as nnUNetv2_train does on a CPU
    trainer = get_trainer_from_args(asked.dataset, asked.configuration, 0, device=torch.device("cpu"))
    started = time.monotonic()
    trainer.on_train_start()
    ready = time.monotonic()
    print(f"ready after {ready - started:.1f} s", flush=True)
    stamps = fixed_steps(trainer, asked.steps) if asked.steps else fill_time(trainer, started + asked.seconds)
    trained = time.monotonic()
    trainer.current_epoch = trainer.num_epochs  # what run_training leaves behind
    trainer.on_train_end()
    model = Path(trainer.output_folder_base).relative_to(environ["nnUNet_results"])
    result = {
        "start_s": ready - started,
        "train_s": trained - started,
        "steps": len(stamps),
        "step_s": [b - a for a, b in zip([ready, *stamps[:-1]], stamps, strict=True)],
        "model": str(model),
        "batch_size": trainer.batch_size,
    }
    print(json.dumps(result), flush=True)


def fixed_steps(trainer: object, steps: int) -> list[float]:
    """One epoch of so many training steps, no validation; when each ended."""
    trainer.num_epochs = 1
    trainer.on_epoch_start()
    trainer.on_train_epoch_start()
    return [step(trainer) for _ in range(steps)]


def fill_time(trainer: object, end: float) -> list[float]:
    """Training and validation in the shares of nnU-Net until ``end``; when each training step ended."""
    trainer.network.train()
    warm = [step(trainer) for _ in range(3)]
    # The first step allocates, and its batch was ready: the second and third tell the pace.
    pace = (warm[-1] - warm[0]) / (len(warm) - 1)
    seconds = end - time.monotonic()
    in_all = seconds / (pace * (1 + 1 / (3 * STEPS_PER_VALIDATION_STEP)))  # a validation step costs about a third
    trainer.num_epochs = max(1, min(EPOCHS, int(in_all)))
    trainer.optimizer, trainer.lr_scheduler = trainer.configure_optimizers()
    stamps = warm
    began = time.monotonic()
    for epoch in range(trainer.num_epochs):
        trainer.on_epoch_start()
        trainer.on_train_epoch_start()
        outputs = []
        until = began + (epoch + 1) * seconds / trainer.num_epochs
        in_epoch = 0
        while True:
            outputs.append(trainer.train_step(next(trainer.dataloader_train)))
            stamps.append(time.monotonic())
            in_epoch += 1
            validation_s = in_epoch / STEPS_PER_VALIDATION_STEP * pace / 3
            if time.monotonic() + validation_s + pace / 2 > until:
                break
        trainer.on_train_epoch_end(outputs)
        with torch.no_grad():
            trainer.on_validation_epoch_start()
            checks = max(1, in_epoch // STEPS_PER_VALIDATION_STEP)
            trainer.on_validation_epoch_end(
                [trainer.validation_step(next(trainer.dataloader_val)) for _ in range(checks)]
            )
        trainer.on_epoch_end()
    return stamps


def step(trainer: object) -> float:
    """One training step with its loading; when it ended."""
    trainer.train_step(next(trainer.dataloader_train))
    return time.monotonic()


if __name__ == "__main__":
    main()
