"""Scoring 60 cases against their references."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from autoseg.io import images
from benchmarks import material
from benchmarks.measure import alternate, run
from benchmarks.report import Result, compared
from benchmarks.setting import Setting

CASES = 60


def overlap(setting: Setting) -> Result:
    """Evaluate 60 cases with overlap metrics only."""
    return timed(setting, 10, "overlap metrics", "overlap")


def surface(setting: Setting) -> Result:
    """Evaluate 60 cases with HD95, ASSD and NSD, against the peer without them."""
    return timed(setting, 1, "with HD95, ASSD and NSD; the peer without", "overlap,surface")


def timed(setting: Setting, target: float, which: str, families: str) -> Result:
    """Both commands on the same files."""
    folder = material.once(setting, "evaluation", lambda root: make_pairs(setting, root))
    predictions, references = folder / "predictions", folder / "labels"
    simple = setting.peer_program("nnUNetv2_evaluate_simple", references, predictions, "-l", "1", "2")
    chosen = ("--metrics", families, "--json", "-o", folder / "scores")
    ours = setting.autoseg(folder, "evaluate", predictions, references, *chosen)

    def peer(*processes: str) -> float:
        return run([*simple, "-o", str(folder / "summary.json"), *processes]).seconds

    sides = {"peer": peer, "ours": lambda: run(ours).seconds, "peer, 2 processes": lambda: peer("-np", "2")}
    runs = alternate(1 if setting.quick else 3, sides)
    commands = [
        "peer: nnUNetv2_evaluate_simple -l 1 2, also with -np 2 (faster counts)",
        f"ours: autoseg evaluate --metrics {families}",
    ]
    count = len(list(references.iterdir()))
    return compared(f"evaluate {count} cases, {which}", "s", runs, target, commands)


def make_pairs(setting: Setting, root: Path) -> None:
    """Labels of the dataset, and segmentations that are the same moved by a voxel, every other one thinned too."""
    from scipy.ndimage import binary_erosion

    cases = material.dataset(setting).cases[:CASES]
    for folder in ("labels", "predictions"):
        (root / folder).mkdir()
    material.copy_document(material.dataset(setting).folder, root)
    for number, case in enumerate(cases):
        if case.labels is None:
            continue
        shutil.copy(case.labels.resolve(), root / "labels" / f"{case.name}.nii.gz")
        labels = np.roll(images.read_labels(case.labels), 1, axis=number % 3)
        if number % 2:
            labels = labels * binary_erosion(labels > 0)
        images.write_labels(root / "predictions" / f"{case.name}.nii.gz", labels.astype(np.uint8), like=case.labels)
