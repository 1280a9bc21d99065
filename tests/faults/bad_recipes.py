"""Recipes of plans and conversions, and studies, that are none."""

from __future__ import annotations

import json
import os

from tests.faults.kinds import Kind, request_kind
from tests.faults.spoiling import written

CONVERT = ("convert-bids", "$site", "--dataset", "Again")


def study_kind(kind: str, sentence: str, **changes: object) -> Kind:
    """A study of the two datasets of the workspace, changed."""
    document = {"name": "both", "datasets": ["Tiny", "Pair"], "epochs": 1, **changes}
    return request_kind(kind, ("study", "$folder/study.json"), sentence, written("study.json", json.dumps(document)))


def recipe_kind(name: str, sentence: str, **changes: object) -> Kind:
    """A recipe with one configuration, changed."""
    document = {
        "title": "ours",
        "source": "here",
        "recommended": "3d_fullres",
        "configurations": {"3d_fullres": {"batch_size": 4}},
        **changes,
    }
    command = ("plan", "Tiny", "--recipe", "$folder/recipe.json")
    return request_kind(name, command, sentence, written("recipe.json", json.dumps(document)))


def conversion_kind(name: str, text: str, sentence: str) -> Kind:
    """A recipe of a conversion."""
    return request_kind(name, (*CONVERT, "--recipe", "$folder/rules.json"), sentence, written("rules.json", text))


RECIPES = (
    request_kind(
        "recipe that there is not",
        ("plan", "Tiny", "--recipe", "paugan"),
        (
            "--recipe paugan: there is no such recipe; choose one of bouchard_general, "
            "bouchard_specific, epfl, nicmslesions, paugam, paugam_search, valverde2017, voxhrnet or a "
            "file."
        ),
    ),
    request_kind(
        "recipe file that is not there",
        ("plan", "Tiny", "--recipe", "gone.json"),
        "gone.json: there is no such file; check the path, or restore the file.",
    ),
    request_kind(
        "recipe that is a pipe",
        ("plan", "Tiny", "--recipe", "$folder/pipe.json"),
        ("$folder/pipe.json: is a folder or a pipe, and a file is needed; check the path, or restore the file."),
        lambda place: os.mkfifo(place.folder / "pipe.json"),
    ),
    recipe_kind(
        "recipe with unknown keys",
        (
            "the recipe $folder/recipe.json is not a valid recipe (titel: Extra inputs are not "
            "permitted; batch: Extra inputs are not permitted); correct it."
        ),
        titel="ours",
        batch=3,
    ),
    recipe_kind(
        "recipe that recommends nothing",
        (
            "the recipe recipe is not a valid plan (recommended: '2d_fast' is no configuration of this "
            "plan): correct it or run `autoseg plan` again."
        ),
        recommended="2d_fast",
    ),
    recipe_kind(
        "recipe with wrong values",
        (
            "the recipe recipe is not a valid plan (configurations.3d_fullres.batch_size: Input should "
            "be a valid integer, unable to parse string as an integer; configurations.3d_fullres.crop: "
            "Input should be 'nonzero', 'none' or 'centre'): correct it or run `autoseg plan` again."
        ),
        configurations={"3d_fullres": {"batch_size": "many", "crop": "all"}},
    ),
    recipe_kind(
        "recipe for a network of nothing",
        (
            "the recipe recipe is not a valid plan (configurations.3d_fullres.network: Input should be a "
            "valid dictionary or instance of PublishedNetwork): correct it or run `autoseg plan` again."
        ),
        configurations={"3d_fullres": {"network": 7}},
    ),
    recipe_kind(
        "recipe that inherits nothing",
        (
            "the recipe recipe does not fit Tiny: configurations.mine.inherits_from: '4d' is no "
            "configuration of this plan."
        ),
        configurations={"mine": {"inherits_from": "4d"}},
    ),
    recipe_kind(
        "recipe that compares nothing",
        (
            "the recipe recipe is not a valid plan (comparisons.all.configurations: 'a' is no "
            "configuration of this plan; comparisons.all.configurations: 'b' is no configuration of this "
            "plan; comparisons.all.baseline: 'c' is none of its configurations): correct it or run "
            "`autoseg plan` again."
        ),
        comparisons={"all": {"title": "x", "configurations": ["a", "b"], "baseline": "c"}},
    ),
    conversion_kind(
        "rules that are no JSON",
        "channels: T1w",
        (
            "$folder/rules.json: this is no valid conversion recipe (document: Invalid JSON: expected "
            "value at line 1 column 1); correct it."
        ),
    ),
    conversion_kind(
        "rules with unknown keys",
        '{"contrast": "T1w", "label": []}',
        (
            "$folder/rules.json: this is no valid conversion recipe (contrast: Extra inputs are not "
            "permitted; label: Extra inputs are not permitted); correct it."
        ),
    ),
    conversion_kind(
        "rules for another dataset",
        '{"datasets": {"elsewhere": {}}}',
        "$folder/rules.json: it names elsewhere, and the datasets are tiny; correct it.",
    ),
    conversion_kind(
        "rules with a wrong threshold",
        '{"datasets": {"tiny": {"threshold": 7}}}',
        (
            "$folder/rules.json: this is no valid conversion recipe (datasets.tiny.threshold: Input "
            "should be less than 1); correct it."
        ),
    ),
    request_kind(
        "rules in a folder",
        (*CONVERT, "--recipe", "$folder"),
        "$folder: is a folder or a pipe, and a file is needed; check the path, or restore the file.",
    ),
)

