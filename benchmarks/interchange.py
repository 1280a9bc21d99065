"""Models of nnU-Net predicted by both, and ours predicted by both: do the labels agree?

``PYTHONPATH=. python -m benchmarks.interchange FOLDER PEER_PYTHON [--steps N]`` prints one JSON line a model. nnU-Net
trains its plain and its residual network on 24 cases of hippocampus-a, made narrow to take minutes, and for a few steps
only: after some more so narrow a network finds nothing but background. All predict 10 other cases in fp32 with
mirroring, each side with its own code.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import torch

from autoseg.core.plan import Plan, read_plan
from autoseg.inference import predictor as inference
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.io import images
from autoseg.io.workspace import Workspace, write_bytes, write_text
from autoseg.networks import build, model_file
from autoseg.pipeline.nnunet import export_model, import_model
from autoseg.pipeline.prediction import predict_cases
from benchmarks.measure import run
from benchmarks.setting import Setting, default_data, peer_environment

NUM_TRAINING, NUM_PREDICTED = 24, 10
DATASET = "Dataset001_Hippocampus"
PLANS = {"plain": ("nnUNetPlans", "ExperimentPlanner"), "residual": ("nnUNetResEncUNetMPlans", "nnUNetPlannerResEncM")}
CONFIGURATIONS = ("3d_fullres", "2d")
WIDTHS = (8, 16, 32, 64, 64, 64)


def main() -> None:
    """Make what is missing in FOLDER, then compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("peer_python")
    parser.add_argument("--steps", type=int, default=2)
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    setting = Setting(folder, default_data(), "python", asked.peer_python, 0, 1, True)
    if not (folder / "images").is_dir():
        make_raw(setting)
    for network, (plans, planner) in PLANS.items():
        plan(setting, network, plans, planner)
        for configuration in CONFIGURATIONS:
            model = f"nnUNetTrainer__{plans}__{configuration}"
            if not (folder / "results" / DATASET / model / "fold_0" / "checkpoint_final.pth").is_file():
                work = ("1", configuration, "--steps", asked.steps, "--plans", plans)
                run(setting.peer_script("training", *work), environment(folder))
            compare_import(setting, network, configuration)
            compare_export(setting, network, configuration)


def environment(folder: Path) -> dict[str, str]:
    """Few processes of the peer."""
    return {**peer_environment(folder), "nnUNet_n_proc_DA": "2", "nnUNet_def_n_proc": "2"}


def make_raw(setting: Setting) -> None:
    """A raw dataset of nnU-Net, and the images to be predicted."""
    raw = setting.folder / "raw" / DATASET
    source = setting.data / "hippocampus-a"
    found = sorted(source.glob("sub-*/**/*_T1w.nii.gz"))
    for name in ("imagesTr", "labelsTr"):
        (raw / name).mkdir(parents=True, exist_ok=True)
    for path in found[:NUM_TRAINING]:
        case = path.name.removesuffix("_T1w.nii.gz")
        (labels,) = (source / "derivatives/labels").glob(f"{case}/**/{case}_desc-manual_dseg.nii.gz")
        shutil.copy(path, raw / "imagesTr" / f"{case}_0000.nii.gz")
        images.write_labels(raw / "labelsTr" / f"{case}.nii.gz", images.read_labels(labels).astype(np.uint8), like=path)
    names = {"background": 0, "Anterior": 1, "Posterior": 2}
    document = {"channel_names": {"0": "T1w"}, "labels": names, "numTraining": NUM_TRAINING, "file_ending": ".nii.gz"}
    (raw / "dataset.json").write_text(json.dumps(document))
    (setting.folder / "images").mkdir()
    for path in found[NUM_TRAINING : NUM_TRAINING + NUM_PREDICTED]:
        shutil.copy(path, setting.folder / "images" / path.name.replace("_T1w", "_0000"))


