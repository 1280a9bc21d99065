"""Models of nnU-Net predicted by both, and ours predicted by both: do the labels agree?

``PYTHONPATH=. python -m benchmarks.interchange FOLDER PEER_PYTHON`` prints JSON lines. For nnU-Net's plain and its
residual network, made narrow to take minutes, in 3D and 2D: we train the network of nnU-Net's plan on hippocampus-b
and export it; nnU-Net fine-tunes it for a few steps and we import that. 10 cases of hippocampus-a are predicted in
fp32 with mirroring, each side with its own code; for the export half of them are stored turned.

nnU-Net adds up in fp16: where a tile weighs least, in the corners of an image, its logits are whole numbers, and a
network that is not sure of itself gets other labels there. ``differing_fp32`` is what is left when it adds up in fp32.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from collections import Counter
from pathlib import Path

import nibabel

from autoseg.inference import predictor as inference
from autoseg.interop.nnunet_plans import plan_of
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.interop.prediction_outputs import image_layout
from autoseg.io import images
from autoseg.io.files import write_text
from autoseg.io.workspace import Workspace
from autoseg.pipeline.nnunet import export_model, import_model
from autoseg.pipeline.segmenting import predict_cases
from autoseg.planning.configurations import augmentation
from benchmarks.material import copy_raw
from benchmarks.measure import run
from benchmarks.setting import Setting, default_data, peer_environment

NUM_PREDICTED = 10
STEPS = {"plain": 400, "residual": 1500}  # the residual network begins as the identity, and learns later
OURS, DATASET = "Hippocampus", "Dataset001_Hippocampus"
PLANS = {"plain": ("nnUNetPlans", "ExperimentPlanner"), "residual": ("nnUNetResEncUNetMPlans", "nnUNetPlannerResEncM")}
CONFIGURATIONS = ("3d_fullres", "2d")
WIDTHS = (8, 16, 32, 64, 64, 64)


def main() -> None:
    """Make what is missing in FOLDER, then compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("peer_python")
    asked = parser.parse_args()
    folder = asked.folder.absolute()
    setting = Setting(folder, default_data(), sys.executable, asked.peer_python, 0, 1, True)
    workspace = Workspace(folder / "workspace")
    if not workspace.root.is_dir():
        make_data(setting, workspace)
    for network, (plans, planner) in PLANS.items():
        plan(setting, plans, planner)
        for configuration in CONFIGURATIONS:
            models = f"{network}-{configuration}"
            exported = compare_export(setting, train(setting, workspace, plans, configuration, models), models)
            checkpoint = exported / "fold_all" / "checkpoint_final.pth"
            run(setting.peer_script("few_steps", "1", configuration, plans, checkpoint), environment(folder))
            compare_import(setting, folder / "results" / DATASET / exported.name, models)


def environment(folder: Path) -> dict[str, str]:
    """Few processes of the peer."""
    return {**peer_environment(folder), "nnUNet_n_proc_DA": "2", "nnUNet_def_n_proc": "2"}


def make_data(setting: Setting, workspace: Workspace) -> None:
    """Our dataset, the same as a raw dataset of nnU-Net, and the images to be predicted."""
    source = setting.data / "hippocampus-b"
    run(setting.autoseg(workspace.root, "convert-bids", source, "--dataset", OURS))
    copy_raw(workspace.dataset_folder(OURS), setting.folder / "raw" / DATASET)
    for name in ("images", "turned"):
        (setting.folder / name).mkdir()
    found = sorted((setting.data / "hippocampus-a").glob("sub-*/**/*_T1w.nii.gz"))
    for number, path in enumerate(found[:NUM_PREDICTED]):
        name = path.name.replace("_T1w", "_0000")
        shutil.copy(path, setting.folder / "images" / name)
        turn = nibabel.orientations.axcodes2ornt("PIR" if number % 2 else "RAS")
        nibabel.save(nibabel.load(path).as_reoriented(turn), setting.folder / "turned" / name)


def plan(setting: Setting, plans: str, planner: str) -> None:
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


