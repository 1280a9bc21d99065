"""Our datasets checked and planned by nnU-Net: does it take them, and does it make the same plan?

``PYTHONPATH=. python -m benchmarks.datasets FOLDER PEER_PYTHON [--cases N]`` prints one JSON line a dataset: the folder
of the workspace as it is, its export, and exports with regions, with an ignore label and with gaps between label values
(of N cases, imported from raw folders of nnU-Net). Every export is imported again and compared with what was exported.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from autoseg.interop.nnunet_export import plans_document
from autoseg.io import images
from autoseg.io.workspace import Workspace
from autoseg.pipeline.nnunet_dataset import export_dataset, import_dataset
from autoseg.pipeline.preparation import plan_dataset
from benchmarks.measure import run
from benchmarks.setting import DATASET, Setting, default_data, peer_environment

COMPARED = (
    "patch_size",
    "batch_size",
    "spacing",
    "median_image_size_in_voxels",
    "normalization_schemes",
    "use_mask_for_norm",
    "batch_dice",
    "architecture",
)
NAMES = {"background": 0, "Anterior": 1, "Posterior": 2}
REGIONS = {"background": 0, "Hippocampus": [1, 2], "Posterior": 2}


def main() -> None:
    """Make what is missing in FOLDER, then check."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("peer_python")
    parser.add_argument("--cases", type=int, default=24)
    asked = parser.parse_args()
    setting = Setting(asked.folder.absolute(), default_data(), sys.executable, asked.peer_python, 0, 1, False)
    shutil.rmtree(setting.folder, ignore_errors=True)
    workspace, raw = Workspace(setting.folder / "workspace"), setting.folder / "raw"
    run(setting.autoseg(workspace.root, "convert-bids", *setting.datasets(), "--dataset", DATASET), {})
    plan_dataset(workspace, DATASET)
    raw.mkdir()
    as_it_is = raw / "Dataset001_Workspace"
    as_it_is.symlink_to(workspace.dataset_folder(DATASET), target_is_directory=True)
    report(setting, workspace, DATASET, as_it_is, "workspace")
    export_and_report(setting, workspace, DATASET)
    source = workspace.dataset_folder(DATASET)
    variants: dict[str, tuple[dict[str, Any], Callable[[Any], Any]]] = {
        "Regions": ({"labels": REGIONS, "regions_class_order": [1, 2]}, lambda voxels: voxels),
        "Ignore": ({"labels": {**NAMES, "ignore": 3}}, with_ignored),
        "Gaps": (
            {"labels": {"background": 0, "Anterior": 4, "Posterior": 9}},
            lambda voxels: np.array([0, 4, 9])[voxels],
        ),
    }
    for name, (document, change) in variants.items():
        made = setting.folder / "made" / name
        make_variant(source, made, asked.cases, document, change)
        import_dataset(workspace, made, name)
        plan_dataset(workspace, name)
        export_and_report(setting, workspace, name)


def with_ignored(voxels: Any) -> Any:
    """A third of the slices without a reference."""
    voxels = voxels.copy()
    voxels[:, :, ::3] = 3
    return voxels


def make_variant(
    source: Path, folder: Path, cases: int, document: dict[str, Any], change: Callable[[Any], Any]
) -> None:
    """A raw dataset of nnU-Net with other labels, on the first images of ``source``."""
    for name in ("imagesTr", "labelsTr"):
        (folder / name).mkdir(parents=True)
    for image in sorted((source / "imagesTr").iterdir())[:cases]:
        name = image.name.replace("_0000", "")
        (folder / "imagesTr" / image.name).symlink_to(image.resolve())
        voxels = change(images.read_labels(source / "labelsTr" / name))
        images.write_labels(folder / "labelsTr" / name, voxels, like=image)
    common = {"channel_names": {"0": "T1w"}, "numTraining": cases, "file_ending": ".nii.gz"}
    (folder / "dataset.json").write_text(json.dumps({**common, **document}))


def export_and_report(setting: Setting, workspace: Workspace, name: str) -> None:
    """The export through nnU-Net, and back into the workspace."""
    exported = export_dataset(workspace, name, setting.folder / "raw")
    report(setting, workspace, name, exported.folder, "exported")
    import_dataset(workspace, exported.folder, f"{name}-back")
    before, back = workspace.read_dataset(name), workspace.read_dataset(f"{name}-back")
    assert (back.channels, back.file_ending) == (before.channels, before.file_ending)
    for one, other in zip(before.cases, back.cases, strict=True):
        assert (one.name, one.domain, one.subject) == (other.name, other.domain, other.subject)
        assert one.channels[0].resolve() == other.channels[0].resolve()
        first, second = (images.read_labels(path) for path in (one.labels, other.labels))
        assert np.array_equal(before.labels.encode(first), back.labels.encode(second))


def report(setting: Setting, workspace: Workspace, name: str, folder: Path, what: str) -> None:
    """One line: whether nnU-Net accepts ``folder``, and the fields in which its plan differs from ours."""
    number = folder.name[len("Dataset") : len("Dataset000")]
    work = ("-d", number, "--verify_dataset_integrity", "--no_pp", "-np", "2", "-npfp", "2")
    environment = {**peer_environment(setting.folder), "nnUNet_def_n_proc": "2"}
    run(setting.peer_program("nnUNetv2_plan_and_preprocess", *work), environment)
    theirs = json.loads((setting.folder / "preprocessed" / folder.name / "nnUNetPlans.json").read_text())
    plan = workspace.dataset_folder(name) / "plan.json"
    ours = plans_document_without_whole_case(plan, folder.name)
    differing = [key for key in ("transpose_forward",) if ours[key] != theirs[key]]
    compared = [one for one in theirs["configurations"] if one in ours["configurations"]]
    for one in compared:
        left, right = ours["configurations"][one], theirs["configurations"][one]
        differing += [f"{one}.{key}" for key in COMPARED if not same(left[key], right[key])]
    missing = sorted(set(theirs["configurations"]) ^ set(ours["configurations"]))
    line = {"dataset": name, "folder": what, "accepted": True, "configurations": compared, "only_one_has": missing}
    print(json.dumps({**line, "reader": theirs["image_reader_writer"], "differing": differing}), flush=True)


def plans_document_without_whole_case(path: Path, name: str) -> dict[str, Any]:
    """Our plan as nnU-Net would write it, without what it cannot have."""
    from autoseg.core.plan import read_plan

    plan = read_plan(path.read_text(), str(path))
    kept = {key: one for key, one in plan.configurations.items() if not one.whole_case}
    return plans_document(plan.model_copy(update={"configurations": kept}), name)


def same(one: Any, other: Any) -> bool:
    """Equal; numbers to the rounding of an affine in single precision."""
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, float) and isinstance(other, float | int):
        return bool(np.isclose(one, other, rtol=1e-6, atol=0))
    return bool(one == other)


if __name__ == "__main__":
    main()
