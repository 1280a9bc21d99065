"""Model folders as nnU-Net writes them, around the small networks with known weights."""

import json
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import torch

from autoseg.interop.nnunet_architecture import network_of
from autoseg.interop.nnunet_weights import our_weights, their_weights
from tests.networks import peer_networks

STATISTICS = {"max": 9.0, "mean": 4.0, "median": 4.0, "min": 0.0, "percentile_00_5": 1.0, "percentile_99_5": 8.0}
RESAMPLING = {
    f"resampling_fn_{kind}{suffix}": value
    for kind, order in (("data", 3), ("seg", 1), ("probabilities", 1))
    for suffix, value in (
        ("", "resample_data_or_seg_to_shape"),
        ("_kwargs", {"is_seg": kind == "seg", "order": order, "order_z": 0, "force_separate_z": None}),
    )
}
DATASET = {
    "channel_names": {"0": "T1w", "1": "T2w"},
    "labels": {"background": 0, "shell": 1, "core": 2},
    "numTraining": 6,
    "file_ending": ".nii.gz",
}
FOLDER = "nnUNetTrainer__nnUNetPlans__3d_fullres"


def plans(name: str = "plain_3d") -> dict:
    """plans.json with one configuration, ``3d_fullres``, and one that inherits from it."""
    configuration = {
        "data_identifier": "nnUNetPlans_3d_fullres",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": 2,
        "patch_size": [8, 16, 16],
        "median_image_size_in_voxels": [16.0, 24.5, 20.0],
        "spacing": [1.2, 1.0, 1.0],
        "normalization_schemes": ["ZScoreNormalization", "CTNormalization"],
        "use_mask_for_norm": [True, False],
        **RESAMPLING,
        "batch_dice": False,
        "architecture": peer_networks.read(name)["architecture"],
    }
    return {
        "dataset_name": "Dataset501_Tiny",
        "plans_name": "nnUNetPlans",
        "original_median_spacing_after_transp": [1.2, 1.0, 1.0],
        "original_median_shape_after_transp": [16, 24, 20],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 2, 1],
        "transpose_backward": [0, 2, 1],
        "configurations": {
            "3d_fullres": configuration,
            "3d_fullres_bs4": {"inherits_from": "3d_fullres", "batch_size": 4},
            "3d_lowres": {"inherits_from": "3d_fullres"},
            "3d_cascade_fullres": {"inherits_from": "3d_fullres_bs4", "previous_stage": "3d_lowres"},
        },
        "experiment_planner_used": "ExperimentPlanner",
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {str(n): {**STATISTICS, "std": 2.0 + n} for n in range(2)},
    }


def old_plans() -> dict:
    """The same as version 2.0 wrote it."""
    document = plans()
    configuration = document["configurations"]["3d_fullres"]
    settings = configuration.pop("architecture")["arch_kwargs"]
    configuration |= {
        "UNet_class_name": "PlainConvUNet",
        "UNet_base_num_features": 3,
        "unet_max_num_features": 4,
        "n_conv_per_stage_encoder": settings["n_conv_per_stage"],
        "n_conv_per_stage_decoder": settings["n_conv_per_stage_decoder"],
        "num_pool_per_axis": [1, 2, 2],
        "pool_op_kernel_sizes": settings["strides"],
        "conv_kernel_sizes": settings["kernel_sizes"],
    }
    statistics = document.pop("foreground_intensity_properties_per_channel")
    return {**document, "foreground_intensity_properties_by_modality": statistics}


def weights(name: str = "plain_3d") -> dict:
    """The state dict with every alias."""
    golden = peer_networks.read(name)
    network = network_of(golden["architecture"], "plans.json")
    return OrderedDict(their_weights(our_weights(golden["weights"], network, 2, 3, "golden"), network))


def checkpoint(name: str = "plain_3d", configuration: str = "3d_fullres") -> dict:
    """What ``nnUNetTrainer.save_checkpoint`` saves, log of numpy numbers included."""
    return {
        "network_weights": weights(name),
        "optimizer_state": {"state": {}, "param_groups": [{"lr": 0.01}]},
        "grad_scaler_state": None,
        "logging": {"ema_fg_dice": [np.float64(0.5)], "train_losses": [np.float32(1)], "epoch": [np.int64(3)]},
        "_best_ema": np.float64(0.5),
        "current_epoch": 3,
        "init_args": {"configuration": configuration, "fold": 0, "device": torch.device("cpu")},
        "trainer_name": "nnUNetTrainer",
        "inference_allowed_mirroring_axes": (0, 2),
    }


def write(root: Path, name: str = "plain_3d", folds=("0",), file: str = "checkpoint_final.pth") -> Path:
    """A model folder below ``root``."""
    folder = root / FOLDER
    for fold in folds:
        (folder / f"fold_{fold}").mkdir(parents=True)
        torch.save(checkpoint(name), folder / f"fold_{fold}" / file)
    (folder / "plans.json").write_text(json.dumps(plans(name)))
    (folder / "dataset.json").write_text(json.dumps(DATASET))
    return folder


def zipped(folder: Path, path: Path) -> Path:
    """As ``nnUNetv2_export_model_to_zip`` packs it."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, f"Dataset501_Tiny/{folder.name}/{file.relative_to(folder)}")
    return path
