"""The labels of ``autoseg predict`` against those of a plain path without any shortcut."""

from __future__ import annotations

import shutil

from benchmarks import material, models
from benchmarks.comparing import agreement as compare
from benchmarks.measure import run
from benchmarks.report import Result
from benchmarks.rows.predicting import CONFIGURATION, mirroring_model
from benchmarks.setting import DATASET, Setting

LEAST_EQUAL = 0.999
MOST_DICE_CHANGE = 0.001


def agreement(setting: Setting) -> Result:
    """Labels of predict against float32, torch, one pass for each tile and mirrored copy, on the 40 cases."""
    trained = models.trained(setting, CONFIGURATION)
    root, cases = mirroring_model(setting), material.inputs(setting)
    output = setting.folder / "agreement"
    shutil.rmtree(output, ignore_errors=True)
    model = root / "models" / DATASET / CONFIGURATION / "fold0"
    automatic = run(models.our_predict(setting, root, CONFIGURATION, cases / "images", output / "automatic"))
    print("   plain path", flush=True)
    plain = run(setting.script("plain", model, CONFIGURATION, cases / "images", output / "plain"))
    share, voxels = compare(output / "automatic", output / "plain")
    dice = {name: models.mean_dice(setting, output / name, cases / "labels") for name in ("automatic", "plain")}
    change = abs(dice["automatic"] - dice["plain"])
    checks = {
        f">= {LEAST_EQUAL:.1%} equal": share >= LEAST_EQUAL,
        f"Dice change < {MOST_DICE_CHANGE}": change < MOST_DICE_CHANGE,
    }
    facts = {
        "foreground_or_predicted_voxels": voxels,
        "dice": dice,
        "dice_change": change,
        "seconds": {"automatic": automatic.seconds, "plain": plain.seconds},
        "training": trained,
    }
    commands = ["autoseg predict", "benchmarks/ours/plain.py: float32, torch, one pass for each tile and mirrored copy"]
    count = len(list((cases / "images").iterdir()))
    work = f"labels of {count} cases equal to the plain path (Dice change {change:.1e})"
    return Result(work, "share", None, share, None, checks, {"equal share": [share]}, commands, facts)
