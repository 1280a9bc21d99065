"""Our engines for prediction against one another."""

from __future__ import annotations

import shutil
from pathlib import Path

from benchmarks import material, models
from benchmarks.comparing import agreement as compare
from benchmarks.measure import Failed, alternate, run
from benchmarks.report import Result, compared
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
    found = compare(setting, output / "torch", output / "openvino", cases / "labels")
    commands = ["autoseg predict --engine torch (left) and --engine openvino (right)"]
    count = len(list((cases / "images").iterdir()))
    work = f"predict {count} cases: engine torch (left) and openvino (right), {found.share:.3%} equal"
    return compared(work, "s", runs, 1.5, commands, found.checks, {**found.facts, "training": trained})
