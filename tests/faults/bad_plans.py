"""Plans that were edited by hand to nonsense."""

from __future__ import annotations

from typing import Any

from tests.faults.kinds import TRAIN, Kind, request_kind, text_kind
from tests.faults.spoiling import edit_json

HERE = "configurations.3d_fullres"


def plan_kind(name: str, sentence: str, *changes: tuple[str, Any]) -> Kind:
    """A plan edited by hand, met by a training."""
    return request_kind(name, TRAIN, sentence, lambda place: edit_json(place.dataset / "plan.json", *changes))


KINDS = (
    plan_kind(
        "several errors in a plan",
        (
            "$dataset/plan.json is not a valid plan (configurations.3d_fullres.batch_size: Input should "
            "be greater than or equal to 1; configurations.3d_fullres.training.initial_learning_rate: "
            "Input should be a valid number, unable to parse string as a number; "
            "configurations.3d_fullres.nonsense: Extra inputs are not permitted): correct it or run "
            "`autoseg plan` again."
        ),
        ("axis_order", [0, 0, 7]),
        (f"{HERE}.patch_size", [16, 15]),
        (f"{HERE}.batch_size", -2),
        (f"{HERE}.normalization", ["zscore", "zscore"]),
        (f"{HERE}.training.initial_learning_rate", "fast"),
        (f"{HERE}.nonsense", 1),
        ("recommended", "4d"),
    ),
    plan_kind(
        "parts of a plan that disagree",
        (
            "$dataset/plan.json is not a valid plan (axis_order: 0 x 0 x 7 is no order of the axes 0, 1, "
            "2; recommended: '4d' is no configuration of this plan; configurations.3d_fullres.name: '5d' "
            "should be '3d_fullres', as the configuration is called in the plan; "
            "configurations.3d_fullres.normalization: 0 entries for 1 channels): correct it or run "
            "`autoseg plan` again."
        ),
        ("recommended", "4d"),
        ("axis_order", [0, 0, 7]),
        (f"{HERE}.name", "5d"),
        (f"{HERE}.normalization", []),
    ),
    plan_kind(
        "network of a plan that is none",
        (
            "$dataset/plan.json is not a valid plan (configurations.3d_fullres.network.strides.0: 2 "
            "entries for 3 dimensions; configurations.3d_fullres.network.strides.1: 4 entries for 3 "
            "dimensions; configurations.3d_fullres.network.kernel_sizes.1: 2 x 3 x 3 has an even "
            "number): correct it or run `autoseg plan` again."
        ),
        (f"{HERE}.network.strides", [[1, 1], [2, 2, 2, 2]]),
        (f"{HERE}.network.kernel_sizes", [[3, 3, 3], [2, 3, 3]]),
    ),
    plan_kind(
        "plan for a network that there is not",
        (
            "network 'marvel' is not in the catalogue; choose one of plain_unet, residual_encoder_unet, "
            "paugam_small_unet, paugam_unet, segnet, nopool_aspp, classic_unet, double_unet, "
            "valverde2017, nicmslesions, voxhrnet, full_volume_unet, voxresnet, unet_plus_plus."
        ),
        (f"{HERE}.network", {"name": "marvel", "dimensions": 3, "size_multiple": [1, 1, 1]}),
    ),
    plan_kind(
        "NaN in a plan",
        (
            "$dataset/plan.json is not a valid plan (intensities.0.mean: Input should be a finite "
            "number; configurations.3d_fullres.spacing_mm.1: Input should be a finite number): correct "
            "it or run `autoseg plan` again."
        ),
        ("intensities.0.mean", float("nan")),
        (f"{HERE}.spacing_mm.1", float("nan")),
    ),
    plan_kind(
        "infinity in a plan",
        (
            "$dataset/plan.json is not a valid plan (configurations.3d_fullres.training.time_budget_s: "
            "Input should be a finite number): correct it or run `autoseg plan` again."
        ),
        (f"{HERE}.training.time_budget_s", float("inf")),
    ),
    plan_kind(
        "numbers without end in a plan",
        (
            "$dataset/plan.json is not a valid plan (configurations.3d_fullres.patch_size.0: Input "
            "should be less than or equal to 65536): correct it or run `autoseg plan` again."
        ),
        (f"{HERE}.patch_size", [10**40, 16, 16]),
    ),
    plan_kind(
        "plan of other channels",
        (
            "$dataset/plan.json: its channels are ['T2w'] and those of dataset.json ['T1w']; correct the "
            "one that is wrong, or run `autoseg plan Tiny` again."
        ),
        ("channels", ["T2w"]),
    ),
    plan_kind(
        "plan of other labels",
        (
            "$dataset/plan.json: its labels are {'background': 0, 'core': 1, 'shell': 2} and those of "
            "dataset.json {'background': 0, 'shell': 1, 'core': 2}; correct the one that is wrong, or "
            "run `autoseg plan Tiny` again."
        ),
        ("labels.values", {"background": 0, "core": 1, "shell": 2}),
    ),
    plan_kind(
        "plan that inherits from itself",
        (
            "$dataset/plan.json is not a valid plan (configurations.3d_fullres.inherits_from: it "
            "inherits from itself (3d_fullres from 3d_fullres)): correct it or run `autoseg plan` again."
        ),
        (f"{HERE}.inherits_from", "3d_fullres"),
    ),
    plan_kind(
        "plan without configurations",
        (
            "$dataset/plan.json is not a valid plan (recommended: '3d_fullres' is no configuration of "
            "this plan): correct it or run `autoseg plan` again."
        ),
        ("configurations", {}),
    ),
    text_kind(
        "plan that is no JSON",
        "$dataset/plan.json",
        '{"dataset": "Tiny", ',
        TRAIN,
        (
            "$dataset/plan.json is not a valid plan (document: Invalid JSON: EOF while parsing a value "
            "at line 1 column 20): correct it or run `autoseg plan` again."
        ),
    ),
    text_kind(
        "plan that is empty",
        "$dataset/plan.json",
        "",
        TRAIN,
        (
            "$dataset/plan.json is not a valid plan (document: Invalid JSON: EOF while parsing a value "
            "at line 1 column 0): correct it or run `autoseg plan` again."
        ),
    ),
    text_kind(
        "plan that is a list",
        "$dataset/plan.json",
        "[1, 2]",
        TRAIN,
        (
            "$dataset/plan.json is not a valid plan (document: Input should be a valid dictionary or "
            "instance of Plan): correct it or run `autoseg plan` again."
        ),
    ),
    text_kind(
        "plan nested without end",
        "$dataset/plan.json",
        "[" * 100_000,
        TRAIN,
        (
            "$dataset/plan.json is not a valid plan (document: Invalid JSON: recursion limit exceeded at "
            "line 1 column 202): correct it or run `autoseg plan` again."
        ),
    ),
    text_kind(
        "plan that is no text",
        "$dataset/plan.json",
        b"\xff\xfe\x00{",
        TRAIN,
        "$dataset/plan.json: is no text in UTF-8 (invalid start byte at byte 0); correct it.",
    ),
)
