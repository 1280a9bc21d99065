"""Predictions and evaluations of what cannot be predicted or evaluated."""

from __future__ import annotations

from tests.faults.good_input import Place
from tests.faults.kinds import PREDICT, request_kind
from tests.faults.spoiling import segmentations, written


def moved_reference(place: Place) -> None:
    """A segmentation elsewhere than its reference."""
    segmentations(place, moved=True)


KINDS = (
    request_kind(
        "image that is not there",
        ("predict", "$folder/gone.nii.gz", *PREDICT[2:]),
        "$folder/gone.nii.gz: there is no such file or folder; check the path.",
    ),
    request_kind(
        "image of a format that is none",
        ("predict", "$folder/x.docx", *PREDICT[2:]),
        (
            "$folder/x.docx: this is no image format that can be read; use one of .nii.gz, .nii, .nrrd, "
            ".mha, .mhd, .gipl, .tif, .tiff, .png, .bmp, or the folder of a DICOM series."
        ),
        written("x.docx", ""),
    ),
    request_kind(
        "step of nothing",
        (*PREDICT, "--step", "0"),
        "Invalid value for '--step': Input should be greater than or equal to 0.1",
    ),
    request_kind(
        "step that is no number",
        (*PREDICT, "--step", "nan"),
        "Invalid value for '--step': Input should be less than or equal to 1",
    ),
    request_kind(
        "engine that there is not",
        (*PREDICT, "--engine", "steam"),
        "--engine steam: unknown engine; use torch or openvino.",
    ),
    request_kind(
        "naming that there is not",
        (*PREDICT, "--naming", "mine"),
        (
            "--naming mine: is one of bids, spine, image, and all but image are for one BIDS dataset; "
            "give a single dataset, or leave the option out."
        ),
    ),
    request_kind(
        "dataset in other letters",
        ("predict", "$image", "-o", "$out", "--dataset", "tiny"),
        (
            "$workspace/datasets/tiny: there is no dataset of this name in the workspace (did you mean Tiny? "
            "There is: Pair, Tiny); `autoseg convert-bids` makes one."
        ),
    ),
    request_kind(
        "configuration nearly so called",
        (*PREDICT, "--configuration", "3d_full"),
        ("Tiny: 3d_full is not trained (did you mean 3d_fullres? There is: 3d_fullres)."),
    ),
    request_kind(
        "fold that is not trained",
        (*PREDICT, "--folds", "fold7"),
        "Tiny 3d_fullres: fold7 is not trained (did you mean fold0? There is: fold0).",
    ),
    request_kind(
        "configuration that is not trained",
        (*PREDICT, "--configuration", "2d"),
        "Tiny: 2d is not trained (there is: 3d_fullres).",
    ),
    request_kind(
        "model and dataset", (*PREDICT, "--model", "$model"), "predict: give either --dataset NAME or --model FILE."
    ),
    request_kind("neither model nor dataset", PREDICT[:4], "predict: give either --dataset NAME or --model FILE."),
    request_kind(
        "output over the input",
        ("predict", "$site/sub-01/anat", "-o", "$site/sub-01/anat", *PREDICT[4:]),
        "$site/sub-01/anat: holds the input sub-01_T1w.nii.gz; give another folder for the output.",
    ),
    request_kind(
        "output that is a file",
        ("predict", "$image", "-o", "$folder/file", *PREDICT[4:]),
        "$folder/file: a file stands where a folder is needed; choose another name.",
        written("file", ""),
    ),
    request_kind(
        "output within the source",
        ("predict", "$site", "-o", "$site/sub-01/out", *PREDICT[4:]),
        ("$site/sub-01/out: lies in the dataset that is read; choose a folder outside it, or in its derivatives."),
    ),
    request_kind(
        "one output for two images",
        ("predict", "$image", "$pair/sub-01/anat/sub-01_T1w.nii.gz", *PREDICT[2:]),
        (
            "$pair/sub-01/anat/sub-01_T1w.nii.gz: would be written to the same file as $image; predict "
            "them into different folders."
        ),
    ),
    request_kind(
        "segmentations without names of labels",
        ("evaluate", "$folder/segmentations", "$site"),
        ("$folder/segmentations/dseg.tsv: a label table needs the columns index (whole numbers) and name; correct it."),
        lambda place: segmentations(place, table=False),
    ),
    request_kind(
        "segmentation in another place",
        ("evaluate", "$folder/segmentations", "$site"),
        (
            "$folder/segmentations: no case could be evaluated ($folder/segmentations/sub-01_T1w.nii.gz: "
            "its grid lies up to 3 mm away from that of sub-01_desc-manual_dseg.nii.gz; compare "
            "segmentations of one image.)"
        ),
        moved_reference,
    ),
    request_kind(
        "segmentations that are not there",
        ("evaluate", "$folder/gone", "$site"),
        "$folder/gone: there is no such folder; check the path.",
    ),
    request_kind(
        "references that are not there",
        ("evaluate", "$folder/segmentations", "$folder/gone"),
        "$folder/gone: there is no such folder; check the path.",
        segmentations,
    ),
    request_kind(
        "score that there is not",
        ("evaluate", "$folder/segmentations", "$site", "--metrics", "luck"),
        ("metrics: there is no family of scores called 'luck'; choose of overlap, surface, voxels, skeleton, lesions."),
        segmentations,
    ),
    request_kind("verb that there is not", ("predikt", "$image"), "No such command 'predikt'. Did you mean 'predict'?"),
)
