"""Datasets of a workspace that went bad: dataset.json, cases.tsv, splits, and what lies behind links."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from tests.faults.good_input import Place
from tests.faults.kinds import TRAIN, Kind, Meeting, request_kind, text_kind
from tests.faults.spoiling import edit_json

PLAN = ("plan", "Tiny")
WITH_SPLITS = (*TRAIN, "--splits", "$folder/splits.json")
A, B, C = "tiny_sub-00_T1w", "tiny_sub-01_T1w", "tiny_sub-02_T1w"


def dataset_kind(name: str, sentence: str, *changes: tuple[str, Any]) -> Kind:
    """A dataset.json edited by hand, met by planning."""
    return request_kind(name, PLAN, sentence, lambda place: edit_json(place.dataset / "dataset.json", *changes))


def cases_kind(name: str, sentence: str, change: Callable[[str], str]) -> Kind:
    """A table of cases edited by hand, met by planning."""

    def spoil(place: Place) -> None:
        table = place.dataset / "cases.tsv"
        table.write_text(change(table.read_text(encoding="utf-8")), encoding="utf-8")

    return request_kind(name, PLAN, sentence, spoil)


splits_kind = partial(text_kind, file="$folder/splits.json", command=WITH_SPLITS)

DATASETS = (
    text_kind(
        "dataset.json that is no JSON",
        "$dataset/dataset.json",
        "labels: none",
        PLAN,
        (
            "$dataset/dataset.json: is no JSON document (Expecting value: line 1 column 1 (char 0)); "
            "correct or restore it."
        ),
    ),
    text_kind(
        "dataset.json nested without end",
        "$dataset/dataset.json",
        "[" * 100_000,
        PLAN,
        (
            "$dataset/dataset.json: is no JSON document (maximum recursion depth exceeded while decoding "
            "a JSON array from a unicode string); correct or restore it."
        ),
    ),
    text_kind(
        "dataset.json that is a list",
        "$dataset/dataset.json",
        "[]",
        PLAN,
        (
            "$dataset/dataset.json: cannot be read (TypeError('list indices must be integers or slices, "
            "not str')); convert the dataset again."
        ),
    ),
    dataset_kind(
        "dataset.json without labels",
        "$dataset/dataset.json: has no labels; add them as name and value, background 0.",
        ("labels", ...),
    ),
    dataset_kind(
        "label value beyond 65535",
        ("$dataset/dataset.json: the labels cannot be used (label values must lie in 0..65535); correct them."),
        ("labels.core", 70000),
    ),
    dataset_kind(
        "negative label value",
        ("$dataset/dataset.json: the labels cannot be used (label values must lie in 0..65535); correct them."),
        ("labels.core", -2),
    ),
    dataset_kind(
        "two labels of one value",
        ("$dataset/dataset.json: the labels cannot be used (two labels have the same value); correct them."),
        ("labels.core", 1),
    ),
    dataset_kind(
        "channels that are no names",
        (
            "$dataset/dataset.json: cannot be read (ValueError('channel_names are no names')); convert "
            "the dataset again."
        ),
        ("channel_names", {"0": 5}),
    ),
    dataset_kind(
        "channels without the first",
        "$dataset/dataset.json: cannot be read (KeyError('0')); convert the dataset again.",
        ("channel_names", {"1": "T1w"}),
    ),
    dataset_kind(
        "endless number of cases",
        (
            "$dataset/dataset.json: cannot be read (OverflowError('cannot convert float infinity to "
            "integer')); convert the dataset again."
        ),
        ("numTraining", float("inf")),
    ),
    dataset_kind(
        "more cases than there are",
        "$dataset/cases.tsv: does not hold the 7 cases of dataset.json; convert the dataset again.",
        ("numTraining", 7),
    ),
    dataset_kind(
        "format that there is not",
        (
            "$dataset/imagesTr/tiny_sub-00_T1w_0000.docx: this is no image format that can be read; use "
            "one of .nii.gz, .nii, .nrrd, .mha, .mhd, .gipl, .tif, .tiff, .png, .bmp, or the folder of a "
            "DICOM series."
        ),
        ("file_ending", ".docx"),
    ),
    text_kind(
        "cases.tsv that is empty",
        "$dataset/cases.tsv",
        "",
        PLAN,
        "$dataset/cases.tsv: does not hold the 3 cases of dataset.json; convert the dataset again.",
    ),
    text_kind(
        "cases.tsv that is no text",
        "$dataset/cases.tsv",
        b"\xff\xfe" * 50,
        PLAN,
        "$dataset/cases.tsv: is no text in UTF-8 (invalid start byte at byte 0); correct it.",
    ),
    cases_kind(
        "cases.tsv without a column",
        "$dataset/cases.tsv: has no column subject; convert the dataset again.",
        lambda text: text.replace("\tsubject\t", "\tperson\t", 1),
    ),
    cases_kind(
        "cases.tsv that is cut off",
        "$dataset/cases.tsv: does not hold the 3 cases of dataset.json; convert the dataset again.",
        lambda text: text[: len(text) - 150],
    ),
    cases_kind(
        "case that is named twice",
        "$dataset/cases.tsv: names the case tiny_sub-00_T1w twice; convert the dataset again.",
        lambda text: text.replace(C, A),
    ),
    cases_kind(
        "case with a path for a name",
        "$dataset/cases.tsv: '../../tiny_sub-02_T1w' is no name of a case; convert the dataset again.",
        lambda text: text.replace(C, f"../../{C}"),
    ),
    request_kind(
        "cases.tsv that is not there",
        PLAN,
        "$dataset/cases.tsv: the table of cases is missing; convert the dataset again.",
        lambda place: (place.dataset / "cases.tsv").unlink(),
    ),
    Kind(
        "source that was moved away",
        lambda place: place.image().unlink(),
        (
            Meeting(
                ("preprocess", "Tiny", "3d_fullres"),
                (
                    "$dataset/imagesTr/tiny_sub-01_T1w_0000.nii.gz: the image $image is not there; restore it or "
                    "convert the dataset again."
                ),
            ),
            Meeting(
                PLAN,
                (
                    "$dataset/imagesTr/tiny_sub-01_T1w_0000.nii.gz: links to $image, which is not there; fetch "
                    "or restore it."
                ),
            ),
        ),
    ),
    request_kind(
        "labels that were moved away",
        PLAN,
        "$dataset/labelsTr/tiny_sub-01_T1w.nii.gz: the labels are missing; convert the dataset again.",
        lambda place: place.labels().unlink(),
    ),
)

SPLITS = (
    splits_kind(
        "splits that are no JSON",
        text="train: all",
        sentence=(
            "$folder/splits.json: not JSON (Expecting value: line 1 column 1 (char 0)); give a list of "
            "train and val lists."
        ),
    ),
    splits_kind(
        "splits nested without end",
        text="[" * 100_000,
        sentence=(
            "$folder/splits.json: not JSON (maximum recursion depth exceeded while decoding a JSON array "
            "from a unicode string); give a list of train and val lists."
        ),
    ),
    splits_kind(
        "splits that are an object",
        text="{}",
        sentence=(
            "$folder/splits.json: the splits must be a list with one entry a fold; see nnU-Net's splits_final.json."
        ),
    ),
    splits_kind(
        "splits without folds",
        text="[]",
        sentence=(
            "$folder/splits.json: the splits must be a list with one entry a fold; see nnU-Net's splits_final.json."
        ),
    ),
    splits_kind(
        "fold without validation",
        text=f'[{{"train": ["{A}"]}}]',
        sentence='$folder/splits.json: fold 0 has no list of case names under "val"; name at least one case.',
    ),
    splits_kind(
        "fold with an unknown case",
        text=f'[{{"train": ["{A}"], "val": ["sub-99"]}}]',
        sentence="$folder/splits.json: fold 0 names the unknown case sub-99 under val; use names of the dataset.",
    ),
    splits_kind(
        "case on two sides",
        text=f'[{{"train": ["{A}", "{B}"], "val": ["{B}"]}}, {{}}]',
        sentence=(
            "$folder/splits.json: fold 0 both trains and validates on tiny_sub-01_T1w; remove it from one of the two."
        ),
    ),
    splits_kind(
        "case twice on a side",
        text=f'[{{"train": ["{A}", "{A}"], "val": ["{B}"]}}]',
        sentence="$folder/splits.json: fold 0 names a case twice under train; name each case once.",
    ),
    splits_kind(
        "fold of numbers",
        text='[{"train": [1], "val": [2]}]',
        sentence='$folder/splits.json: fold 0 has no list of case names under "train"; name at least one case.',
    ),
    splits_kind(
        "fewer folds than asked for",
        text=f'[{{"train": ["{A}"], "val": ["{B}"]}}]',
        sentence="fold 'fold1' is unknown (did you mean fold0? There is: all, cv, fold0).",
    ),
    request_kind(
        "splits that are not there",
        WITH_SPLITS,
        ("$folder/splits.json: there is no such file; --splits names a JSON list of train and val case names."),
    ),
    text_kind(
        "own splits of a dataset that are no JSON",
        "$dataset/splits.json",
        "nothing",
        TRAIN,
        (
            "$dataset/splits.json: not JSON (Expecting value: line 1 column 1 (char 0)); give a list of "
            "train and val lists."
        ),
    ),
)

KINDS = (*DATASETS, *SPLITS)
