"""A workspace in which the tiny dataset is converted and planned with a network of milliseconds."""

import json
import shutil

import pytest
import torch

from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io.files import write_json, write_text
from autoseg.io.workspace import Workspace
from autoseg.networks import build_planned, model_file
from autoseg.pipeline.runs import SPLIT_FILE
from autoseg.pipeline.training import validate_fold
from autoseg.planning.folds import Fold
from tests.pipeline.report_files import DATASET, evaluated, planned


@pytest.fixture(scope="session")
def converted(tmp_path_factory, tiny_bids, tiny_plan):
    root = tmp_path_factory.mktemp("workspace")
    folder = Workspace(root).dataset_folder("Tiny")
    convert(plan_conversion([tiny_bids]), folder, "Tiny")
    write_text(folder / "plan.json", tiny_plan.model_dump_json())
    return root


@pytest.fixture
def workspace(converted, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(converted, tmp_path / "workspace", symlinks=True)
    return Workspace(tmp_path / "workspace")


@pytest.fixture(scope="session")
def cross_validated(converted, tmp_path_factory, tiny_pair_plan):
    """``2d`` and ``3d_fullres``, cross-validated in two folds with random weights."""
    root = tmp_path_factory.mktemp("validated") / "workspace"
    shutil.copytree(converted, root, symlinks=True)
    workspace = Workspace(root)
    dataset = workspace.read_dataset("Tiny")
    names = [case.name for case in dataset.cases]
    splits = [{"train": names[2:], "val": names[:2]}, {"train": names[:2], "val": names[2:]}]
    (dataset.folder / "splits.json").write_text(json.dumps(splits))
    write_text(dataset.folder / "plan.json", tiny_pair_plan.model_dump_json())
    for number, name in enumerate(tiny_pair_plan.configurations):
        configuration = tiny_pair_plan.configurations[name]
        for index, split in enumerate(splits):
            folder = workspace.model_folder("Tiny", name, f"fold{index}")
            torch.manual_seed(10 * number + index)
            network = build_planned(configuration.network, 1, 3)
            own = tiny_pair_plan.model_copy(update={"configurations": {name: configuration}, "recommended": name})
            write_text(folder / "plan.json", own.model_dump_json())
            write_json(folder / SPLIT_FILE, split)
            (folder / "final.safetensors").write_bytes(model_file.serialise(network.state_dict(), {}))
            fold = Fold(tuple(split["train"]), tuple(split["val"]))
            validate_fold(workspace, dataset, name, f"fold{index}", fold, "cpu")
    return workspace


@pytest.fixture
def validated(cross_validated, tmp_path):
    """A copy that a test may change."""
    return Workspace(shutil.copytree(cross_validated.root, tmp_path / "validated", symlinks=True))


@pytest.fixture(scope="session")
def two_folds(tmp_path_factory, tiny_bids):
    """A workspace with two folds that look trained, and the names of its cases."""
    workspace = planned(tmp_path_factory.mktemp("workspace"), tiny_bids)
    cases = [case.name for case in workspace.read_dataset(DATASET).cases]
    evaluated(workspace, "fold0", cases[:3], [0.9, 0.4, 0.6])
    evaluated(workspace, "fold1", cases[3:], [0.7, 0.8, 0.5])
    return workspace, cases
