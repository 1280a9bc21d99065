"""What is predicted of a BIDS dataset, held against the BIDS validator."""

import hashlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest

from autoseg.core.trained_ranges import DomainRanges, Span
from autoseg.evaluation.expected_dice import fit_curve
from autoseg.interop.bids_derivative import bids_layout, spine_layout
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.pipeline.safety import Safety
from autoseg.pipeline.segmenting import predict_cases

GRID = (6, 7, 5)
AFFINE = np.diag([-1.0, 1.0, 2.0, 1.0])
IMAGES = (
    "sub-01/ses-a/anat/sub-01_ses-a_acq-ax_run-1_T2w.nii.gz",
    "sub-01/ses-a/anat/sub-01_ses-a_acq-ax_run-2_T2w.nii.gz",
    "sub-01/ses-b/anat/sub-01_ses-b_T2w.nii.gz",
    "sub-01/ses-b/anat/sub-01_ses-b_T1w.nii.gz",
    "sub-02/anat/sub-02_T2w.nii",
    "sub-02/anat/sub-02_rec-x_echo-1_part-mag_T2starw.nii.gz",
    "sub-02/anat/sub-02_flip-1_mt-on_MTS.nii.gz",
    "sub-02/anat/sub-02_flip-1_mt-off_MTS.nii.gz",
    "sub-02/anat/sub-02_chunk-2_T2w.nii.gz",
    "sub-02/dwi/sub-02_dir-AP_sbref.nii.gz",
    "sub-02/func/sub-02_task-rest_sbref.nii.gz",
    "sub-02/fmap/sub-02_dir-AP_epi.nii.gz",
)
CONTRASTS = "T2w/T1w/T2starw/MTS/sbref/epi"


class Shell:
    """A predictor that finds the labels 1 and 2 in fixed places."""

    def __init__(self, plan):
        self.plan = plan

    def prepare(self, name, image):
        return image

    def segment(self, image, sums=None):
        labels = np.zeros(image.shape, np.uint8)
        if sums is not None:
            sums += (2.5, 3, 4), (1, 1, 1)
        labels[1:4, 1:4, 1:4], labels[2, 2, 2] = 1, 2
        return lambda: labels

    def segment_with_probabilities(self, image):
        labels = self.segment(image)()
        return labels, np.stack([(labels == value) * np.uint16(65535) for value in range(3)])


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "a site"
    for name in IMAGES:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        image = nibabel.Nifti1Image(np.ones(GRID, np.int16), AFFINE)
        image.header.set_xyzt_units("mm", "sec")
        nibabel.save(image, path)
    (root / "dataset_description.json").write_text('{"Name": "Site", "BIDSVersion": "1.9.0"}')
    return root


def checksums(folder):
    return {path: hashlib.sha256(path.read_bytes()).digest() for path in folder.rglob("*") if path.is_file()}


def errors(folder):
    """What the BIDS validator finds wrong in a dataset."""
    program = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent)) or shutil.which(
        "bids-validator-deno"
    )
    if program is None:
        pytest.skip("bids-validator-deno is not installed: pip install 'autoseg[bids]'")
    run = subprocess.run([program, "--format", "json", str(folder)], capture_output=True, text=True, timeout=60)
    issues = json.loads(run.stdout)["issues"]["issues"]
    return [issue for issue in issues if issue["severity"] == "error"]


def test_the_validator_accepts_every_kind_of_name(site, tiny_plan, tmp_path):
    before = checksums(site)
    cases, _ = find_inputs([site], [CONTRASTS])
    layout = bids_layout(site, tmp_path / "out", tiny_plan.labels, "the model M", True, True)
    result = predict_cases(Shell(tiny_plan), cases, layout, overwrite=False)
    assert (len(result.written), result.problems) == (len(IMAGES), ())
    for extra in ("evaluation.csv", "evaluation.json", "labels.json", "group_volumes.tsv", "group_volumes.json"):
        (tmp_path / "out" / extra).touch()
    assert errors(tmp_path / "out") == []
    assert checksums(site) == before
    (tmp_path / "out/sub-02/anat/sub-02_T2w_wrong.nii.gz").touch()
    assert errors(tmp_path / "out")  # it does look


def test_the_validator_accepts_several_channels_in_the_derivatives_of_the_dataset(site, tiny_plan):
    out = site / "derivatives/autoseg"
    cases, problems = find_inputs([site], ["T1w", "T2w"])
    layout = bids_layout(site, out, tiny_plan.labels, "the model M")
    (path,) = predict_cases(Shell(tiny_plan), cases, layout, overwrite=False).written
    assert path == out / "sub-01/ses-b/anat/sub-01_ses-b_space-T1w_desc-autoseg_dseg.nii.gz"
    assert problems
    assert errors(out) == []


def test_the_validator_passes_over_the_names_of_the_spine(site, tiny_plan, tmp_path):
    cases, _ = find_inputs([site], [CONTRASTS])
    layout = spine_layout(site, tmp_path / "out", tiny_plan.labels, "the model M")
    result = predict_cases(Shell(tiny_plan), cases, layout, overwrite=False)
    assert len(result.written) == len(IMAGES)
    folder = tmp_path / "out/sub-02/anat"
    for name, number in (("shell", 26), ("core", 1)):
        mask = nibabel.load(folder / f"sub-02_T2w_label-{name}_seg.nii.gz")
        assert (mask.shape, np.count_nonzero(mask.dataobj)) == (GRID, number)
        np.testing.assert_array_equal(mask.affine, AFFINE)
    assert not predict_cases(Shell(tiny_plan), cases, layout, overwrite=False).written
    assert errors(tmp_path / "out") == []


def test_the_validator_accepts_what_is_expected_of_each_segmentation(site, tiny_plan, tmp_path):
    """It is in the documents of a case, which are kept with it."""
    cases, _ = find_inputs([site], [CONTRASTS])
    far = Span(smallest=1.0, largest=2.0, low=0.5, high=4.0)
    ranges = DomainRanges(
        num_cases=3,
        orientations=("RAS",),
        spacing_mm=(far,) * 3,
        field_of_view_mm=(far,) * 3,
        intensities=((far,) * 3,),
    )
    curve = fit_curve([(0.7, 0.6), (0.9, 0.8)])
    safety = Safety(tiny_plan.labels, ("T1w",), {"elsewhere": ranges}, curves={"shell": curve})
    layout = bids_layout(site, tmp_path / "out", tiny_plan.labels, "the model M", save_masks=True)
    result = predict_cases(Shell(tiny_plan), cases, layout, overwrite=False, safety=safety)
    assert len(result.unlike) == len(IMAGES)
    path = tmp_path / "out/sub-02/anat/sub-02_space-T2w_desc-autoseg_dseg.json"
    document = json.loads(path.read_text())
    assert document["Certainty"] == {"shell": 0.7143, "core": 1.0}
    assert document["ExpectedDice"] == {"shell": {"Dice": 0.7, "Interval": [0.6, 0.8], "CalibrationCases": 2}}
    assert document["UnlikeTraining"][0].startswith("orientation LAS, trained on RAS (elsewhere)")
    assert any("field of view (mm) 7, trained on 1 to 2 (elsewhere)" in one for one in document["UnlikeTraining"])
    assert errors(tmp_path / "out") == []
    assert not (tmp_path / "out/predictions.tsv").exists()
    before = checksums(tmp_path / "out")
    assert not predict_cases(Shell(tiny_plan), cases, layout, overwrite=False, safety=safety).written
    assert checksums(tmp_path / "out") == before
