"""Our engines for prediction against one another."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks import material, models
from benchmarks.comparing import agreement as compare
from benchmarks.measure import Failed, alternate, run
from benchmarks.report import Result, compared
from benchmarks.rows.agreement import LEAST_EQUAL, MOST_DICE_CHANGE
from benchmarks.rows.predicting import CONFIGURATION
from benchmarks.setting import Setting


def openvino(setting: Setting) -> Result:
    """The OpenVINO engine against the torch engine, own trained model, held-out cases."""
    if "--engine" not in run(setting.autoseg(setting.folder, "predict", "--help")).output:
        raise Failed("autoseg predict has no --engine")
    trained = models.trained(setting, CONFIGURATION)
    root, cases = material.workspace(setting), material.held_out_inputs(setting)
    output = setting.folder / "engines"
    shutil.rmtree(output, ignore_errors=True)

    def side(engine: str) -> float:
        target: Path = output / engine
        shutil.rmtree(target, ignore_errors=True)
        command = models.our_predict(setting, root, CONFIGURATION, cases / "images", target, "--engine", engine)
        return run(command).seconds

    runs = alternate(setting.pairs, {"torch": lambda: side("torch"), "ours": lambda: side("openvino")})
    share, voxels = compare(output / "torch", output / "openvino")
    dice = {engine: models.mean_dice(setting, output / engine, cases / "labels") for engine in ("torch", "openvino")}
    change = abs(dice["torch"] - dice["openvino"])
    checks = {
        f">= {LEAST_EQUAL:.1%} equal": share >= LEAST_EQUAL,
        f"Dice change < {MOST_DICE_CHANGE}": change < MOST_DICE_CHANGE,
    }
    facts = {"equal_share": share, "foreground_or_predicted_voxels": voxels, "dice": dice, "training": trained}
    commands = ["autoseg predict --engine torch (left) and --engine openvino (right)"]
    count = len(list((cases / "images").iterdir()))
    work = f"predict {count} cases: engine torch (left) and openvino (right), {share:.3%} equal"
    return compared(work, "s", runs, 1.5, commands, checks, facts)