def train(setting: Setting, workspace: Workspace, plans: str, configuration: str, models: str) -> Path:
    """A workspace with our model of nnU-Net's plan, its images turned to RAS."""
    root = setting.folder / f"exported-{models}"
    if (Workspace(root).model_folder(OURS, configuration, "all") / "final.safetensors").is_file():
        return root
    theirs = setting.folder / "preprocessed" / DATASET
    documents = [json.loads((theirs / name).read_text()) for name in (f"{plans}.json", "dataset.json")]
    ours = plan_of(documents[0], documents[1], OURS, augmentation, str(theirs), [configuration])
    one = ours.configurations[configuration]
    short = {"epochs": 1, "steps_per_epoch": STEPS[models.split("-")[0]], "validation_steps": 1}
    spec = one.training.model_copy(update=short)
    changes = {configuration: one.model_copy(update={"training": spec})}
    shutil.copytree(workspace.dataset_folder(OURS), Workspace(root).dataset_folder(OURS), symlinks=True)
    ours = ours.model_copy(update={"orientation": "canonical", "configurations": changes})
    write_text(Workspace(root).dataset_folder(OURS) / "plan.json", ours.model_dump_json())
    run(setting.autoseg(root, "train", OURS, configuration, "all", "--device", "cpu"))
    return root


def compare_export(setting: Setting, root: Path, models: str) -> Path:
    """Our model, exported and predicted by both; where it was exported to."""
    shutil.rmtree(root / "results", ignore_errors=True)
    (exported,) = export_model(Workspace(root), OURS, root / "results")
    _, plans, configuration = exported.name.split("__")
    own = {**environment(setting.folder), "nnUNet_results": str(root / "results")}
    chosen = ("-d", exported.parent.name, "-c", configuration, "-p", plans)
    peer = emptied(root / "peer")
    run(setting.peer_program("nnUNetv2_predict", *chosen, *options(setting, "turned", peer, "all")), own)
    zipped = (*chosen, "-o", root / "model.zip", "-f", "all")
    run(setting.peer_program("nnUNetv2_export_model_to_zip", *zipped), own)
    shutil.rmtree(root / "models" / "Back", ignore_errors=True)
    import_model(Workspace(root), root / "model.zip", "Back")
    predictor = load(Workspace(root).model_folder(OURS, configuration, "all"), configuration)
    report(setting, f"{models}, exported by us", predictor, setting.folder / "turned", root, exported)
    return exported


def compare_import(setting: Setting, model: Path, models: str) -> None:
    """Their model, predicted by both."""
    root = emptied(setting.folder / f"imported-{models}")
    ((configuration, _),) = import_model(Workspace(root), model, "Imported").items()
    peer = root / "peer"
    chosen = ("-m", model, *options(setting, "images", peer, "0"))
    run(setting.peer_program("nnUNetv2_predict_from_modelfolder", *chosen), environment(setting.folder))
    predictor = load(Workspace(root).model_folder("Imported", configuration, "fold0"), configuration)
    report(setting, f"{models}, trained by nnU-Net", predictor, setting.folder / "images", root, model)


def emptied(folder: Path) -> Path:
    """Nothing of an earlier run is taken for a result of this one."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def load(model: Path, configuration: str) -> inference.Predictor:
    """Ours, with torch in fp32 as nnU-Net on a CPU."""
    inference.native_precisions = lambda device: ("fp32",)
    return inference.load_predictor([model], configuration, "cpu", engine="torch")


def options(setting: Setting, images_name: str, output: Path, fold: str) -> list[str | Path]:
    """Of their commands that predict."""
    given = ("-i", setting.folder / images_name, "-o", output, "-f", fold, "-device", "cpu")
    return [*given, "-npp", "1", "-nps", "1"]


def report(setting: Setting, what: str, predictor: inference.Predictor, inputs: Path, root: Path, model: Path) -> None:
    """How many voxels agree, and how many there are of each label; theirs are in ``root / "peer"``."""
    cases, _ = find_inputs([inputs], predictor.plan.channels)
    predict_cases(predictor, cases, image_layout(root / "labels", predictor.plan.labels), overwrite=True)
    (fold,) = (path.name.removeprefix("fold_") for path in model.glob("fold_*"))
    exact = emptied(root / "peer-fp32")
    run(setting.peer_script("predict_fp32", model, fold, inputs, exact), environment(setting.folder))
    voxels = differing = differing_fp32 = 0
    counts: Counter[int] = Counter()
    for case in cases:
        ours, name = (
            images.read_labels(root / "labels" / case.channels[0].name),
            case.channels[0].name.replace("_0000", ""),
        )
        theirs = images.read_labels(root / "peer" / name)
        voxels, differing = voxels + ours.size, differing + int((ours != theirs).sum())
        differing_fp32 += int((ours != images.read_labels(exact / name)).sum())
        counts.update(theirs.ravel().tolist())
    if len(counts) < 2:
        raise SystemExit(f"{what}: finds nothing but background, which proves nothing; raise STEPS.")
    facts = {"model": what, "agreement": 1 - differing / voxels, "differing": differing, "voxels": dict(counts)}
    print(json.dumps({**facts, "differing_fp32": differing_fp32}), flush=True)


if __name__ == "__main__":
    main()
