"""Models of both tools, trained for the same time on the same cases; kept in the working folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks import material
from benchmarks.measure import run
from benchmarks.setting import DATASET, PEER_DATASET, Setting, peer_environment


def train_both(setting: Setting, configuration: str, minutes: float) -> dict[str, Any]:
    """Train fold 0 with each tool for so many minutes, where that is not done; what is known of it."""
    root, home = material.workspace(setting), material.peer(setting)
    seconds = f"{minutes * 60:g}"

    def peer() -> dict[str, Any]:
        command = setting.peer_script("training", PEER_DATASET, configuration, "--seconds", seconds)
        ran = run(command, peer_environment(home))
        return {"command_s": ran.seconds, **{key: value for key, value in ran.document.items() if key != "step_s"}}

    def ours() -> dict[str, Any]:
        options = ("--time-budget", f"{seconds}s", "--overwrite", "--device", "cpu", "--json")
        ran = run(setting.autoseg(root, "train", DATASET, configuration, "fold0", *options))
        dice = ran.document["folds"]["fold0"]["validation"]["mean"]["dice"]
        return {"command_s": ran.seconds, "validation_dice": dice}  # the command validates after the training

    facts: dict[str, Any] = {"minutes": minutes}
    for side, train in (("peer", peer), ("ours", ours)):
        path = record(setting, configuration, side)
        known = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if known.get("minutes") != minutes:
            print(f"   training {configuration}, {side}, {minutes:g} minutes", flush=True)
            known = {"minutes": minutes, **train()}
            path.write_text(json.dumps(known), encoding="utf-8")
        facts[side] = known
    return facts


def trained(setting: Setting, configuration: str) -> dict[str, Any]:
    """What is known of the models there are; where there are none, both train for a minute first."""
    known = record(setting, configuration, "ours")
    if known.is_file():
        minutes = json.loads(known.read_text(encoding="utf-8"))["minutes"]
    else:
        minutes = 0.2 if setting.quick else material.SUBSTITUTE_MINUTES
    return train_both(setting, configuration, minutes)


def record(setting: Setting, configuration: str, side: str) -> Path:
    """The file that says that a side is trained, and how."""
    return setting.folder / f"trained-{configuration}-{side}.json"


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
        setting.folder, "evaluate", predictions, references, "-o", output, "--metrics", "overlap", "--json"
    )
    return float(run(command).document["mean"]["dice"])
