"""``python -m benchmarks.scaling ROW... [-o FOLDER]``: cost against size, on synthetic data.

Every figure is of a process of its own: its peak resident memory (VmHWM), its wall clock and processor time.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import report, synthetic
from benchmarks.measure import run

Measured = dict[str, Any]
CASES, VOLUMES = (100, 300, 1000, 10000), ((96, 96, 96), (160, 160, 160), (256, 256, 256), (512, 512, 300))
WHOLE_BODY, CLASSES = (512, 512, 1200), 5
PATCH, WIDTH = (64, 64, 64), 4  # of the small network
CONFIGURATION = "3d_fullres"
PREDICTING = ("--device", "cpu", "--engine", "torch", "--no-mirroring", "--step", "1.0", "--overwrite")
FLAT = 1.1


def main() -> int:
    """Run the rows that were asked for, each into ROW.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scaling", description=__doc__)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("-o", "--output", type=Path, default=report.RESULTS / "scaling", help="of the documents")
    parser.add_argument("--folder", type=Path, default=Path(".bench") / "scaling", help="working files")
    parser.add_argument("--sizes", type=int, default=4, help="how many of the sizes, from the smallest (4)")
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    for name in asked.rows or ROWS:
        folder = (asked.folder / name).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        document = {
            "row": name,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": report.machine() | {"load_average_before": round(os.getloadavg()[0], 2)},
            "autoseg": report.commit(),
            **ROWS[name](folder, asked.sizes),
        }
        (asked.output / f"{name}.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


def number_of_cases(folder: Path, sizes: int) -> Measured:
    """Every stage on so many tiny cases."""
    stages: dict[str, list[Measured]] = {}
    for num_cases in CASES[:sizes]:
        for stage, measured in stages_of(fresh(folder / str(num_cases)), num_cases).items():
            one = measured | {"cases": num_cases, "processor_ms_per_case": 1000 * measured["processor_s"] / num_cases}
            stages.setdefault(stage, []).append(one)
            print(f"   {stage}, {num_cases}: {one}", flush=True)
        shutil.rmtree(folder / str(num_cases))
    summary = {stage: fitted(rows, "cases") for stage, rows in stages.items()}
    return {"voxels_of_a_case": list(synthetic.TINY), "stages": stages, "summary": summary}


def stages_of(root: Path, num_cases: int) -> dict[str, Measured]:
    """Each stage's process, and the sizes of the documents that it leaves."""
    workspace, bids, found = root / "workspace", root / "bids", root / "predictions"
    synthetic.tiny_bids(bids, num_cases)
    dataset = workspace / "datasets" / "Tiny"
    cli = ("autoseg", "--workspace", str(workspace))
    ran = {
        "convert": measured(*cli, "convert-bids", bids, "--dataset", "Tiny", "--contrasts", "T1w"),
        "fingerprint and plan": measured(*cli, "plan", "Tiny"),
        "plan, fingerprint there": measured("benchmarks.ours.planning", dataset / "fingerprint.json"),
    }
    narrow(dataset / "plan.json", {"steps_per_epoch": 2, "validation_steps": 1}, {"batch_size": 2})
    ran["preprocess"] = measured(*cli, "preprocess", "Tiny", CONFIGURATION)
    ran["train: 2 steps of all cases"] = measured(*cli, "train", "Tiny", CONFIGURATION, "all", "--epochs", "1")
    model = ("--dataset", "Tiny", "--configuration", CONFIGURATION, "--folds", "all")
    ran["predict"] = measured(*cli, "predict", dataset / "imagesTr", "-o", found, *model, *PREDICTING)
    ran["evaluate"] = measured("autoseg", "evaluate", found, dataset / "labelsTr")
    documents = (
        *(dataset / name for name in ("dataset.json", "cases.tsv", "fingerprint.json", "plan.json", "splits.json")),
        *(found / name for name in ("predictions.tsv", "evaluation.json", "evaluation.csv")),
    )
    ran["documents"] = {path.name: path.stat().st_size for path in documents if path.is_file()}
    ran["documents"] |= {"processor_s": 0.0, "peak_bytes": 0}
    return ran


def size_of_a_volume(folder: Path, sizes: int) -> Measured:
    """Preprocessing and prediction of one volume, on its own grid and resampled."""
    stages: dict[str, list[Measured]] = {}
    for shape in VOLUMES[:sizes]:
        for kind, spacing_mm in (("own grid", 1.0), ("resampled", 1.1)):
            root = fresh(folder / "volume")
            dataset = make_volume(root, shape, spacing_mm)
            cli = ("autoseg", "--workspace", str(root / "workspace"))
            size = {"shape": list(shape), "voxels": math.prod(shape)}
            for stage, found in (
                ("preprocess", measured(*cli, "preprocess", "Volume", CONFIGURATION)),
                ("predict", measured(*prediction(root, dataset))),
            ):
                found |= size | {"bytes_per_voxel": found["peak_bytes"] / size["voxels"]}
                stages.setdefault(f"{stage}, {kind}", []).append(found)
                print(f"   {stage}, {kind}: {found}", flush=True)
            shutil.rmtree(root)
    summary = {stage: fitted(rows, "voxels") for stage, rows in stages.items()}
    return {"network": network_facts(), "stages": stages, "summary": summary}


def whole_body(folder: Path, _: int) -> Measured:
    """Prediction of 512 x 512 x 1200 voxels, on its own grid and resampled."""
    image_bytes = 2 * math.prod(WHOLE_BODY)
    ran = {}
    for kind, spacing_mm in (("own grid", 1.0), ("resampled", 1.02)):
        root = fresh(folder / "volume")
        dataset = make_volume(root, WHOLE_BODY, spacing_mm)
        ran[kind] = measured(*prediction(root, dataset))
        ran[kind] |= {"above_the_image_bytes": ran[kind]["peak_bytes"] - image_bytes}
        print(f"   {kind}: {ran[kind]}", flush=True)
        shutil.rmtree(root)
    facts = {"shape": list(WHOLE_BODY), "classes": CLASSES, "image_bytes": image_bytes}
    return {**facts, "network": network_facts(), "ran": ran}


def loading(folder: Path, sizes: int) -> Measured:
    """What is read for a patch of a prepared case: 4 sizes of the case, 4 of the patch."""
    found = run([sys.executable, "-m", "benchmarks.ours.loading", str(fresh(folder / "store")), str(sizes)]).document
    print(f"   {found}", flush=True)
    return dict(found)


def fresh(folder: Path) -> Path:
    """The folder, empty."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder


def measured(*command: str | Path) -> Measured:
    """A module with its arguments in a process of its own: what ``benchmarks.ours.measured`` writes down."""
    out = Path(".bench") / f"measured-{os.getpid()}-{time.monotonic_ns()}.json"
    out.parent.mkdir(exist_ok=True)
    run([sys.executable, "-m", "benchmarks.ours.measured", str(out.resolve()), *map(str, command)])
    found: Measured = json.loads(out.read_text(encoding="utf-8"))
    out.unlink()
    return found


def narrow(plan: Path, training: Mapping[str, int], changes: Mapping[str, Any] | None = None) -> None:
    """The plan with a network of few features, and other changes of its configuration."""
    document = json.loads(plan.read_text(encoding="utf-8"))
    configuration = document["configurations"][CONFIGURATION]
    network = configuration["network"]
    network["features_per_stage"] = [WIDTH] * len(network["features_per_stage"])
    configuration["training"].update(training)
    configuration.update(changes or {})
    plan.write_text(json.dumps(document), encoding="utf-8")


def make_volume(root: Path, shape: Sequence[int], spacing_mm: float) -> Path:
    """A workspace with a dataset of one volume, planned for voxels of 1 mm, and an untrained model; the dataset."""
    workspace = root / "workspace"
    dataset, small = workspace / "datasets" / "Volume", root / "small"
    synthetic.volume_dataset(small / "datasets" / "Volume", PATCH, CLASSES, 1.0, "Volume")
    run([sys.executable, "-m", "autoseg", "--workspace", str(small), "plan", "Volume"])
    synthetic.volume_dataset(dataset, shape, CLASSES, spacing_mm, "Volume")
    shutil.copy(small / "datasets" / "Volume" / "plan.json", dataset / "plan.json")
    narrow(dataset / "plan.json", {}, {"patch_size": PATCH})
    model = workspace / "models" / "Volume" / CONFIGURATION / "fold0"
    run([sys.executable, "-m", "benchmarks.ours.untrained", str(dataset / "plan.json"), CONFIGURATION, str(model)])
    return dataset


def prediction(root: Path, dataset: Path) -> tuple[str | Path, ...]:
    """The command that segments the volume."""
    model = ("--dataset", "Volume", "--configuration", CONFIGURATION, "--folds", "fold0")
    workspace = ("autoseg", "--workspace", root / "workspace")
    return *workspace, "predict", dataset / "imagesTr", "-o", root / "predictions", *model, *PREDICTING


def network_facts() -> Measured:
    """What segments the volumes."""
    return {"patch": list(PATCH), "features": WIDTH, "classes": CLASSES, "step": 1.0, "mirrored": False}


def fitted(rows: Sequence[Measured], size: str) -> Measured:
    """Exponents of time and memory by least squares in log-log, and the memory of the largest over the smallest."""
    found: Measured = {}
    for key in ("wall_s", "processor_s", "peak_bytes"):
        points = [(math.log(row[size]), math.log(row[key])) for row in rows if row.get(key)]
        if len(points) > 1:
            found[f"{key}_exponent"] = slope(points)
    if rows[0]["peak_bytes"]:
        found["memory_ratio"] = rows[-1]["peak_bytes"] / rows[0]["peak_bytes"]
        found["flat"] = found["memory_ratio"] <= FLAT
        more = rows[-1][size] - rows[0][size]
        found["more_bytes_for_each"] = (rows[-1]["peak_bytes"] - rows[0]["peak_bytes"]) / max(1, more)
        found["more_processor_s_for_each"] = (rows[-1]["processor_s"] - rows[0]["processor_s"]) / max(1, more)
    return found


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Of the straight line with the least squares."""
    mean_x, mean_y = (sum(values) / len(points) for values in zip(*points, strict=True))
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / spread


ROWS: dict[str, Callable[[Path, int], Measured]] = {
    "cases": number_of_cases,
    "volumes": size_of_a_volume,
    "whole-body": whole_body,
    "loading": loading,
}

if __name__ == "__main__":
    sys.exit(main())
