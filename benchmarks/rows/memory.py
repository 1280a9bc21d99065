"""Peak memory of predicting a large volume."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from benchmarks import material
from benchmarks.measure import run
from benchmarks.report import Result, compared
from benchmarks.setting import Setting, peer_environment

DATASET, PEER_DATASET = "Large", "Dataset002_Large"
CONFIGURATION = "3d_fullres"
CASES = 2
CLASSES = 5  # background included
GIB = 2**30


def memory(setting: Setting) -> Result:
    """Peak memory of all processes that predict a volume of 320^3 voxels with 5 classes, without mirroring."""
    edge = 96 if setting.quick else 320
    folder = material.once(setting, "large", lambda root: make_models(setting, root, edge))
    image, home, output = folder / "image", folder / "peer", folder / "predictions"
    chosen = ("-d", "2", "-c", CONFIGURATION, "-f", "0", "-device", "cpu")
    options = ("-step_size", "1", "--disable_tta", "-npp", "1", "-nps", "1")
    peer = setting.peer_program("nnUNetv2_predict", "-i", image, "-o", output / "peer", *chosen, *options)
    ours = setting.autoseg(
        *(folder / "workspace", "predict", image, "-o", output / "ours", "--dataset", DATASET),
        *("--configuration", CONFIGURATION, "--folds", "fold0", "--device", "cpu"),
        *("--step", "1.0", "--no-mirroring", "--overwrite", "--engine", "torch"),
    )
    shutil.rmtree(output, ignore_errors=True)
    ran = {}
    for name, command in (("peer", peer), ("ours", ours)):
        ran[name] = run(command, peer_environment(home), sample=True)
        print(f"   {name}: {(ran[name].peak_bytes or 0) / GIB:.2f} GiB, {ran[name].seconds:.0f} s", flush=True)
    facts = {
        "seconds": {name: one.seconds for name, one in ran.items()},
        "largest_process_bytes": {name: one.largest_bytes for name, one in ran.items()},
        "patch": patches(folder),
    }
    runs = {name: [(one.peak_bytes or one.largest_bytes) / GIB] for name, one in ran.items()}
    commands = [
        f"peer: nnUNetv2_predict {' '.join(options)}",
        "ours: autoseg predict --step 1.0 --no-mirroring --engine torch",
        "memory of all processes added up every 50 ms, shared pages counted once (PSS)",
    ]
    work = f"peak memory of predicting one volume of {edge}^3 voxels, {CLASSES} classes"
    return compared(work, "GiB", runs, 2, commands, facts=facts)


def make_models(setting: Setting, root: Path, edge: int) -> None:
    """A dataset of two synthetic volumes, planned by both, and an untrained model of each plan."""
    for number in range(CASES):
        write_subject(root / "bids", f"sub-{number}", edge, seed=number)
    (root / "bids" / "dataset_description.json").write_text('{"Name": "large", "BIDSVersion": "1.9.0"}')
    names = "".join(f"{value}\tstructure{value}\n" for value in range(1, CLASSES))
    (root / "bids" / "derivatives" / "labels" / "desc-manual_dseg.tsv").write_text("index\tname\n" + names)
    workspace, home = root / "workspace", root / "peer"
    run(setting.autoseg(workspace, "convert-bids", root / "bids", "--dataset", DATASET, "--contrasts", "T1w"))
    run(setting.autoseg(workspace, "plan", DATASET))
    dataset = workspace / "datasets" / DATASET
    model = workspace / "models" / DATASET / CONFIGURATION / "fold0"
    run(setting.script("untrained", dataset / "plan.json", CONFIGURATION, model))
    material.copy_raw(dataset, home / "raw" / PEER_DATASET)
    for program in ("nnUNetv2_extract_fingerprint", "nnUNetv2_plan_experiment"):
        run(setting.peer_program(program, "-d", "2"), peer_environment(home))
    run(setting.peer_script("untrained", PEER_DATASET, CONFIGURATION), peer_environment(home))
    (root / "image").mkdir()
    first = sorted((dataset / "imagesTr").iterdir())[0]
    (root / "image" / first.name).symlink_to(first.resolve())


def write_subject(root: Path, subject: str, edge: int, seed: int) -> None:
    """Nested shells around the middle in noise, 1 mm voxels."""
    import nibabel

    generator = np.random.default_rng(seed)
    line = np.linspace(-1, 1, edge, dtype=np.float32)
    distance = np.sqrt(line[:, None, None] ** 2 + line[None, :, None] ** 2 + line[None, None, :] ** 2)
    labels = np.clip(np.ceil((0.8 - distance) * CLASSES), 0, CLASSES - 1).astype(np.uint8)
    noise = generator.integers(0, 8, labels.shape, np.uint8)
    image = (20 + 30 * labels + noise).astype(np.uint8)
    derivatives = root / "derivatives" / "labels"
    for folder, name, voxels in ((root, "T1w", image), (derivatives, "desc-manual_dseg", labels)):
        path = folder / subject / "anat" / f"{subject}_{name}.nii.gz"
        path.parent.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), path)


def patches(folder: Path) -> dict[str, list[int]]:
    """The patch of each plan."""
    ours = folder / "workspace" / "datasets" / DATASET / "plan.json"
    peer = folder / "peer" / "preprocessed" / PEER_DATASET / "nnUNetPlans.json"
    return {
        name: json.loads(path.read_text(encoding="utf-8"))["configurations"][CONFIGURATION]["patch_size"]
        for name, path in (("ours", ours), ("peer", peer))
    }
