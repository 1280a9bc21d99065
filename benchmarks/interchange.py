"""Models of nnU-Net predicted by both, and ours predicted by both: do the labels agree?

``PYTHONPATH=. python -m benchmarks.interchange FOLDER PEER_PYTHON [--steps N]`` prints JSON lines. nnU-Net trains its
plain and its residual network, made narrow to take minutes, on a few batches of hippocampus-a; we import the model and
export it again with canonical axes. 10 other cases are predicted in fp32 with mirroring, each side with its own code;
for the export half of them are stored turned.

nnU-Net adds up in fp16: where a tile weighs least, in the corners of an image, its logits are whole numbers.
``differing_as_fp16`` is what is left when ours are added up likewise, where a case is a single tile.
"""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter

from autoseg.core.plan import read_plan
from autoseg.inference import predictor as inference
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.io import images
from autoseg.io.workspace import Workspace, write_text
from autoseg.pipeline.nnunet import export_model, import_model
from autoseg.pipeline.prediction import predict_cases
from autoseg.preprocessing import prepare
from benchmarks.measure import run
from benchmarks.setting import Setting, default_data, peer_environment

NUM_TRAINING, NUM_PREDICTED = 24, 10
DATASET = "Dataset001_Hippocampus"
PLANS = {"plain": ("nnUNetPlans", "ExperimentPlanner"), "residual": ("nnUNetResEncUNetMPlans", "nnUNetPlannerResEncM")}
CONFIGURATIONS = ("3d_fullres", "2d")
PATCH = (24, 32, 24)  # several tiles a case
WIDTHS = (8, 16, 32, 64, 64, 64)


