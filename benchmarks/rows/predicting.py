"""Segment 40 cases from files to files with 8-fold mirroring, one fold."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from benchmarks import material, models
from benchmarks.measure import alternate, run
from benchmarks.report import Result, compared
from benchmarks.setting import DATASET, Setting, peer_environment

CONFIGURATION = "3d_fullres"
ALL_AXES = [0, 1, 2]


def predict(setting: Setting) -> Result:
    """Predict 40 cases with 8-fold mirroring, each tool with the model that it trained in equal time."""
    trained = models.trained(setting, CONFIGURATION)
    work = f"predict {{count}} cases, 8-fold mirroring, own models of {trained['minutes']:g} minutes"
    return timed(setting, mirroring_model(setting), work, {"training": trained})


def predict_same_network(setting: Setting) -> Result:
    """Predict 40 cases with 8-fold mirroring, both with the network of the plan."""
    trained = models.trained(setting, CONFIGURATION)
    root = material.workspace_beside(setting, "same-network")
    folder = root / "models" / DATASET / CONFIGURATION / "fold0"
    plan = material.dataset(setting).folder / "plan.json"
    run(setting.script("untrained", plan, CONFIGURATION, folder, "--mirror-all"))
    facts = {"training": trained, "our_weights": "random, in the network of the plan"}
    return timed(setting, root, "predict {count} cases, 8-fold mirroring, the same network", facts)


def mirroring_model(setting: Setting) -> Path:
    """A workspace with our trained model, which mirrors along all axes whatever its plan said."""
    models.trained(setting, CONFIGURATION)
    root = material.workspace_beside(setting, "mirroring")
    source = material.workspace(setting) / "models" / DATASET / CONFIGURATION / "fold0"
    target = root / "models" / DATASET / CONFIGURATION / "fold0"
    target.mkdir(parents=True)
    shutil.copy(source / "final.safetensors", target)
    plan = json.loads((source / "plan.json").read_text(encoding="utf-8"))
    plan["configurations"][CONFIGURATION]["augmentation"]["mirror_axes"] = ALL_AXES
    (target / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    return root


def timed(setting: Setting, root: Path, work: str, facts: dict[str, object]) -> Result:
    """Both commands on the same files, into fresh folders."""
    home, images = material.peer(setting), material.inputs(setting) / "images"
    output = setting.folder / "predictions"

    def peer() -> float:
        shutil.rmtree(output / "peer", ignore_errors=True)
        command = models.peer_predict(setting, CONFIGURATION, images, output / "peer")
        return run(command, peer_environment(home)).seconds

    def ours() -> float:
        shutil.rmtree(output / "ours", ignore_errors=True)
        return run(models.our_predict(setting, root, CONFIGURATION, images, output / "ours")).seconds

    runs = alternate(setting.pairs, {"peer": peer, "ours": ours})
    plan = json.loads(next(root.glob("models/*/*/*/plan.json")).read_text(encoding="utf-8"))
    features = plan["configurations"][CONFIGURATION]["network"]["features_per_stage"]
    commands = ["peer: nnUNetv2_predict -f 0 -device cpu", "ours: autoseg predict --folds fold0 --device cpu"]
    work = work.format(count=len(list(images.iterdir())))
    return compared(work, "s", runs, 5, commands, facts=facts | {"our_features": features})
