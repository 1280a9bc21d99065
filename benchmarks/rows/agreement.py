"""The labels of ``autoseg predict`` against those of a plain path without any shortcut."""

from __future__ import annotations

import shutil

from benchmarks import material, models
from benchmarks.comparing import agreement as compare
from benchmarks.measure import run
from benchmarks.report import Result
from benchmarks.rows.predicting import CONFIGURATION, mirroring_model
from benchmarks.setting import DATASET, Setting


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
    found = compare(setting, output / "automatic", output / "plain", cases / "labels")
    facts = {
        **found.facts,
        "seconds": {"automatic": automatic.seconds, "plain": plain.seconds},
        "training": trained,
    }
    commands = ["autoseg predict", "benchmarks/ours/plain.py: float32, torch, one pass for each tile and mirrored copy"]
    count = len(list((cases / "images").iterdir()))
    work = f"labels of {count} cases equal to the plain path (Dice change {found.dice_change:.1e})"
    runs = {"equal share": [found.share]}
    return Result(work, "share", None, found.share, None, found.checks, runs, commands, facts)
