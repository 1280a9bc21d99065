"""Our plans against those of nnU-Net 2.8.1 for the same fingerprints."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autoseg.core.plan import Configuration
from autoseg.planning.planner import PLANNERS, axis_order_of, fit_configurations
from autoseg.planning.targets import DatasetSummary

GOLDEN = Path(os.environ.get("AUTOSEG_GOLDEN", Path(__file__).parents[3] / "shared/golden/nnunet_plans.json"))
PLANNER_NAMES = {"ExperimentPlanner": "default"}
NETWORKS = {"plain_unet": "PlainConvUNet"}
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
    ours = [(i, entry) for i, entry in enumerate(entries) if entry["planner"] in PLANNER_NAMES]
    return [pytest.param(entry, id=f"{i}-{entry['planner']}") for i, entry in ours]


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
        "n_conv_per_stage": list(network.blocks_per_stage),
        "n_conv_per_stage_decoder": list(network.blocks_per_decoder_stage),
    }


@pytest.mark.parametrize("entry", golden_entries())
def test_plans_equal_those_of_nnunet(entry: dict[str, Any]) -> None:
    fingerprint, expected = entry["fingerprint"], entry["nnunet"]
    summary = DatasetSummary(
        spacings_mm=np.array(fingerprint["spacings_zyx"]),
        shapes=np.array(fingerprint["shapes_after_crop_zyx"]),
        num_training=entry["n_training"],
        num_classes=entry["n_labels_including_background"],
        channels=tuple(entry["channels"]),
        median_relative_size=fingerprint["median_relative_size_after_cropping"],
    )
    planner = PLANNERS[PLANNER_NAMES[entry["planner"]]]
    fitted = fit_configurations(summary, planner, planner.memory_gb)
    assert list(fitted.transpose) == expected["transpose_forward"]
    assert axis_order_of(fitted.transpose) == tuple(2 - axis for axis in expected["transpose_forward"])
    names = set(expected["configurations"]) & {"2d", "3d_fullres"}
    assert set(fitted.configurations) == names
    for name in sorted(names):
        wanted = dict(expected["configurations"][name])
        assert fitted.configurations[name].spacing_mm == pytest.approx(wanted.pop("spacing"), rel=1e-9)
        assert as_nnunet(fitted.configurations[name]) == wanted
