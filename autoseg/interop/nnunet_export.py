"""Our plan and weights -> the documents and the checkpoint of an nnU-Net model folder."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Mapping
from io import BytesIO
from typing import TYPE_CHECKING, Any

from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import Fingerprint, IntensityStatistics, sizes_of
from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Plan
from autoseg.interop.nnunet_architecture import architecture_of
from autoseg.interop.nnunet_plans import PLANNERS, SCHEMES, resampling
from autoseg.interop.nnunet_weights import their_weights
from autoseg.interop.raw_layout import REORIENTING_READERS, STORED_READERS

if TYPE_CHECKING:
    import torch

TRAINER = "nnUNetTrainer"


def plans_document(plan: Plan, dataset_name: str) -> dict[str, Any]:
    """plans.json for all configurations of ``plan``; ``dataset_name`` is nnU-Net's (``DatasetNNN_NAME``).

    BadInput for what nnU-Net has not.
    """
    planner, plans_name = PLANNERS.get(plan.planner, PLANNERS["default"])
    forward = [2 - axis for axis in plan.axis_order]
    largest = max(plan.configurations.values(), key=lambda one: (one.network.dimensions, one.median_shape_voxels))
    missing = 3 - largest.network.dimensions
    configurations = {
        name: _their_configuration(plan, configuration, plans_name)
        for name, configuration in plan.configurations.items()
    }
    return {
        "dataset_name": dataset_name,
        "plans_name": plans_name,
        "original_median_spacing_after_transp": [*(largest.spacing_mm[:1] * missing), *largest.spacing_mm],
        "original_median_shape_after_transp": [1] * missing + [round(size) for size in largest.median_shape_voxels],
        "image_reader_writer": _reader(plan),
        "transpose_forward": forward,
        "transpose_backward": [forward.index(axis) for axis in range(3)],
        "configurations": configurations,
        "experiment_planner_used": planner,
        "label_manager": "LabelManager",
        "foreground_intensity_properties_per_channel": {
            str(number): their_statistics(statistics) for number, statistics in enumerate(plan.intensities)
        },
    }


def dataset_document(plan: Plan, num_training: int) -> dict[str, Any]:
    """dataset.json of the plan's dataset."""
    values = [*plan.labels.stored_values, *([] if plan.labels.ignore is None else [plan.labels.ignore])]
    if values != list(range(len(values))):
        raise BadInput(f"{plan.dataset}: nnU-Net needs labels 1, 2, 3 without a gap, and these are {values[1:]}.")
    if plan.labels.independent and not plan.labels.joins_values:
        raise BadInput(f"{plan.dataset}: nnU-Net has no independent outputs for single labels; use another plan.")
    return {
        "channel_names": {str(number): name for number, name in enumerate(plan.channels)},
        **plan.labels.document(),
        "numTraining": num_training,
        "file_ending": plan.file_ending,
    }


def their_statistics(ours: IntensityStatistics) -> dict[str, float]:
    """nnU-Net's ``foreground_intensity_properties_per_channel`` of one channel."""
    renamed = {"minimum": "min", "maximum": "max"}
    theirs = ours.model_dump(exclude={"whole_mean", "whole_std"})
    return {renamed.get(name, name): value for name, value in theirs.items()}


def model_folder_name(plan: Plan, configuration: Configuration) -> str:
    """``TRAINER__PLANS__CONFIGURATION``."""
    _, plans_name = PLANNERS.get(plan.planner, PLANNERS["default"])
    return f"{TRAINER}__{plans_name}__{configuration.name}"


def fold_folder_name(fold: str) -> str:
    """``fold0`` -> ``fold_0``, ``all`` -> ``fold_all``."""
    return f"fold_{fold.removeprefix('fold')}"


def fingerprint_document(plan: Plan, fingerprint: Fingerprint | None) -> dict[str, Any]:
    """dataset_fingerprint.json; without a fingerprint (an imported model) only the intensities are known."""
    sizes = sizes_of(fingerprint.cases if fingerprint else ())
    return {
        "spacings": sizes.spacing_mm[:, ::-1].tolist(),
        "shapes_after_crop": sizes.shape_after_crop[:, ::-1].tolist(),
        "median_relative_size_after_cropping": sizes.median_relative_size_after_crop if fingerprint else 1.0,
        "foreground_intensity_properties_per_channel": {
            str(number): their_statistics(statistics) for number, statistics in enumerate(plan.intensities)
        },
    }


