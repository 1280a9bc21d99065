"""nnU-Net's plans.json and dataset.json -> our plan.

Axes: nnU-Net reads images as (z, y, x) and permutes them by ``transpose_forward``, so working axis ``i`` is
axis ``2 - transpose_forward[i]`` of the file, or of the file turned to RAS by one of its reorienting readers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from autoseg.core.augmentation_spec import AugmentationSpec
from autoseg.core.errors import BadInput
from autoseg.core.fingerprint import IntensityStatistics
from autoseg.core.geometry import Orientation
from autoseg.core.labels import Labels
from autoseg.core.plan import Configuration, Decision, Normalization, Plan
from autoseg.interop.nnunet_architecture import network_of
from autoseg.interop.nnunet_documents import (
    PeerConfiguration,
    PeerDataset,
    PeerPlans,
    Statistics,
    read_configuration,
    read_dataset,
    read_plans,
)
from autoseg.io.workspace import parse_labels

PLANNERS = {
    "default": ("ExperimentPlanner", "nnUNetPlans"),
    "resenc-m": ("nnUNetPlannerResEncM", "nnUNetResEncUNetMPlans"),
    "resenc-l": ("nnUNetPlannerResEncL", "nnUNetResEncUNetLPlans"),
    "resenc-xl": ("nnUNetPlannerResEncXL", "nnUNetResEncUNetXLPlans"),
}
CONFIGURATIONS = ("3d_fullres", "3d_cascade_fullres", "3d_lowres", "2d")  # the first that is there is recommended
_READERS: dict[str, Orientation] = {
    "NibabelIOWithReorient": "canonical",
    "SimpleITKIOWithReorient": "canonical",
    "NibabelIO": "stored",
    "SimpleITKIO": "stored",
    "NaturalImage2DIO": "stored",
    "Tiff3DIO": "stored",
}
SCHEMES: dict[str, Normalization] = {
    "ZScoreNormalization": "zscore",
    "CTNormalization": "ct",
    "RescaleTo01Normalization": "rescale_0_1",
    "RGBTo01Normalization": "rgb_0_1",
    "NoNormalization": "none",
}
_RESAMPLING = "resample_data_or_seg_to_shape"
_RESAMPLING_ORDERS = {"data": 3, "seg": 1, "probabilities": 1}


def plan_of(
    plans_document: Mapping[str, Any],
    dataset_document: Mapping[str, Any],
    dataset_name: str,
    augmentation: Callable[[tuple[int, ...]], AugmentationSpec],
    source: str,
    names: Sequence[str] = (),
) -> Plan:
    """Our plan named ``dataset_name`` with the configurations ``names`` (all if empty) and their previous stages.

    ``augmentation`` gives the augmentation for a patch size, which nnU-Net does not write down; ``source`` is the
    folder of both documents. BadInput names the file and field of what is wrong or cannot be honoured.
    """
    file = f"{source}/plans.json"
    plans = read_plans(plans_document, file)
    dataset = read_dataset(dataset_document, f"{source}/dataset.json")
    if sorted(plans.transpose_forward) != [0, 1, 2]:
        raise BadInput(f"{file}: transpose_forward is {plans.transpose_forward}, which is no order of three axes.")
    if plans.image_reader_writer not in _READERS:
        reader = plans.image_reader_writer[:80]
        raise BadInput(f"{file}: image_reader_writer is {reader!r}; there is: {', '.join(_READERS)}.")
    if plans.label_manager != "LabelManager":
        raise BadInput(f"{file}: label_manager is {plans.label_manager[:80]!r}; only 'LabelManager' can be imported.")
    channels = _channels(dataset, source)
    chosen = names or tuple(plans.configurations)
    configurations = {name: _configuration(plans, name, len(channels), augmentation, file) for name in chosen}
    for previous in {one.previous_stage for one in configurations.values()} - {None, *configurations}:
        configurations[str(previous)] = _configuration(plans, str(previous), len(channels), augmentation, file)
    if not configurations:
        raise BadInput(f"{file}: configurations is empty; plan the dataset with nnU-Net again.")
    planner = {theirs: ours for ours, theirs in PLANNERS.items()}
    first, second, third = (2 - axis for axis in plans.transpose_forward)
    ranked = [*(name for name in CONFIGURATIONS if name in configurations), *configurations]
    return Plan(
        dataset=dataset_name,
        planner=planner.get((plans.experiment_planner_used, plans.plans_name), f"nnU-Net {plans.plans_name}"),
        channels=channels,
        labels=_labels(dataset, source),
        file_ending=dataset.file_ending,
        orientation=_READERS[plans.image_reader_writer],
        axis_order=(first, second, third),
        intensities=_intensities(plans, len(channels), file),
        configurations=configurations,
        recommended=ranked[0],
        decisions=(Decision(what="origin", choice=plans.dataset_name, reason=f"imported from nnU-Net's {file}"),),
    )


def _labels(dataset: PeerDataset, source: str) -> Labels:
    """The labels of dataset.json."""
    order = tuple(dataset.regions_class_order or ())
    return parse_labels({"labels": dataset.labels, "regions_class_order": order}, Path(source) / "dataset.json")


def _channels(dataset: PeerDataset, source: str) -> tuple[str, ...]:
    try:
        return tuple(dataset.channel_names[str(number)] for number in range(len(dataset.channel_names)))
    except KeyError as missing:
        raise BadInput(
            f"{source}/dataset.json: channel_names lacks the channel {missing}; number them from 0."
        ) from None


def _intensities(plans: PeerPlans, num_channels: int, file: str) -> tuple[IntensityStatistics, ...]:
    known = plans.foreground_intensity_properties_per_channel
    if not {str(number) for number in range(num_channels)} <= set(known):
        raise BadInput(
            f"{file}: foreground_intensity_properties_per_channel has {len(known)} channels and dataset.json "
            f"{num_channels}; give the two files of one model."
        )
    return tuple(_our_statistics(known[str(number)]) for number in range(num_channels))


def _our_statistics(theirs: Statistics) -> IntensityStatistics:
    return IntensityStatistics(
        mean=theirs.mean,
        median=theirs.median,
        std=theirs.std,
        minimum=theirs.min,
        maximum=theirs.max,
        percentile_00_5=theirs.percentile_00_5,
        percentile_99_5=theirs.percentile_99_5,
    )


def _configuration(
    plans: PeerPlans,
    name: str,
    num_channels: int,
    augmentation: Callable[[tuple[int, ...]], AugmentationSpec],
    file: str,
) -> Configuration:
    theirs, path = read_configuration(plans, name, file), f"configurations.{name}."
    _check_preparation(theirs, file, path)
    network = network_of(theirs.architecture, file, f"{path}architecture.")
    for field in ("normalization_schemes", "use_mask_for_norm"):
        if len(getattr(theirs, field)) != num_channels:
            raise BadInput(f"{file}: {path}{field} needs one entry for each of the {num_channels} channels.")
    for field in ("patch_size", "spacing"):
        if len(getattr(theirs, field)) != network.dimensions:
            raise BadInput(f"{file}: {path}{field} needs {network.dimensions} entries, as the network has dimensions.")
    if any(size % multiple for size, multiple in zip(theirs.patch_size, network.size_multiple, strict=True)):
        raise BadInput(f"{file}: {path}patch_size {theirs.patch_size} is no multiple of {network.size_multiple}.")
    schemes = tuple(SCHEMES[scheme] for scheme in theirs.normalization_schemes)
    masks = zip(schemes, theirs.use_mask_for_norm, strict=True)
    return Configuration(
        name=name,
        spacing_mm=tuple(theirs.spacing),
        median_shape_voxels=tuple(theirs.median_image_size_in_voxels),
        patch_size=tuple(theirs.patch_size),
        batch_size=theirs.batch_size,
        batch_dice=theirs.batch_dice,
        previous_stage=theirs.previous_stage,
        normalization=schemes,
        mask_normalization=tuple(masked and scheme == "zscore" for scheme, masked in masks),  # the others ignore it
        network=network,
        augmentation=augmentation(tuple(theirs.patch_size)),
    )


def _check_preparation(theirs: PeerConfiguration, file: str, path: str) -> None:
    """Refuse another preprocessor, normalisation or resampling than those that we have."""
    if theirs.preprocessor_name != "DefaultPreprocessor":
        raise BadInput(
            f"{file}: {path}preprocessor_name is {theirs.preprocessor_name[:80]!r}; "
            "only 'DefaultPreprocessor' can be imported."
        )
    for scheme in theirs.normalization_schemes:
        if scheme not in SCHEMES:
            raise BadInput(f"{file}: {path}normalization_schemes has {scheme[:80]!r}; there is: {', '.join(SCHEMES)}.")
    for kind, expected in resampling().items():
        given = getattr(theirs, kind)
        if isinstance(given, dict):
            given = {
                key: value for key, value in given.items() if (key, value) != ("separate_z_anisotropy_threshold", 3)
            }
        if given != expected:
            raise BadInput(f"{file}: {path}{kind} is {str(given)[:120]!r}; only {expected!r} can be imported.")


def resampling() -> dict[str, Any]:
    """nnU-Net's resampling with its default settings, which is what ours does."""
    settings: dict[str, Any] = {}
    for kind, order in _RESAMPLING_ORDERS.items():
        settings[f"resampling_fn_{kind}"] = _RESAMPLING
        settings[f"resampling_fn_{kind}_kwargs"] = {
            "is_seg": kind == "seg",
            "order": order,
            "order_z": 0,
            "force_separate_z": None,
        }
    return settings
