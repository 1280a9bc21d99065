"""What several rows need, made when first asked for and kept in the working folder."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from autoseg.core.case import CaseFiles
from autoseg.core.plan import Plan, read_plan
from autoseg.io.workspace import RawDataset, Workspace
from autoseg.pipeline.preparation import dataset_folds
from benchmarks.measure import Failed, run
from benchmarks.setting import DATASET, PEER_DATASET, Setting, peer_environment

CONFIGURATIONS = ("2d", "3d_fullres")
UNSEEN = 12  # cases of hippocampus-c
SUBSTITUTE_MINUTES = 1.0  # of a training where none was asked for


def once(setting: Setting, name: str, make: Callable[[Path], None]) -> Path:
    """The folder ``name`` of the working folder, filled by ``make`` unless an earlier run has finished that."""
    path, marker = setting.folder / name, setting.folder / "made" / name
    if not marker.exists():
        print(f"   making {path}", flush=True)
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        make(path)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
    return path


def workspace(setting: Setting) -> Path:
    """Ours: the dataset, converted, planned and prepared."""

    def make(root: Path) -> None:
        run(setting.autoseg(root, "convert-bids", *setting.datasets(), "--dataset", DATASET, "--contrasts", "T1w"))
        run(setting.autoseg(root, "plan", DATASET))
        run(setting.autoseg(root, "preprocess", DATASET, *CONFIGURATIONS))

    return once(setting, "workspace", make)


def dataset(setting: Setting) -> RawDataset:
    """Our dataset as read."""
    return Workspace(workspace(setting)).read_dataset(DATASET)


def plan(setting: Setting) -> Plan:
    """Our plan of the dataset."""
    path = workspace(setting) / "datasets" / DATASET / "plan.json"
    return read_plan(path.read_text(encoding="utf-8"), str(path))


def held_out(setting: Setting) -> list[CaseFiles]:
    """The validation cases of fold 0."""
    ours = dataset(setting)
    names = set(dataset_folds(ours)[0].validation)
    return [case for case in ours.cases if case.name in names]


def peer_raw(setting: Setting) -> Path:
    """The peer's home with its raw dataset only: copies of the same files under the same names."""

    def make(home: Path) -> None:
        copy_raw(dataset(setting).folder, home / "raw" / PEER_DATASET)

    return once(setting, "peer-raw", make)


def copy_raw(source: Path, target: Path) -> None:
    """A dataset of our workspace for the peer: links resolved, no plan."""
    target.mkdir(parents=True, exist_ok=True)
    copy_document(source, target)
    for name in ("imagesTr", "labelsTr"):
        shutil.copytree(source / name, target / name)


def copy_document(source: Path, target: Path) -> None:
    """dataset.json without the reader that we ask for: the peer runs with its defaults."""
    document = json.loads((source / "dataset.json").read_text(encoding="utf-8"))
    document.pop("overwrite_image_reader_writer", None)
    (target / "dataset.json").write_text(json.dumps(document), encoding="utf-8")


def peer(setting: Setting) -> Path:
    """The peer's home with the dataset prepared, split as ours, and planned alike."""

    def make(home: Path) -> None:
        (home / "raw").symlink_to(peer_raw(setting) / "raw")
        command = setting.peer_program("nnUNetv2_plan_and_preprocess", "-d", "1", "-c", *CONFIGURATIONS)
        run(command, peer_environment(home))
        check_same_plans(home, plan(setting))
        dataset_folds(dataset(setting))  # makes our splits.json if it is not there
        splits = dataset(setting).folder / "splits.json"
        shutil.copy(splits, home / "preprocessed" / PEER_DATASET / "splits_final.json")

    return once(setting, "peer", make)


def check_same_plans(home: Path, ours: Plan) -> None:
    """Both must train with the same patches and batches."""
    path = home / "preprocessed" / PEER_DATASET / "nnUNetPlans.json"
    theirs = json.loads(path.read_text(encoding="utf-8"))["configurations"]
    for name in CONFIGURATIONS:
        own, other = ours.configurations[name], theirs[name]
        mine = (list(own.patch_size), own.batch_size, list(own.network.features_per_stage))
        peers = (other["patch_size"], other["batch_size"], other["architecture"]["arch_kwargs"]["features_per_stage"])
        if mine != peers:
            raise Failed(f"{name}: patch, batch and features differ: ours {mine}, the peer's {peers}")


def inputs(setting: Setting) -> Path:
    """``images/CASE_0000.nii.gz`` and ``labels/CASE.nii.gz``: held-out cases of fold 0, then an unseen domain."""

    def make(root: Path) -> None:
        unseen = root / "unseen"
        source = setting.data / "hippocampus-c"
        run(setting.autoseg(unseen, "convert-bids", source, "--dataset", DATASET, "--contrasts", "T1w"))
        foreign = Workspace(unseen).read_dataset(DATASET)
        known = {name.lower(): value for name, value in dataset(setting).labels.values.items()}
        if {name.lower(): value for name, value in foreign.labels.values.items()} != known:
            raise Failed(f"{source} has the labels {foreign.labels}, {DATASET} has {dataset(setting).labels}")
        chosen = [*held_out(setting), *foreign.cases[: 2 if setting.quick else UNSEEN]]
        link_cases(chosen, root)
        copy_document(dataset(setting).folder, root)

    return once(setting, "inputs", make)


def held_out_inputs(setting: Setting) -> Path:
    """As ``inputs``, the held-out cases of fold 0 only."""

    def make(root: Path) -> None:
        link_cases(held_out(setting), root)
        copy_document(dataset(setting).folder, root)

    return once(setting, "held-out", make)


def link_cases(cases: list[CaseFiles], root: Path) -> None:
    """Link the files of the cases under the names that nnU-Net wants."""
    for folder in ("images", "labels"):
        (root / folder).mkdir()
    for case in cases:
        for number, path in enumerate(case.channels):
            (root / "images" / f"{case.name}_{number:04d}.nii.gz").symlink_to(path.resolve())
        if case.labels:
            (root / "labels" / f"{case.name}.nii.gz").symlink_to(case.labels.resolve())


def workspace_beside(setting: Setting, name: str) -> Path:
    """An empty workspace that shares the datasets of ours, for models of its own."""
    root = setting.folder / name
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True)
    (root / "datasets").symlink_to(workspace(setting) / "datasets")
    return root
