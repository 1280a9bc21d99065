"""What a file or a folder is, told by its name and for JSON by its keys; imports nothing that images do not need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

from autoseg.core.errors import BadInput
from autoseg.io import dicom
from autoseg.io.files import read_json
from autoseg.io.images import IMAGE_ENDINGS

Kind = Literal[
    "image",
    "model",
    "plan",
    "dataset",
    "cases",
    "fingerprint",
    "selection",
    "recipe",
    "conversion_recipe",
    "study",
    "bids",
]
WEIGHTS = ("final.safetensors", "best.safetensors")
_BY_NAME: dict[str, Kind] = {
    "plan.json": "plan",
    "fingerprint.json": "fingerprint",
    "selection.json": "selection",
    "dataset.json": "dataset",
}
# In this order: the first all of whose keys are there.
_BY_KEYS: tuple[tuple[frozenset[str], Kind], ...] = (
    (frozenset({"configurations", "decisions", "intensities"}), "plan"),
    (frozenset({"configurations", "title", "source"}), "recipe"),
    (frozenset({"cases", "intensities", "channels"}), "fingerprint"),
    (frozenset({"candidates", "steps", "postprocessing"}), "selection"),
    (frozenset({"channel_names", "labels"}), "dataset"),
)
_CONVERSION_KEYS = {"datasets", "labels", "channels", "group"}


def kind_of(path: Path) -> Kind:
    """What ``info`` describes it as; BadInput where it is missing or nothing that autoseg knows."""
    if path.is_dir():
        return _kind_of_folder(path)
    if not os.path.lexists(path):
        raise BadInput(f"{path}: there is no such file; check the path.")
    name = path.name.lower()
    if name.endswith(IMAGE_ENDINGS):
        return "image"
    if name.endswith((".zip", ".safetensors")):
        return "model"
    if name.endswith(".json"):
        return _kind_of_document(path)
    if name.endswith(".tsv") and _columns(path)[:2] == ["case", "domain"]:
        return "cases"
    raise _unknown(path)


def trained_folders(folder: Path) -> list[Path]:
    """The folders of folds in ``folder``: itself, or those below a configuration or the models of a dataset."""
    patterns = [f"{above}{name}" for above in ("", "*/", "*/*/") for name in WEIGHTS]
    return sorted({file.parent for pattern in patterns for file in folder.glob(pattern)})


def _kind_of_folder(folder: Path) -> Kind:
    if not os.access(folder, os.R_OK | os.X_OK):
        raise BadInput(f"{folder}: may not be read; change its permissions.")
    if (folder / "dataset.json").is_file():
        return "dataset"
    if trained_folders(folder):
        return "model"
    if any(child.name.startswith("sub-") and child.is_dir() for child in folder.iterdir()):
        return "bids"
    if dicom.is_series(folder):
        return "image"
    raise _unknown(folder)


def _kind_of_document(path: Path) -> Kind:
    document = read_json(path)
    if path.name in _BY_NAME:
        return _BY_NAME[path.name]
    keys = set(document) if isinstance(document, dict) else set()
    for wanted, kind in _BY_KEYS:
        if wanted <= keys:
            return kind
    if {"name", "datasets"} <= keys and isinstance(document["datasets"], list):
        return "study"
    if keys and keys <= _CONVERSION_KEYS:
        return "conversion_recipe"
    raise _unknown(path)


def _columns(path: Path) -> list[str]:
    with path.open(encoding="utf-8", errors="replace") as stream:
        return stream.readline(10_000).rstrip("\r\n").split("\t")


def _unknown(path: Path) -> BadInput:
    return BadInput(
        f"{path}: is nothing that autoseg knows; give an image ({', '.join(IMAGE_ENDINGS)}, a DICOM folder), a model "
        f"(.autoseg.zip, the folder of a fold), a plan, recipe, study, fingerprint, dataset or cases.tsv."
    )
