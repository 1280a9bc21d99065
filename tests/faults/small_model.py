"""A small model without any training: a plan, a network with random weights of one seed, its folder and its file."""

import shutil
from pathlib import Path

import torch

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.labels import Labels
from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Plan
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io.files import write_bytes, write_text
from autoseg.io.workspace import Workspace
from autoseg.networks import build_planned, model_file
from tests.cli.commands import write_site

NAME, CONFIGURATION, FOLD = "Tiny", "3d_fullres", "fold0"


def small_plan() -> Plan:
    """One configuration, on patches of 16 x 16 x 16."""
    network = NetworkSpec(
        name="plain_unet",
        dimensions=3,
        features_per_stage=(4, 8),
        kernel_sizes=((3, 3, 3),) * 2,
        strides=((1, 1, 1), (2, 2, 2)),
        blocks_per_stage=(1, 1),
        blocks_per_decoder_stage=(1,),
    )
    configuration = Configuration(
        name=CONFIGURATION,
        spacing_mm=(1.2, 1.0, 1.0),
        median_shape_voxels=(16, 24, 20),
        patch_size=(16, 16, 16),
        batch_size=2,
        batch_dice=False,
        normalization=("zscore",),
        mask_normalization=(False,),
        network=network,
        augmentation=AugmentationSpec(rotation_degrees=30, dummy_2d=False, mirror_axes=(0, 1, 2)),
    )
    figures = dict.fromkeys(IntensityStatistics.model_fields, 100.0) | {"whole_mean": None, "whole_std": None}
    return Plan(
        dataset=NAME,
        planner="default",
        channels=("T1w",),
        labels=Labels(values={"background": 0, "shell": 1, "core": 2}),
        file_ending=".nii.gz",
        axis_order=(2, 1, 0),
        intensities=(IntensityStatistics(**figures),),
        configurations={CONFIGURATION: configuration},
        recommended=CONFIGURATION,
        decisions=(),
    )


def small_weights(plan: Plan, seed: int = 0) -> dict[str, torch.Tensor]:
    """Of the network of the plan."""
    torch.manual_seed(seed)
    network = build_planned(plan.configurations[CONFIGURATION].network, len(plan.channels), plan.labels.num_outputs)
    return network.state_dict()


def small_workspace(folder: Path, num_subjects: int = 3) -> tuple[Workspace, Path]:
    """A workspace with a converted dataset and its trained fold, and the BIDS dataset that it was made from."""
    shutil.rmtree(folder, ignore_errors=True)
    site, workspace = write_site(folder / "site", num_subjects), Workspace(folder / "workspace")
    convert(plan_conversion([site]), workspace.dataset_folder(NAME), NAME)
    plan = small_plan()
    write_text(workspace.dataset_folder(NAME) / "plan.json", plan.model_dump_json())
    fold = workspace.model_folder(NAME, CONFIGURATION, FOLD)
    write_text(fold / "plan.json", plan.model_dump_json())
    write_bytes(fold / "final.safetensors", model_file.serialise(small_weights(plan), {}))
    return workspace, site
