"""Our plans against those of nnU-Net 2.8.1 for the same fingerprints."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.core.plan import Configuration
from autoseg.planning.configurations import fit_configurations
from autoseg.planning.planner import axis_order_of
from autoseg.planning.planners import PLANNERS
from autoseg.planning.targets import DatasetSummary

GOLDEN = Path(os.environ.get("AUTOSEG_GOLDEN", Path(__file__).parents[3] / "shared/golden/nnunet_plans.json"))
PLANNER_NAMES = {
    "ExperimentPlanner": "default",
    "nnUNetPlannerResEncM": "resenc-m",
    "nnUNetPlannerResEncL": "resenc-l",
    "nnUNetPlannerResEncXL": "resenc-xl",
}
NETWORKS = {"plain_unet": "PlainConvUNet", "residual_encoder_unet": "ResidualEncoderUNet"}
BLOCKS = {"plain_unet": "n_conv_per_stage", "residual_encoder_unet": "n_blocks_per_stage"}
NORMALIZATIONS = {
    "zscore": "ZScoreNormalization",
    "ct": "CTNormalization",
    "none": "NoNormalization",
    "rescale_0_1": "RescaleTo01Normalization",
    "rgb_0_1": "RGBTo01Normalization",
}


def golden_entries() -> list[Any]:
    if not GOLDEN.is_file():
        return [pytest.param(None, marks=pytest.mark.skip(reason=f"{GOLDEN} is absent: set $AUTOSEG_GOLDEN"))]
    entries = json.loads(GOLDEN.read_text())
    return [pytest.param(entry, id=f"{i}-{entry['planner']}") for i, entry in enumerate(entries)]


def as_nnunet(configuration: Configuration) -> dict[str, Any]:
    network = configuration.network
    return {
        "patch_size": list(configuration.patch_size),
        "batch_size": configuration.batch_size,
        "median_image_size_in_voxels": list(configuration.median_shape_voxels),
        "normalization_schemes": [NORMALIZATIONS[scheme] for scheme in configuration.normalization],
        "use_mask_for_norm": list(configuration.mask_normalization),
        "batch_dice": configuration.batch_dice,
        "network": NETWORKS[network.name],
        "features_per_stage": list(network.features_per_stage),
        "kernel_sizes": [list(kernel) for kernel in network.kernel_sizes],
        "strides": [list(stride) for stride in network.strides],
        BLOCKS[network.name]: list(network.blocks_per_stage),
        "n_conv_per_stage_decoder": list(network.blocks_per_decoder_stage),
    }


@pytest.mark.parametrize("entry", golden_entries())
def test_plans_equal_those_of_nnunet(entry: dict[str, Any]) -> None:
    fingerprint, expected = entry["fingerprint"], entry["nnunet"]
    summary = DatasetSummary(
        spacings_mm=np.array(fingerprint["spacings_zyx"]),
        shapes=np.array(fingerprint["shapes_after_crop_zyx"]),
        num_training=entry["n_training"],
        num_labels=entry["n_labels_including_background"],
        channels=tuple(entry["channels"]),
        median_relative_size=fingerprint["median_relative_size_after_cropping"],
    )
    planner = PLANNERS[PLANNER_NAMES[entry["planner"]]]
    fitted = fit_configurations(summary, planner, entry.get("memory_gb") or planner.memory_gb)
    assert list(fitted.transpose) == expected["transpose_forward"]
    assert axis_order_of(fitted.transpose) == tuple(2 - axis for axis in expected["transpose_forward"])
    assert list(fitted.configurations) == list(expected["configurations"])
    for name, ours in fitted.configurations.items():
        wanted = dict(expected["configurations"][name])
        parent = wanted.pop("inherits_from", None)
        wanted = {**expected["configurations"].get(parent, {}), **wanted}
        assert ours.name == name
        assert ours.previous_stage == wanted.pop("previous_stage", None)
        wanted.pop("next_stage", None)
        if len(wanted["strides"]) == 1:  # nnU-Net plans a network without a decoder, and that network cannot run
            assert len(ours.network.strides) > 1
            assert all(p >= size for p, size in zip(ours.patch_size, wanted["patch_size"], strict=True))
            continue
        assert list(ours.spacing_mm) == wanted.pop("spacing")
        assert as_nnunet(ours) == wanted
