"""Raw datasets of nnU-Net into the workspace, and ours out of it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_dataset import Imported, import_cases
from autoseg.interop.nnunet_dataset_export import export_cases
from autoseg.interop.nnunet_raw import read_raw_dataset
from autoseg.interop.raw_layout import new_folder
from autoseg.io.files import naming_full_disk, write_text
from autoseg.io.workspace import Workspace
from autoseg.pipeline.nnunet import their_dataset_name
from autoseg.planning import folds
from autoseg.runtime.progress import counted, progress

THEIR_SPLITS = "splits_final.json"


@dataclass(frozen=True)
class Exported:
    """The folder ``DatasetNNN_NAME``, and what the user should read."""

    folder: Path
    num_cases: int
    notes: tuple[str, ...]


def import_dataset(workspace: Workspace, source: Path, name: str) -> Imported:
    """Take over the raw dataset in ``source`` as ``name``: links, and ``splits_final.json`` as the folds.

    The source is only read. BadInput: the dataset exists, or dataset.json, the splits or all cases cannot be used.
    """
    destination = workspace.dataset_folder(name)
    if destination.exists():
        raise BadInput(f"{destination}: the dataset exists already; choose another --dataset.")
    if destination.resolve().is_relative_to(source.resolve()):
        raise BadInput(f"{destination}: this is inside the source {source}; choose another workspace.")
    raw = read_raw_dataset(source)
    names = [case.name for case in raw.cases]
    splits = _read_splits(source / THEIR_SPLITS, {*names, *raw.problems})
    with (
        naming_full_disk(destination),
        new_folder(destination, "imagesTr", "labelsTr") as folder,
        progress(f"import {counted(len(names), 'case')}") as shown,
    ):
        imported = import_cases(
            raw, name, folder, destination, lambda done, total, case: shown.update(done / total, case)
        )
        if splits:
            kept = _without_left_out(splits, imported.cases, source / THEIR_SPLITS)
            write_text(folder / "splits.json", folds.splits_json(kept))
    return imported


def export_dataset(workspace: Workspace, name: str, destination: Path) -> Exported:
    """The dataset ``name`` as ``DatasetNNN_NAME`` in ``destination``, a folder like ``nnUNet_raw``: links to its files.

    Label values with gaps are renumbered. BadInput says what nnU-Net cannot have; nothing is half written.
    """
    dataset = workspace.read_dataset(name)
    known = {case.name for case in dataset.cases}
    splits = _read_splits(dataset.folder / "splits.json", known)
    folder = destination / their_dataset_name(name, destination)
    if folder.exists():
        raise BadInput(f"{folder}: is there already; give another folder for the export.")
    with (
        naming_full_disk(folder),
        new_folder(folder, "imagesTr", "labelsTr") as partial,
        progress(f"export {counted(len(known), 'case')}") as shown,
    ):
        notes = export_cases(dataset, partial, folder.name, lambda done, total, case: shown.update(done / total, case))
        if splits:
            write_text(partial / THEIR_SPLITS, folds.splits_json(splits))
            notes.append(
                f"nnU-Net takes the folds from nnUNet_preprocessed/{folder.name}/{THEIR_SPLITS}; "
                f"copy {folder / THEIR_SPLITS} there before you train."
            )
    return Exported(folder, len(known), tuple(notes))


def _read_splits(path: Path, known: Collection[str]) -> list[folds.Fold]:
    """Empty if there is no such file."""
    if not path.is_file():
        return []
    return folds.parse_splits(path.read_text(encoding="utf-8", errors="replace"), str(path), known)


def _without_left_out(splits: Sequence[folds.Fold], cases: Collection[str], source: Path) -> list[folds.Fold]:
    """The folds without cases that could not be used; BadInput if a side becomes empty."""
    kept = []
    for number, fold in enumerate(splits):
        before = (fold.train, fold.validation, fold.test)
        sides = [tuple(name for name in side if name in cases) for side in before]
        if any(was and not left for was, left in zip(before, sides, strict=True)):
            raise BadInput(f"{source}: no case of one side of fold {number} can be used; correct the cases left out.")
        kept.append(folds.Fold(*sides))
    return kept
