"""Tiny sites and a study about them whose trainings take seconds."""

import json
from pathlib import Path

from autoseg.core.study import StudySpec
from autoseg.pipeline.training import TrainingOptions
from tests.cli.commands import write_site

NETWORK = {"name": "voxresnet", "dimensions": 3, "size_multiple": [8, 8, 8], "params": {"channels": 4}}
RECIPE = {
    "title": "A network of milliseconds",
    "source": "of a test",
    "recommended": "tiny",
    "configurations": {
        "tiny": {
            "network": NETWORK,
            "patch_size": [24, 24, 24],
            "batch_size": 2,
            "augmentation": {"mirror_axes": [], "operations": []},
            "training": {"steps_per_epoch": 2, "validation_steps": 1, "precision": "fp32"},
        }
    },
}
OPTIONS = TrainingOptions(epochs=1, resume=True, device="cpu", seed=0)


def write_sites(root: Path, **subjects: int) -> None:
    """A BIDS dataset of so many subjects for each name."""
    for name, number in subjects.items():
        write_site(root / name, number)


def write_study(root: Path, **changes: object) -> Path:
    """``study.json`` and its recipe: train on a and b, unseen c, one epoch."""
    (root / "tiny.json").write_text(json.dumps(RECIPE))
    document = {"name": "Sites", "datasets": ["a", "b"], "unseen": ["c"], "recipe": "tiny.json", "epochs": 1}
    path = root / "study.json"
    path.write_text(json.dumps(document | changes))
    return path


def tiny_study(root: Path, **changes: object) -> StudySpec:
    """The same as it is read."""
    return StudySpec.model_validate_json(write_study(root, **changes).read_text())
