"""Models of both tools, trained for the same time on the same cases; kept in the working folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import material
from benchmarks.measure import run
from benchmarks.setting import DATASET, PEER_DATASET, Setting, peer_environment


def train_both(setting: Setting, configuration: str, minutes: float) -> dict[str, Any]:
    """Train fold 0 with each tool for so many minutes; what is known of it."""
    root, home = material.workspace(setting), material.peer(setting)
    seconds = minutes * 60
    print(f"   training {configuration}, {minutes:g} minutes each", flush=True)
    peer = run(
        setting.peer_script("training", PEER_DATASET, configuration, "--seconds", seconds), peer_environment(home)
    )
    budget = f"{seconds:g}s"
    options = ("--time-budget", budget, "--overwrite", "--device", "cpu", "--json")
    ours = run(setting.autoseg(root, "train", DATASET, configuration, "fold0", *options))
    facts = {
        "minutes": minutes,
        "peer_training": {key: value for key, value in peer.document.items() if key != "step_s"},
        "peer_command_s": peer.seconds,
        "our_command_s": ours.seconds,  # validates after the training
        "our_validation_dice": ours.document["fold0"]["validation"]["mean"]["dice"],
    }
    record(setting, configuration).write_text(json.dumps(facts), encoding="utf-8")
    return facts


def trained(setting: Setting, configuration: str) -> dict[str, Any]:
    """What is known of the models there are; where there are none, both train for a minute first."""
    material.workspace(setting)
    material.peer(setting)
    if record(setting, configuration).is_file():
        facts: dict[str, Any] = json.loads(record(setting, configuration).read_text(encoding="utf-8"))
        return facts
    return train_both(setting, configuration, 0.2 if setting.quick else material.SUBSTITUTE_MINUTES)


def record(setting: Setting, configuration: str) -> Path:
    """The file that says that both are trained, and how."""
    return setting.folder / f"trained-{configuration}.json"


def peer_predict(setting: Setting, configuration: str, images: Path, output: Path) -> list[str]:
    """The peer's command that predicts a folder with fold 0."""
    chosen = ("-d", "1", "-c", configuration, "-f", "0", "-device", "cpu")
    return setting.peer_program("nnUNetv2_predict", "-i", images, "-o", output, *chosen)


def our_predict(setting: Setting, root: Path, configuration: str, images: Path, output: Path, *more: str) -> list[str]:
    """Our command that does the same."""
    chosen = ("--dataset", DATASET, "--configuration", configuration, "--folds", "fold0", "--device", "cpu")
    return setting.autoseg(root, "predict", images, "-o", output, *chosen, "--overwrite", *more)


def mean_dice(setting: Setting, predictions: Path, references: Path) -> float:
    """Mean foreground Dice by our scorer."""
    output = predictions.with_name(predictions.name + "-scores")
    command = setting.autoseg(
        setting.folder, "evaluate", predictions, references, "-o", output, "--no-surface", "--json"
    )
    return float(run(command).document["mean"]["dice"])
