"""Dice after equal wall time."""

from __future__ import annotations

import shutil

from benchmarks import material, models
from benchmarks.measure import run
from benchmarks.report import Result, compared
from benchmarks.setting import Setting, peer_environment


def dice_3d(setting: Setting) -> Result:
    """Mean foreground Dice of held-out cases after equal wall time of training, 3d_fullres."""
    return after_training(setting, "3d_fullres")


def dice_2d(setting: Setting) -> Result:
    """Mean foreground Dice of held-out cases after equal wall time of training, 2d."""
    return after_training(setting, "2d")


def after_training(setting: Setting, configuration: str) -> Result:
    """Train both, predict the held-out cases with each tool's own command, score both alike."""
    root, home = material.workspace(setting), material.peer(setting)
    minutes = 0.2 if setting.quick else setting.minutes
    trained = models.train_both(setting, configuration, minutes)
    images = material.held_out_inputs(setting) / "images"
    output = setting.folder / f"dice-{configuration}"
    shutil.rmtree(output, ignore_errors=True)
    run(models.peer_predict(setting, configuration, images, output / "peer"), peer_environment(home))
    run(models.our_predict(setting, root, configuration, images, output / "ours"))
    dice = {
        side: models.mean_dice(setting, output / side, material.held_out_inputs(setting) / "labels")
        for side in ("peer", "ours")
    }
    commands = [
        f"peer: nnUNetTrainer with a schedule of {minutes:g} minutes (benchmarks/peer/training.py), nnUNetv2_predict",
        f"ours: autoseg train --time-budget {60 * minutes:g}s, autoseg predict",
        "both: autoseg evaluate",
    ]
    runs = {side: [1 - value] for side, value in dice.items()}
    work = f"{configuration}: error of {len(material.held_out(setting))} held-out cases after {minutes:g} minutes each"
    return compared(work, "1 - Dice", runs, 2, commands, facts={"dice": dice, "training": trained})
