"""Each recipe trained for minutes on real images that it fits, and what it finds in held-out ones.

``PYTHONPATH=. python -m benchmarks.recipes FOLDER [--minutes N] [ROW...]`` prints and writes FOLDER/ROW.json: what
holds of held-out cases, and the Dice of the trivial answer, which calls every voxel the label. Where a recipe was made
for larger images or machines, ``changes`` shrink it; they are part of the result. ``docs/recipes.md`` has the table.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import nibabel
import numpy as np

from autoseg.io.recipes import recipe_text
from benchmarks.setting import default_data


@dataclass(frozen=True)
class Row:
    """A recipe on images; ``configurations`` are trained in turn, a cascade's stages in their order."""

    recipe: str
    sources: tuple[str, ...]
    configurations: tuple[str, ...]
    convert: tuple[str, ...] = ()
    changes: Mapping[str, Any] = field(default_factory=dict)  # of configurations
    one_by_one: bool = False  # two cases: train on one, predict the other, and the other way round
    metrics: str = "overlap,surface"


SMALL = {"resized_shape": [96, 96, 96], "patch_size": [96, 96], "batch_size": 2}
BRAINS = {
    "sources": ("ms-brain",),
    "convert": ("--channels", "FLAIR,T1w,T2w"),
    "one_by_one": True,
    "metrics": "overlap,surface,lesions",
}
ROWS = {
    "paugam": Row(
        "paugam", ("hippocampus-b",), ("paugam_small_unet",), changes={"paugam_small_unet": {"patch_size": [64, 64]}}
    ),
    "paugam-grey-matter": Row(
        "paugam",
        ("spinal-cord-slices",),
        ("paugam_small_unet",),
        ("--contrasts", "T2star"),
        {"paugam_small_unet": {"patch_size": [80, 80]}},
        one_by_one=True,
    ),
    "bouchard-specific": Row("bouchard_specific", ("hippocampus-b",), ("3d_fullres",)),
    "bouchard-general": Row("bouchard_general", ("hippocampus-a", "hippocampus-b"), ("3d_fullres",)),
    "epfl": Row("epfl", configurations=("epfl_unet",), changes={"epfl_unet": SMALL}, **BRAINS),
    "epfl-double": Row("epfl", configurations=("epfl_double_unet",), changes={"epfl_unet": SMALL}, **BRAINS),
    "valverde": Row("valverde2017", configurations=("valverde2017_stage1", "valverde2017_stage2"), **BRAINS),
    "nicmslesions": Row("nicmslesions", configurations=("nicmslesions_stage1", "nicmslesions_stage2"), **BRAINS),
    "voxhrnet": Row("voxhrnet", ("hippocampus-b",), ("voxhrnet_base",)),
}


def main() -> int:
    """Run the rows that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("rows", nargs="*", default=list(ROWS))
    parser.add_argument("--minutes", type=float, default=10, help="of each training (10)")
    parser.add_argument("--folds", default="0,1", help="of a row that goes both ways: which case trains (0,1)")
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    for name in asked.rows:
        found = run(
            name, ROWS[name], asked.folder.resolve(), asked.minutes, [int(fold) for fold in asked.folds.split(",")]
        )
        (asked.folder / f"{name}.json").write_text(json.dumps(found, indent=1), encoding="utf-8")
        print(json.dumps(found), flush=True)
    return 0


def run(name: str, row: Row, folder: Path, minutes: float, folds: Sequence[int]) -> dict[str, Any]:
    """Convert, plan, train and evaluate in a workspace of the row's own."""
    workspace = folder / name
    dataset = workspace / "datasets" / "D"
    if not dataset.is_dir():
        autoseg(
            workspace, "convert-bids", *(source(one, folder) for one in row.sources), "--dataset", "D", *row.convert
        )
    autoseg(workspace, "plan", "D", "--recipe", shrunk(row, folder / f"{name}.recipe.json"))
    cases = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTr").iterdir())
    options: list[str | Path] = []
    if row.one_by_one:
        ways = [{"train": [one], "val": [other]} for one, other in (cases, cases[::-1])]
        (folder / f"{name}.splits.json").write_text(json.dumps(ways))
        options = ["--splits", folder / f"{name}.splits.json"]
    results = []
    for fold in folds if row.one_by_one else (0,):
        for configuration in row.configurations:
            budget = f"{minutes * 60:.0f}s"
            trained = ("train", "D", configuration, f"fold{fold}", "--time-budget", budget, *options)
            started = time.monotonic()
            autoseg(workspace, *trained)
            model = workspace / "models" / "D" / configuration / f"fold{fold}"
            results.append(result(workspace, dataset, model, row.metrics) | {"total_s": time.monotonic() - started})
    return {"row": name, "recipe": row.recipe, "minutes": minutes, "changes": dict(row.changes), "results": results}


def source(name: str, folder: Path) -> Path:
    """The BIDS folder; ``spinal-cord-slices`` has the even and the odd slices of a T2star volume as two subjects."""
    if name != "spinal-cord-slices":
        return default_data() / name
    original, made = default_data() / "spinal-cord", folder / name
    for path in sorted(original.rglob("sub-*_T2star*.nii.gz")):
        image = nibabel.load(path)
        subject = path.name.split("_")[0]
        for way in (0, 1):
            target = made / str(path.relative_to(original)).replace(subject, f"sub-{way}")
            target.parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(image.slicer[:, :, way::2], target)
    return made


def shrunk(row: Row, path: Path) -> Path | str:
    """The recipe itself, or a file with the changes of the row."""
    if not row.changes:
        return row.recipe
    recipe = json.loads(recipe_text(row.recipe)[1])
    for configuration, changes in row.changes.items():
        recipe["configurations"][configuration] |= changes
    path.write_text(json.dumps(recipe))
    return path


def result(workspace: Path, dataset: Path, model: Path, metrics: str) -> dict[str, Any]:
    """The means over the held-out cases of a trained fold."""
    scores = workspace / "scores" / model.parent.name / model.name
    autoseg(workspace, "evaluate", model / "validation", dataset / "labelsTr", "--metrics", metrics, "-o", scores)
    mean = json.loads((scores / "evaluation.json").read_text())["mean"]
    cases = sorted(path.name for path in (model / "validation").glob("*.nii.gz"))
    last = json.loads((model / "progress.jsonl").read_text().splitlines()[-1])
    return {
        "fold": model.name,
        "configuration": model.parent.name,
        "cases": len(cases),
        "steps": last["step"],
        "training_s": last["elapsed_s"],
        "trivial_dice": float(np.mean([trivial(dataset / "labelsTr" / case) for case in cases])),
        "mean": {key: value for key, value in mean.items() if isinstance(value, float)},
    }


def trivial(path: Path) -> float:
    """Mean over labels of the Dice of the answer that the whole image is the label."""
    labels = np.asarray(nibabel.load(path).dataobj)
    shares = [(labels == value).mean() for value in np.unique(labels) if value]
    return float(np.mean([2 * share / (1 + share) for share in shares]))


def autoseg(workspace: Path, *arguments: str | Path) -> None:
    """One command of ours; it has to succeed."""
    command = [sys.executable, "-m", "autoseg", *map(str, arguments)]
    subprocess.run(command, check=True, env=os.environ | {"AUTOSEG_WORKSPACE": str(workspace)})


if __name__ == "__main__":
    sys.exit(main())