def plan(setting: Setting, network: str, plans: str, planner: str) -> None:
    """Plan and prepare with nnU-Net; the networks are made narrow and the batches small."""
    path = setting.folder / "preprocessed" / DATASET / f"{plans}.json"
    if path.is_file():
        return
    work = ("-d", "1", "-c", *CONFIGURATIONS, "-pl", planner, "-np", "2", "-npfp", "2")
    run(setting.peer_program("nnUNetv2_plan_and_preprocess", *work), environment(setting.folder))
    document = json.loads(path.read_text())
    for name in CONFIGURATIONS:
        configuration = document["configurations"][name]
        settings = configuration["architecture"]["arch_kwargs"]
        settings["features_per_stage"] = list(WIDTHS[: settings["n_stages"]])
        configuration["batch_size"] = 2 if name == "3d_fullres" else 16
    path.write_text(json.dumps(document))


def compare_import(setting: Setting, network: str, configuration: str) -> None:
    """Their model, predicted by both."""
    plans, _ = PLANS[network]
    root = setting.folder / f"imported-{network}-{configuration}"
    shutil.rmtree(root, ignore_errors=True)
    model = setting.folder / "results" / DATASET / f"nnUNetTrainer__{plans}__{configuration}"
    import_model(Workspace(root), model, "Imported")
    ours = predict(setting, Workspace(root).model_folder("Imported", configuration, "fold0"), configuration, root)
    theirs = peer_predict(setting, model, setting.folder / f"peer-{network}-{configuration}")
    report(f"{network} {configuration}, trained by nnU-Net", ours, theirs)


def compare_export(setting: Setting, network: str, configuration: str) -> None:
    """Our model with random weights, predicted by both; it turns every image to RAS."""
    root = setting.folder / f"exported-{network}-{configuration}"
    shutil.rmtree(root, ignore_errors=True)
    source = setting.folder / f"imported-{network}-{configuration}/models/Imported/{configuration}/fold0/plan.json"
    ours = read_plan(source.read_text(), str(source)).model_copy(update={"orientation": "canonical"})
    folder = Workspace(root).model_folder("Ours", configuration, "fold0")
    save_random(ours, configuration, folder)
    labels = predict(setting, folder, configuration, root)
    (exported,) = export_model(Workspace(root), "Ours", root / "results")
    theirs = peer_predict(setting, exported, root / "peer")
    report(f"{network} {configuration}, exported by us", labels, theirs)


def save_random(plan_: Plan, configuration: str, folder: Path) -> None:
    """Random weights, also where they begin at zero or one."""
    spec = plan_.configurations[configuration].network
    torch.manual_seed(0)
    network = build(spec, len(plan_.channels), plan_.num_classes)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    write_bytes(folder / "final.safetensors", model_file.serialise(network.state_dict(), {}))
    write_text(folder / "plan.json", plan_.model_dump_json())


def predict(setting: Setting, model: Path, configuration: str, root: Path) -> Path:
    """Ours, with torch in fp32 as nnU-Net on a CPU."""
    inference.native_precisions = lambda device: ("fp32",)
    predictor = inference.load_predictor([model], configuration, "cpu", engine="torch")
    cases, _ = find_inputs([setting.folder / "images"], predictor.plan.channels)
    predict_cases(predictor, cases, root / "labels", overwrite=True)
    return root / "labels"


def peer_predict(setting: Setting, model: Path, output: Path) -> Path:
    """Theirs."""
    work = ("-i", setting.folder / "images", "-o", output, "-m", model, "-f", "0", "-device", "cpu")
    program = setting.peer_program("nnUNetv2_predict_from_modelfolder", *work, "-npp", "1", "-nps", "1")
    run(program, environment(setting.folder))
    return output


def report(what: str, ours: Path, theirs: Path) -> None:
    """How many voxels agree, and how many there are of each label."""
    voxels = equal = 0
    counts: dict[int, int] = {}
    for path in sorted(theirs.glob("*.nii.gz")):
        one = images.read_labels(ours / path.name.replace(".nii.gz", "_0000.nii.gz"))
        other = images.read_labels(path)
        voxels, equal = voxels + one.size, equal + int((one == other).sum())
        for label, count in zip(*np.unique(other, return_counts=True), strict=True):
            counts[int(label)] = counts.get(int(label), 0) + int(count)
    differing = voxels - equal
    print(
        json.dumps({"model": what, "agreement": equal / voxels, "differing": differing, "voxels": counts}), flush=True
    )


if __name__ == "__main__":
    main()