STUDIES = (
    request_kind(
        "study that is not there",
        ("study", "$folder/gone.json"),
        "$folder/gone.json: there is no such file; check the path, or restore the file.",
    ),
    request_kind(
        "study that is no JSON",
        ("study", "$folder/study.json"),
        (
            "$folder/study.json: is no valid study (document: Invalid JSON: expected value at line 1 "
            "column 1); correct it."
        ),
        written("study.json", "datasets: all"),
    ),
    study_kind(
        "study with unknown keys",
        (
            "$folder/study.json: is no valid study (dataset: Extra inputs are not permitted; metric: "
            "Extra inputs are not permitted); correct it."
        ),
        dataset="Tiny",
        metric="dice",
    ),
    study_kind(
        "study of one dataset",
        (
            "$folder/study.json: is no valid study (datasets: Tuple should have at least 2 items after "
            "validation, not 1); correct it."
        ),
        datasets=["Tiny"],
    ),
    study_kind(
        "study that names one twice",
        "$folder/study.json: is no valid study (document: datasets: Tiny is named twice); correct it.",
        unseen=["Tiny"],
    ),
    study_kind(
        "study of what there is not",
        "gone: is neither a dataset of the workspace nor the folder $folder/gone; correct the study.",
        datasets=["Tiny", "gone"],
    ),
    study_kind(
        "study of an unknown score",
        (
            "$folder/study.json: there is no score called 'dise' (did you mean dice? There is: assd_mm, "
            "conformity_percent, dice, hd95_mm, hd_mm, hd_voxels, iou, lesion_f1, ...)."
        ),
        metrics=["dise"],
    ),
    study_kind(
        "study with a path for a name",
        (
            "$folder/study.json: is no valid study (name: String should match pattern "
            "'^[A-Za-z0-9][A-Za-z0-9._-]*$$'); correct it."
        ),
        name="../elsewhere",
    ),
    study_kind(
        "study with two lengths",
        (
            "$folder/study.json: is no valid study (document: epochs: exclude a time_budget; give one of "
            "the two); correct it."
        ),
        time_budget="1m",
    ),
    study_kind(
        "study of datasets unlike each other", "Pair: has the channels T1w, T2w, and Tiny has T1w; convert it alike."
    ),
)

KINDS = (*RECIPES, *STUDIES)
