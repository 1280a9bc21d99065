"""What tests of reports use: a workspace as trainings leave it, and the data of a page."""

import json
import re
import shutil
from pathlib import Path

from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io.workspace import Workspace
from autoseg.pipeline.preparation import plan_dataset

DATASET = "Tiny"


def evaluated(workspace: Workspace, fold: str, cases: list[str], dice: list[float]) -> None:
    """A fold as a training leaves it: the references themselves as segmentations, and made-up scores."""
    folder = workspace.model_folder(DATASET, "3d_fullres", fold)
    labels = workspace.dataset_folder(DATASET) / "labelsTr"
    (folder / "validation").mkdir(parents=True)
    rows = []
    for case, value in zip(cases, dice, strict=True):
        shutil.copy(labels / f"{case}.nii.gz", folder / "validation")
        scores = {name: {"dice": value + step, "hd95_mm": 2.0} for name, step in (("shell", 0.0), ("core", 0.02))}
        rows.append({"case": case, "domain": "tiny", "labels": scores})
    (folder / "validation" / "evaluation.json").write_text(json.dumps({"cases": rows, "held_out": True}))
    (folder / "final.safetensors").write_bytes(b"")
    shutil.copy(workspace.dataset_folder(DATASET) / "plan.json", folder)
    lines = [{"epoch": 0, "step": 9, "elapsed_s": 61.0, "loss": 0.5, "patch_dice": {"shell": 0.1, "core": None}}]
    (folder / "progress.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def planned(folder: Path, bids: Path) -> Workspace:
    """A dataset, measured and planned."""
    workspace = Workspace(folder)
    convert(plan_conversion([bids]), workspace.dataset_folder(DATASET), DATASET)
    plan_dataset(workspace, DATASET)
    return workspace


def page_data(path: Path) -> tuple[str, dict]:
    text = path.read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="gallery-data">(.*?)</script>', text, re.S)
    return text, json.loads(found[1]) if found else {}
