"""Cases prepared by us and by nnU-Net with the same plan: are the arrays the same?

``PYTHONPATH=. python -m benchmarks.preprocessing FOLDER PEER_PYTHON [--sets SET ...] [--golden GOLDEN]`` prints one
JSON line a set and configuration, and ends with status 1 unless shapes, boxes and labels are identical and no value
differs by more than 1e-4. The sets are the 140 cases of hippocampus-a and -b, and those of ``anisotropic.py``.
``--golden`` writes the small file that ``tests/preprocessing/test_peer.py`` holds us to.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.core.case import Case, CaseFiles
from autoseg.core.plan import Plan, read_plan
from autoseg.interop.nnunet_export import dataset_document, plans_document
from autoseg.io.images import read_channels, read_labels
from autoseg.io.workspace import Workspace
from autoseg.preprocessing import prepare
from benchmarks import anisotropic
from benchmarks.measure import run
from benchmarks.setting import DATASET, Setting, default_data, peer_environment

MOST_DIFFERENCE = 1e-4
HIPPOCAMPUS_CONFIGURATIONS = ("2d", "3d_fullres")


def main() -> None:
    """Compare each set."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("peer_python")
    parser.add_argument("--sets", nargs="*", default=["hippocampus", *anisotropic.SETS])
    parser.add_argument("--golden", type=Path)
    asked = parser.parse_args()
    setting = Setting(asked.folder.absolute(), default_data(), sys.executable, asked.peer_python, 0, 1, False)
    setting.folder.mkdir(parents=True, exist_ok=True)
    if asked.golden:
        plan, cases = anisotropic.make("golden", setting.folder / "golden" / "raw")
        write_golden(asked.golden, plan, cases, peer_prepared(setting, "golden", plan, cases))
        return
    equal = True
    for name in asked.sets:
        if name == "hippocampus":
            plan, cases = hippocampus(setting)
        else:
            plan, cases = anisotropic.make(name, setting.folder / name / "raw")
        prepared = peer_prepared(setting, name, plan, cases)
        for configuration in plan.configurations:
            result = compare(plan, configuration, cases, prepared / configuration)
            print(json.dumps({"set": name, "configuration": configuration, **result}), flush=True)
            equal = equal and is_equal(result)
    sys.exit(0 if equal else 1)


def hippocampus(setting: Setting) -> tuple[Plan, Sequence[CaseFiles]]:
    """The real cases and our plan of them."""
    workspace = setting.folder / "workspace"
    path = workspace / "datasets" / DATASET / "plan.json"
    if not path.is_file():
        run(setting.autoseg(workspace, "convert-bids", *setting.datasets(), "--dataset", DATASET))
        run(setting.autoseg(workspace, "plan", DATASET))
    plan = read_plan(path.read_text(), str(path))
    chosen = {name: plan.configurations[name] for name in HIPPOCAMPUS_CONFIGURATIONS}
    return plan.model_copy(update={"configurations": chosen}), Workspace(workspace).read_dataset(DATASET).cases


def peer_prepared(setting: Setting, name: str, plan: Plan, cases: Sequence[CaseFiles]) -> Path:
    """The folder of nnU-Net's arrays, made anew."""
    folder = setting.folder / name / "peer"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    listed = [
        {
            "name": case.name,
            "images": [str(path) for path in case.channels],
            "labels": str(case.labels) if case.labels else None,
        }
        for case in cases
    ]
    documents = {
        "plans": plans_document(plan, "Dataset001_Set"),
        "dataset": dataset_document(plan, len(cases)),
        "cases": listed,
    }
    paths = [folder / f"{kind}.json" for kind in documents]
    for path, document in zip(paths, documents.values(), strict=True):
        path.write_text(json.dumps(document))
    run(setting.peer_script("preprocessing", *paths, folder), peer_environment(setting.folder))
    return folder


def prepared(plan: Plan, configuration: str, case: CaseFiles) -> Case:
    """Ours."""
    labels = read_labels(case.labels) if case.labels else None
    return prepare.apply(case.name, read_channels(case.channels), labels, plan, plan.configurations[configuration])


def compare(plan: Plan, configuration: str, cases: Sequence[CaseFiles], folder: Path) -> dict[str, Any]:
    """How many shapes and boxes differ, how far the values, and how many labelled voxels."""
    shapes, boxes, difference, worst, labels, resampled = [], [], 0.0, None, 0, 0
    for case in cases:
        ours = prepared(plan, configuration, case)
        theirs = np.load(folder / f"{case.name}.npz")
        resampled += int(tuple(theirs["shape_cropped"]) != theirs["data"].shape[1:])
        if not np.array_equal(ours.trace.box, theirs["box"]):
            boxes.append(case.name)
        if ours.image.shape != theirs["data"].shape:
            shapes.append(case.name)
            continue
        largest = float(np.abs(ours.image - theirs["data"]).max())
        if largest > difference:
            difference, worst = largest, case.name
        if ours.labels is not None:
            labels += int(np.count_nonzero(ours.labels != theirs["seg"]))
    return {
        "cases": len(cases),
        "resampled": resampled,
        "other_shape": shapes,
        "other_box": boxes,
        "largest_difference": difference,
        "in": worst,
        "differing_labels": labels,
    }


def is_equal(result: dict[str, Any]) -> bool:
    """Whether a comparison is what it must be."""
    same = not (result["other_shape"] or result["other_box"] or result["differing_labels"])
    return same and result["largest_difference"] <= MOST_DIFFERENCE


def write_golden(path: Path, plan: Plan, cases: Sequence[CaseFiles], folder: Path) -> None:
    """The plan, the images as stored, and what nnU-Net makes of them; in one file."""
    arrays: dict[str, Any] = {"plan": plan.model_dump_json()}
    for case in cases:
        image = read_channels(case.channels)
        arrays |= {f"{case.name}/voxels": image.voxels, f"{case.name}/affine": image.affine}
        arrays[f"{case.name}/spacing_mm"] = image.spacing_mm
        if case.labels:
            arrays[f"{case.name}/labels"] = read_labels(case.labels).astype(np.int8)
        for configuration in plan.configurations:
            theirs = np.load(folder / configuration / f"{case.name}.npz")
            for field in ("data", "seg", "box"):
                arrays[f"{case.name}/{configuration}/{field}"] = theirs[field]
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(path, **arrays)


if __name__ == "__main__":
    main()