def checkpoint(
    plan: Plan,
    configuration: Configuration,
    weights: Mapping[str, torch.Tensor],
    fold: str,
    documents: tuple[Mapping[str, Any], Mapping[str, Any]],
) -> bytes:
    """checkpoint_final.pth with ``weights`` by our names; ``documents`` are plans.json and dataset.json."""
    import torch

    plans, dataset = documents
    content = {
        "network_weights": their_weights(weights, _made_to_measure(configuration)),
        "optimizer_state": {},
        "grad_scaler_state": None,
        "logging": {},
        "_best_ema": None,
        "current_epoch": configuration.training.epochs,
        "init_args": {
            "plans": dict(plans),
            "configuration": configuration.name,
            "fold": fold if fold == "all" else int(fold.removeprefix("fold")),
            "dataset_json": dict(dataset),
        },
        "trainer_name": TRAINER,
        "inference_allowed_mirroring_axes": tuple(configuration.augmentation.mirror_axes) or None,
    }
    file = BytesIO()
    torch.save(content, file)
    return file.getvalue()


def summary_document(mean_dice: float | None) -> dict[str, Any]:
    """validation/summary.json with what is known; nnU-Net's export of a zip asks for the file."""
    return {"foreground_mean": {} if mean_dice is None else {"Dice": mean_dice}, "mean": {}, "metric_per_case": []}


def empty_picture() -> bytes:
    """A PNG of one white pixel: nnU-Net's export of a zip asks for a progress.png."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    pixel = zlib.compress(b"\x00\xff")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixel) + chunk(b"IEND", b"")


def _reader(plan: Plan) -> str:
    readers = REORIENTING_READERS if plan.orientation == "canonical" else STORED_READERS
    if plan.file_ending.lower() in readers:
        return readers[plan.file_ending.lower()]
    raise BadInput(
        f"{plan.dataset}: nnU-Net has no reader for {plan.file_ending} files that are turned to one orientation; "
        "convert the images to .nii.gz and train again to export."
    )


def _their_configuration(plan: Plan, ours: Configuration, plans_name: str) -> dict[str, Any]:
    if ours.whole_case:
        raise BadInput(
            f"{plan.dataset}: {ours.name} predicts whole images, which nnU-Net does not; export another configuration."
        )
    if ours.bias_field_correction:
        raise BadInput(
            f"{plan.dataset}: {ours.name} corrects bias fields, which nnU-Net does not; export another configuration."
        )
    schemes = {ours_name: theirs for theirs, ours_name in SCHEMES.items()}
    return {
        "data_identifier": f"{plans_name}_{ours.name}",
        "preprocessor_name": "DefaultPreprocessor",
        "batch_size": ours.batch_size,
        "patch_size": list(ours.patch_size),
        "median_image_size_in_voxels": list(ours.median_shape_voxels),
        "spacing": list(ours.spacing_mm),
        "normalization_schemes": [schemes[scheme] for scheme in ours.normalization],
        "use_mask_for_norm": list(ours.mask_normalization),
        **resampling(),
        "batch_dice": ours.batch_dice,
        **({"previous_stage": ours.previous_stage} if ours.previous_stage else {}),
        "architecture": architecture_of(_made_to_measure(ours)),
    }


def _made_to_measure(configuration: Configuration) -> NetworkSpec:
    """The network where nnU-Net can prepare cases and build it as we do, else BadInput."""
    network = configuration.network
    same_grid = configuration.crop == "nonzero" and not (configuration.native_spacing or configuration.resized_shape)
    if not same_grid or not isinstance(network, NetworkSpec):
        raise BadInput(
            f"{configuration.name}: nnU-Net has no {network.name} or does not prepare cases for it in this way; "
            "export the model with `autoseg export`."
        )
    return network