def main() -> None:
    """Make what is missing in FOLDER, then compare."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("peer_python")
    parser.add_argument("--steps", type=int, default=150)
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
                work = ("1", configuration, plans, "--steps", asked.steps)
                run(setting.peer_script("few_batches", *work), environment(folder))
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
    for name in ("images", "turned"):
        (setting.folder / name).mkdir()
    for number, path in enumerate(found[NUM_TRAINING : NUM_TRAINING + NUM_PREDICTED]):
        name = path.name.replace("_T1w", "_0000")
        shutil.copy(path, setting.folder / "images" / name)
        turn = nibabel.orientations.axcodes2ornt("PIR" if number % 2 else "RAS")
        nibabel.save(nibabel.load(path).as_reoriented(turn), setting.folder / "turned" / name)


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
        if name == "3d_fullres":
            configuration["patch_size"] = list(PATCH)
    path.write_text(json.dumps(document))


def compare_import(setting: Setting, network: str, configuration: str) -> None:
    """Their model, predicted by both."""
    plans, _ = PLANS[network]
    root = emptied(setting.folder / f"imported-{network}-{configuration}")
    model = setting.folder / "results" / DATASET / f"nnUNetTrainer__{plans}__{configuration}"
    import_model(Workspace(root), model, "Imported")
    predictor = load(Workspace(root).model_folder("Imported", configuration, "fold0"), configuration)
    theirs = emptied(setting.folder / f"peer-{network}-{configuration}")
    program = setting.peer_program(
        "nnUNetv2_predict_from_modelfolder", "-m", model, *options(setting, "images", theirs)
    )
    run(program, environment(setting.folder))
    report(f"{network} {configuration}, trained by nnU-Net", predictor, setting.folder / "images", root, theirs)


def compare_export(setting: Setting, network: str, configuration: str) -> None:
    """The same weights in a model of ours that turns every image to RAS, exported and predicted by both."""
    root = emptied(setting.folder / f"exported-{network}-{configuration}")
    source = setting.folder / f"imported-{network}-{configuration}/models/Imported/{configuration}/fold0"
    folder = Workspace(root).model_folder("Ours", configuration, "fold0")
    shutil.copytree(source, folder)
    text = (source / "plan.json").read_text(encoding="utf-8")
    ours = read_plan(text, str(source)).model_copy(update={"orientation": "canonical"})
    write_text(folder / "plan.json", ours.model_dump_json())
    (exported,) = export_model(Workspace(root), "Ours", root / "results")
    plans = exported.name.split("__")[1]
    chosen = ("-d", exported.parent.name, "-c", configuration, "-p", plans)
    program = setting.peer_program("nnUNetv2_predict", *chosen, *options(setting, "turned", root / "peer"))
    run(program, {**environment(setting.folder), "nnUNet_results": str(root / "results")})
    zipped = ("-d", exported.parent.name, "-o", root / "model.zip", "-c", configuration, "-f", "0", "-p", plans)
    program = setting.peer_program("nnUNetv2_export_model_to_zip", *zipped)
    run(program, {**environment(setting.folder), "nnUNet_results": str(root / "results")})
    import_model(Workspace(root), root / "model.zip", "Back")
    predictor = load(folder, configuration)
    report(f"{network} {configuration}, exported by us", predictor, setting.folder / "turned", root, root / "peer")


def emptied(folder: Path) -> Path:
    """Nothing of an earlier run is taken for a result of this one."""
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def load(model: Path, configuration: str) -> inference.Predictor:
    """Ours, with torch in fp32 as nnU-Net on a CPU."""
    inference.native_precisions = lambda device: ("fp32",)
    return inference.load_predictor([model], configuration, "cpu", engine="torch")


def options(setting: Setting, images_name: str, output: Path) -> list[str | Path]:
    """Of their commands that predict."""
    given = ("-i", setting.folder / images_name, "-o", output, "-f", "0", "-device", "cpu")
    return [*given, "-npp", "1", "-nps", "1"]


def report(what: str, predictor: inference.Predictor, inputs: Path, root: Path, theirs: Path) -> None:
    """How many voxels agree, how many there are of each label, and what fp16 explains of the difference."""
    cases, _ = find_inputs([inputs], predictor.plan.channels)
    predict_cases(predictor, cases, root / "labels", overwrite=True)
    voxels = differing = left = 0
    counts: dict[int, int] = {}
    for case in cases:
        one = images.read_labels(root / "labels" / case.channels[0].name)
        other = images.read_labels(theirs / case.channels[0].name.replace("_0000", ""))
        voxels, unlike = voxels + one.size, int((one != other).sum())
        differing += unlike
        if unlike:
            left += int((as_fp16(predictor, case.name, images.read_channels(case.channels), one) != other).sum())
        for label, count in zip(*np.unique(other, return_counts=True), strict=True):
            counts[int(label)] = counts.get(int(label), 0) + int(count)
    facts = {"model": what, "agreement": 1 - differing / voxels, "differing": differing, "differing_as_fp16": left}
    print(json.dumps({**facts, "voxels": counts}), flush=True)


def as_fp16(
    predictor: inference.Predictor, name: str, image: images.Image, labels: npt.NDArray[np.integer]
) -> npt.NDArray[np.integer]:
    """Labels of a case that is one 3D tile, its logits weighted and divided in fp16; else ``labels``."""
    case = predictor.prepare(name, image)
    shape, patch = case.image.shape[1:], predictor.configuration.patch_size
    if len(patch) == 2 or any(size > edge for size, edge in zip(shape, patch, strict=True)):
        return labels
    weight = np.zeros(patch)
    weight[tuple(edge // 2 for edge in patch)] = 1
    weight = gaussian_filter(weight, [edge / 8 for edge in patch], mode="constant")
    half = (10 * weight / weight.max()).astype(np.float16)
    half[half == 0] = half[half > 0].min()
    starts = [(edge - size) // 2 for size, edge in zip(shape, patch, strict=True)]
    part = half[tuple(slice(start, start + size) for start, size in zip(starts, shape, strict=True))]
    summed = (predictor.logits(case.image) * part).astype(np.float16)
    return prepare.undo(
        torch.from_numpy(summed).div(torch.from_numpy(part)).float().numpy(), case.trace, predictor.plan.labels
    )


if __name__ == "__main__":
    main()
