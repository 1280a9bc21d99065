"""Folds, models and checkpoints that are none."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import zipfile
from pathlib import Path
from typing import Any

from tests.faults.good_input import Place
from tests.faults.kinds import PREDICT, TRAIN, request_kind, text_kind
from tests.faults.spoiling import edit_json, truncate
from tests.interop import peer_models

RESUME = ("train", "Tiny", "3d_fullres", "fold0", "--device", "cpu", "--resume")
HERE = "configurations.3d_fullres"


FOLDS = (
    request_kind(
        "split of a fold cut off",
        RESUME,
        "$fold/split.json: does not list train and val cases; restore it or add --overwrite.",
        lambda place: truncate(place.fold / "split.json"),
    ),
    request_kind(
        "weights cut off",
        PREDICT,
        (
            "$fold/final.safetensors: is damaged or no safetensors file (Error while deserializing "
            "header: incomplete metadata, file not fully covered); restore or retrain it."
        ),
        lambda place: truncate(place.fold / "final.safetensors"),
    ),
    text_kind(
        "weights that are none",
        "$fold/final.safetensors",
        b"\xff" * 64,
        PREDICT,
        (
            "$fold/final.safetensors: is damaged or no safetensors file (Error while deserializing "
            "header: header too large); restore or retrain it."
        ),
    ),
    request_kind(
        "weights of another network",
        PREDICT,
        (
            "$fold/final.safetensors: the weights do not fit the network of the plan beside them "
            "(encoder.0.convs.0.conv.weight has the shape (4, 1, 3, 3, 3) and should have (6, 1, 3, 3, 3))."
        ),
        lambda place: edit_json(place.fold / "plan.json", (f"{HERE}.network.features_per_stage", [6, 8])),
    ),
    request_kind(
        "fold without its plan",
        PREDICT,
        "$fold/plan.json: there is no such file; check the path, or restore the file.",
        lambda place: (place.fold / "plan.json").unlink(),
    ),
    text_kind(
        "plan of a fold that is no text",
        "$fold/plan.json",
        b"\xff\xfe\x00{",
        PREDICT,
        "$fold/plan.json: is no text in UTF-8 (invalid start byte at byte 0); correct it.",
    ),
    text_kind(
        "calibration that is none",
        "$fold/calibration.json",
        '{"labels": {"core": [[2, "a"]]}}',
        PREDICT,
        (
            "$fold/calibration.json: is no valid calibration (labels.core.0.0: Input should be less than "
            "or equal to 1); restore it, or remove it to predict without expected scores."
        ),
    ),
    text_kind(
        "selection that is none",
        "$workspace/models/Tiny/selection.json",
        '{"dataset": 3}',
        PREDICT,
        (
            "$workspace/models/Tiny/selection.json: is no valid selection (dataset: Input should be a "
            "valid string); run `autoseg select` again."
        ),
    ),
    text_kind(
        "description of a BIDS dataset that is no JSON",
        "$site/dataset_description.json",
        "{",
        ("predict", "$site", "-o", "$out", "--dataset", "Tiny", "--device", "cpu"),
        (
            "$site/dataset_description.json: is no JSON document (Expecting property name enclosed in "
            "double quotes: line 1 column 2 (char 1)); correct or restore it."
        ),
    ),
    text_kind(
        "description of a BIDS dataset that is a list",
        "$site/dataset_description.json",
        "[]",
        ("predict", "$site", "-o", "$out", "--dataset", "Tiny", "--device", "cpu"),
        "$site/dataset_description.json: is no JSON object; correct or remove it.",
    ),
)


def zip_of(path: Path, **members: str) -> None:
    """A zip that is no model."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in members.items():
            archive.writestr(name, text)


def nnunet_model(place: Place, checkpoint: bytes | None = None, **documents: str) -> None:
    """A model folder of nnU-Net with these documents and this checkpoint."""
    folder = place.folder / "peer/nnUNetTrainer__nnUNetPlans__3d_fullres"
    (folder / "fold_0").mkdir(parents=True)
    for name, text in documents.items():
        (folder / f"{name}.json").write_text(text)
    if checkpoint is not None:
        (folder / "fold_0/checkpoint_final.pth").write_bytes(checkpoint)


class Runs:
    """What a pickle would run."""

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, ("/tmp/autoseg-was-here",)


WITH_MODEL = ("predict", "$image", "-o", "$out", "--model", "$model", "--device", "cpu")
IMPORT = ("import-nnunet", "$folder/peer", "--dataset", "Peer")
PLANS_JSON, DATASET_JSON = json.dumps(peer_models.plans()), json.dumps(peer_models.DATASET)

