"""The table of volumes."""

import csv
import json

import nibabel
import numpy as np
import pytest

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.bids_derivative import bids_layout
from autoseg.interop.prediction_inputs import Subset
from autoseg.io.files import write_json, write_text
from autoseg.pipeline.group_volumes import write_group_volumes

LABELS = Labels(values={"background": 0, "shell": 1, "core": 2})
REGIONS = Labels(values={"background": 0, "whole": (1, 2), "core": 2}, region_order=(1, 2))
SHEARED = np.array([[2.0, 0.5, 0, 3], [0, 1.5, 0, 4], [0, 0, -3, 5], [0, 0, 0, 1]])  # a voxel of 9 mm^3


def write_predictions(root, labels):
    layout = bids_layout(root / "site", root / "out", labels, "the model M")
    for path, text in layout.texts.items():
        write_text(path, text)
    for number, name in enumerate(("sub-1/ses-a/anat/sub-1_ses-a_T2w", "sub-2/anat/sub-2_T2w"), start=1):
        case = CaseFiles(name, (root / f"site/{name}.nii.gz",), None, "", "")
        outputs = layout.outputs(case)
        voxels = np.zeros((4, 5, 6), np.uint8)
        voxels[0, 0, : 2 * number], voxels[1, 1, :number] = 1, 2
        outputs.label_map.parent.mkdir(parents=True)
        nibabel.save(nibabel.Nifti1Image(voxels, SHEARED), outputs.label_map)
        for path, document in outputs.sidecars.items():
            write_json(path, document)
    return root / "out"


def rows(table):
    return list(csv.DictReader(table.read_text().splitlines(), delimiter="\t"))


def test_every_label_of_every_segmentation_has_a_volume(tmp_path):
    table = write_group_volumes(write_predictions(tmp_path, LABELS))
    found = rows(table)
    assert [tuple(row.values()) for row in found[1:3]] == [
        ("sub-1", "ses-a", "sub-1/ses-a/anat/sub-1_ses-a_space-T2w_desc-autoseg_dseg.nii.gz", "core", "1", "9"),
        ("sub-2", "n/a", "sub-2/anat/sub-2_space-T2w_desc-autoseg_dseg.nii.gz", "shell", "4", "36"),
    ]
    assert [(row["label"], float(row["volume_mm3"])) for row in found] == [
        ("shell", 18),
        ("core", 9),
        ("shell", 36),
        ("core", 18),
    ]
    columns = json.loads(table.with_suffix(".json").read_text())
    assert list(columns) == list(found[0])
    assert columns["volume_mm3"]["Units"] == "mm^3"


def test_a_region_has_the_volume_of_all_its_values(tmp_path):
    found = rows(write_group_volumes(write_predictions(tmp_path, REGIONS), Subset(("sub-2",))))
    assert [(row["label"], row["num_voxels"]) for row in found] == [("whole", "6"), ("core", "2")]


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(BadInput, match="run the participant level first"):
        write_group_volumes(tmp_path)
    out = write_predictions(tmp_path, LABELS)
    with pytest.raises(BadInput, match=r"out: has no sub-3 \(there is: sub-1, sub-2\)"):
        write_group_volumes(out, Subset(("3",)))
