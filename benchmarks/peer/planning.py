"""Plan random fingerprints with nnU-Net's own planners, for ``tests/planning/test_golden_plans.py``.

Runs in the peer's environment: ``python planning.py OUT.json [--count 120] [--seed 0]`` writes a file for
``$AUTOSEG_GOLDEN``. Axes are (z, y, x). The networks that nnU-Net builds to estimate memory are built
on torch's meta device, which is 50 times faster and changes no figure.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import random
import tempfile
from pathlib import Path
from typing import Any

PLANNERS = ("ExperimentPlanner", "nnUNetPlannerResEncM", "nnUNetPlannerResEncL", "nnUNetPlannerResEncXL")
CHANNELS = ("CT", "ct", "T1w", "noNorm", "rescale_to_0_1", "rgb_to_0_1", "zscore", "FLAIR")
GIGABYTES = (3, 5.5, 16, 48)
KINDS = ("isotropic", "tied", "thick slices", "anisotropic", "slices", "tiny", "huge", "mixed")
KEPT = (
    "patch_size",
    "batch_size",
    "spacing",
    "median_image_size_in_voxels",
    "normalization_schemes",
    "use_mask_for_norm",
    "batch_dice",
)
KEPT_OF_NETWORK = (
    "features_per_stage",
    "kernel_sizes",
    "strides",
    "n_conv_per_stage",
    "n_blocks_per_stage",
    "n_conv_per_stage_decoder",
)


def main() -> None:
    """Write the file; fingerprints that nnU-Net cannot plan are left out and counted."""
    parser = argparse.ArgumentParser()
    parser.add_argument("out", type=Path)
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    draw, entries, refused = random.Random(asked.seed), [], []
    for number in range(asked.count):
        entry = draw_fingerprint(draw, KINDS[number % len(KINDS)], PLANNERS[number // len(KINDS) % len(PLANNERS)])
        try:
            entry["nnunet"] = planned(entry)
            entries.append(entry)
        except (AssertionError, ArithmeticError, IndexError, RuntimeError, ValueError) as error:
            refused.append({**entry, "error": f"{type(error).__name__}: {error}"})
    asked.out.write_text(json.dumps(entries))
    asked.out.with_suffix(".refused.json").write_text(json.dumps(refused))
    print(json.dumps({"planned": len(entries), "refused": len(refused)}))


def draw_fingerprint(draw: random.Random, kind: str, planner: str) -> dict[str, Any]:
    """One fingerprint of a kind, with all that the planners read."""
    cases = draw.randint(1, 12)
    spacing, size, jitter = [draw.uniform(0.4, 2)] * 3, [draw.randint(20, 260) for _ in range(3)], 0.15
    if kind == "tied":
        size, spacing, jitter = [draw.choice((64, 96, 150, 300))] * 3, [draw.choice((0.5, 1.0))] * 3, 0.0
    elif kind in ("thick slices", "anisotropic"):
        axis = draw.randrange(3)
        spacing[axis] *= draw.uniform(1.5, 9)
        if kind == "thick slices":
            size = [draw.randint(180, 500) for _ in range(3)]
            size[axis] = draw.randint(5, 40)
    elif kind == "slices":
        size, spacing[0] = [1, draw.randint(20, 900), draw.randint(20, 900)], 999.0
    elif kind == "tiny":
        size = [draw.randint(4, 20) for _ in range(3)]
    elif kind == "huge":
        size = [draw.randint(200, 700) for _ in range(3)]
    elif kind == "mixed":
        spacing, jitter = [draw.uniform(0.3, 4) for _ in range(3)], 0.6
    flat = kind == "slices"
    spacings = [
        [s if flat and i == 0 else round(s * draw.uniform(1 - jitter, 1 + jitter), 4) for i, s in enumerate(spacing)]
        for _ in range(cases)
    ]
    shapes = [[max(1, round(n * draw.uniform(1 - jitter, 1 + jitter))) if n > 1 else 1 for n in size] for _ in spacings]
    return {
        "planner": planner,
        "memory_gb": draw.choice(GIGABYTES) if draw.random() < 0.25 else None,
        "n_training": draw.choice((cases, cases, 60, 500)),
        "n_labels_including_background": draw.choice((2, 3, 5, 20, 118)),
        "channels": [draw.choice(CHANNELS) for _ in range(draw.randint(1, 4))],
        "fingerprint": {
            "spacings_zyx": spacings,
            "shapes_after_crop_zyx": shapes,
            "median_relative_size_after_cropping": draw.choice((1.0, 0.9, 0.75, 0.7499, 0.3)),
        },
    }


def planned(entry: dict[str, Any]) -> dict[str, Any]:
    """The transpose and the configurations that nnU-Net decides, reduced to what a plan of ours holds."""
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        plans = json.loads(json.dumps(run_planner(Path(folder), entry), default=lambda value: value.tolist()))
    return {
        "transpose_forward": plans["transpose_forward"],
        "configurations": {name: reduced(one) for name, one in plans["configurations"].items()},
    }


def reduced(configuration: dict[str, Any]) -> dict[str, Any]:
    """The fields of a golden entry; a configuration that inherits is kept as it is."""
    if "inherits_from" in configuration:
        return configuration
    architecture = configuration["architecture"]
    network = {key: value for key, value in architecture["arch_kwargs"].items() if key in KEPT_OF_NETWORK}
    kept = {key: configuration[key] for key in KEPT}
    return {**kept, "network": architecture["network_class_name"].rsplit(".", 1)[1], **network}


def run_planner(folder: Path, entry: dict[str, Any]) -> dict[str, Any]:
    """The planner's own constructor and ``plan_experiment`` on a dataset that has only its descriptions."""
    import torch
    from nnunetv2.experiment_planning.experiment_planners import default_experiment_planner, resencUNet_planner

    residual = importlib.import_module(
        "nnunetv2.experiment_planning.experiment_planners.residual_unets.residual_encoder_unet_planners"
    )
    name, case = "Dataset999_Golden", {"images": ["a.nii.gz"], "label": "b.nii.gz"}
    for module in (default_experiment_planner, resencUNet_planner, residual):
        module.nnUNet_raw, module.nnUNet_preprocessed = str(folder / "raw"), str(folder / "preprocessed")
        module.maybe_convert_to_dataset_name = lambda _: name
    labels = {"background": 0} | {f"label{i}": i for i in range(1, entry["n_labels_including_background"])}
    measured = entry["fingerprint"]
    documents = {
        "raw/dataset": {
            "channel_names": dict(enumerate(entry["channels"])),
            "labels": labels,
            "numTraining": entry["n_training"],
            "file_ending": ".nii.gz",
            "dataset": {"a": case},
            "overwrite_image_reader_writer": "SimpleITKIO",
        },
        "preprocessed/dataset_fingerprint": {
            "spacings": measured["spacings_zyx"],
            "shapes_after_crop": measured["shapes_after_crop_zyx"],
            "median_relative_size_after_cropping": measured["median_relative_size_after_cropping"],
            "foreground_intensity_properties_per_channel": {},
        },
    }
    for path, document in documents.items():
        root, stem = path.split("/")
        (folder / root / name).mkdir(parents=True)
        (folder / root / name / f"{stem}.json").write_text(json.dumps(document))
    planner_class = getattr(default_experiment_planner, entry["planner"], None) or getattr(residual, entry["planner"])
    memory = {} if entry["memory_gb"] is None else {"gpu_memory_target_in_gb": entry["memory_gb"]}
    planner = planner_class(999, **memory)
    planner.save_plans = lambda plans: None
    estimate = planner.static_estimate_VRAM_usage

    def estimate_on_meta(*arguments: Any) -> Any:
        with torch.device("meta"):
            return estimate(*arguments)

    planner.static_estimate_VRAM_usage = estimate_on_meta
    planner.determine_reader_writer = lambda: str
    return planner.plan_experiment()


if __name__ == "__main__":
    for variable in ("nnUNet_raw", "nnUNet_preprocessed", "nnUNet_results"):
        os.environ.setdefault(variable, tempfile.gettempdir())
    main()