MODELS = (
    request_kind(
        "model that is not there",
        WITH_MODEL,
        "$model: there is no such file; give the file that `autoseg export` wrote.",
        lambda place: place.model.unlink(),
    ),
    text_kind(
        "model that is empty",
        "$model",
        "",
        WITH_MODEL,
        ("$model: is truncated, or no model that `autoseg export` wrote; fetch or export the model again."),
    ),
    text_kind(
        "model that is text",
        "$model",
        "a model" * 100,
        WITH_MODEL,
        ("$model: is truncated, or no model that `autoseg export` wrote; fetch or export the model again."),
    ),
    request_kind(
        "model cut off",
        WITH_MODEL,
        ("$model: is truncated, or no model that `autoseg export` wrote; fetch or export the model again."),
        lambda place: truncate(place.model),
    ),
    request_kind(
        "zip without a model",
        WITH_MODEL,
        "$model: holds 'readme', which is no part of a model; fetch or export the model again.",
        lambda place: zip_of(place.model, readme="hello"),
    ),
    request_kind(
        "weights for a model",
        WITH_MODEL,
        ("$model: is truncated, or no model that `autoseg export` wrote; fetch or export the model again."),
        lambda place: shutil.copy(place.fold / "final.safetensors", place.model),
    ),
    request_kind(
        "model that is a folder",
        WITH_MODEL,
        "$model: there is no such file; give the file that `autoseg export` wrote.",
        lambda place: (place.model.unlink(), place.model.mkdir()),
    ),
    request_kind(
        "model that is a pipe",
        WITH_MODEL,
        "$model: there is no such file; give the file that `autoseg export` wrote.",
        lambda place: (place.model.unlink(), os.mkfifo(place.model)),
    ),
    request_kind(
        "no model of nnU-Net",
        IMPORT,
        (
            "$folder/peer: holds no fold_K/checkpoint_final.pth; give a model folder "
            "TRAINER__PLANS__CONFIGURATION of nnU-Net's results, the folder of its dataset there, an "
            "exported zip, or a raw dataset (dataset.json, imagesTr, labelsTr)."
        ),
        lambda place: (place.folder / "peer").mkdir(),
    ),
    request_kind(
        "plans of nnU-Net that are no JSON",
        IMPORT,
        (
            "$folder/peer/nnUNetTrainer__nnUNetPlans__3d_fullres/plans.json: is no JSON document "
            "(Expecting property name enclosed in double quotes: line 1 column 2 (char 1)); restore the "
            "file."
        ),
        lambda place: nnunet_model(place, b"", plans="{", dataset=DATASET_JSON),
    ),
    request_kind(
        "plans of nnU-Net that are none",
        IMPORT,
        (
            "$folder/peer/nnUNetTrainer__nnUNetPlans__3d_fullres/plans.json: dataset_name: Input should "
            "be a valid string; image_reader_writer: Field required; transpose_forward: Field required; "
            "configurations: Field required; foreground_intensity_properties_per_channel: Field "
            "required; give the file as nnU-Net wrote it."
        ),
        lambda place: nnunet_model(place, b"", plans='{"dataset_name": 3}', dataset=DATASET_JSON),
    ),
    request_kind(
        "dataset.json of nnU-Net without labels",
        IMPORT,
        (
            "$folder/peer/nnUNetTrainer__nnUNetPlans__3d_fullres/dataset.json: channel_names: Field "
            "required; labels: Field required; file_ending: Field required; give the file as nnU-Net "
            "wrote it."
        ),
        lambda place: nnunet_model(place, b"", plans=PLANS_JSON, dataset="{}"),
    ),
    request_kind(
        "model of nnU-Net without dataset.json",
        IMPORT,
        (
            "$folder/peer/nnUNetTrainer__nnUNetPlans__3d_fullres/dataset.json: the file is missing; copy "
            "the whole model folder."
        ),
        lambda place: nnunet_model(place, b"", plans=PLANS_JSON),
    ),
    request_kind(
        "checkpoint that is none",
        IMPORT,
        (
            "$folder/peer/nnUNetTrainer__nnUNetPlans__3d_fullres/fold_0/checkpoint_final.pth: is "
            "damaged, or a pickle that could run code, and nothing was run; take only checkpoints that "
            "nnU-Net has written."
        ),
        lambda place: nnunet_model(place, b"\x00" * 100, plans=PLANS_JSON, dataset=DATASET_JSON),
    ),
    request_kind(
        "checkpoint that would run something",
        IMPORT,
        (
            "$folder/peer/nnUNetTrainer__nnUNetPlans__3d_fullres/fold_0/checkpoint_final.pth: is "
            "damaged, or a pickle that could run code, and nothing was run; take only checkpoints that "
            "nnU-Net has written."
        ),
        lambda place: nnunet_model(place, pickle.dumps(Runs()), plans=PLANS_JSON, dataset=DATASET_JSON),
    ),
    request_kind(
        "weights to begin with that are none",
        (*TRAIN, "--init-from", "$folder/first.safetensors"),
        (
            "$folder/first.safetensors: is damaged or no safetensors file (Error while deserializing "
            "header: header too small); restore or retrain it."
        ),
        lambda place: (place.folder / "first.safetensors").write_bytes(b"nothing"),
    ),
)
KINDS = (*FOLDS, *MODELS)
