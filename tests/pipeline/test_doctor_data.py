"""What is found, made good and left out in data."""

import shutil
import weakref
from pathlib import Path

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io.workspace import Workspace
from autoseg.pipeline.doctor_data import diagnose
from autoseg.planning import measure
from tests.conftest import write_tiny_subject
from tests.faults.spoiling import change, with_voxel


@pytest.fixture
def site(tmp_path):
    root = tmp_path / "site"
    for number in range(6):
        write_tiny_subject(root, root / "derivatives/labels", f"sub-{number:02d}", seed=number)
    (root / "derivatives/labels/desc-manual_dseg.tsv").write_text("index\tname\n1\tshell\n2\tcore\n")
    return root


@pytest.fixture
def nowhere(tmp_path):
    return Workspace(tmp_path / "workspace")


def image(site, number):
    return site / f"sub-{number:02d}/anat/sub-{number:02d}_T1w.nii.gz"


def labels(site, number):
    return site / f"derivatives/labels/sub-{number:02d}/anat/sub-{number:02d}_desc-manual_dseg.nii.gz"


def test_a_good_dataset_needs_nothing(site, nowhere):
    found = diagnose(site, nowhere)
    assert (found.kind, found.num_cases, found.left_out, found.doubts) == ("bids", 6, (), ())
    (repair,) = found.repairs
    assert (repair.what, sorted(repair.files)) == ("stored as LAS", [image(site, number) for number in range(6)])
    facts = dict(found.facts)
    assert facts["cases"] == "6 of 6 cases can be used"
    assert facts["spacing"] == "left-right 1, back-front 1, down-up 1.2 mm"
    assert not nowhere.root.exists()


def test_what_was_measured_of_a_case_is_not_held(site, nowhere, monkeypatch):
    alive = []

    def combine(name, channels, known, measured):
        for _, sample in measured:
            alive.append(weakref.ref(sample))
            assert sum(one() is not None for one in alive) <= 2
        return found(name, channels, known, ())

    found = measure.combine
    monkeypatch.setattr(measure, "combine", combine)
    diagnose(site, nowhere)
    assert len(alive) == 6


def test_what_is_left_out_is_what_a_conversion_leaves_out(site, nowhere, tmp_path):
    change(image(site, 1), with_voxel(np.nan))
    labels(site, 2).unlink()
    change(labels(site, 3), lambda voxels: voxels * 3)
    change(labels(site, 4), lambda voxels: voxels[:-1])
    found = diagnose(site, nowhere)
    report = convert(plan_conversion([site]), tmp_path / "converted", "Tiny")
    assert {(one.file, one.sentence) for one in found.left_out} == {(one.file, one.sentence) for one in report.problems}
    assert {one.file for one in found.left_out} == {image(site, 1), image(site, 2), labels(site, 3), labels(site, 4)}
    assert found.num_cases == len(report.cases) == 2


def test_what_differs_in_its_numbers_is_one_repair(site, nowhere):
    for number, angle in ((1, 0.1), (2, 0.2)):
        for path in (image(site, number), labels(site, number)):
            stored = nibabel.load(path)
            turned = stored.affine.copy()
            turned[:3, :3] = nibabel.eulerangles.euler2mat(angle, 0, 0) @ turned[:3, :3]
            nibabel.save(nibabel.Nifti1Image(np.asarray(stored.dataobj), turned), path)
    change(labels(site, 3), lambda voxels: voxels.astype(np.float32))
    repairs = {one.what: one for one in diagnose(site, nowhere).repairs}
    assert repairs["oblique by up to 5.7 degrees (or alike)"].files == (image(site, 1), image(site, 2))
    assert repairs["labels are not stored as plain integers"].files == (labels(site, 3),)


def test_what_the_checks_of_a_plan_find_is_doubtful(site, nowhere):
    for path in (image(site, 1), labels(site, 1)):
        stored = nibabel.load(path)
        nibabel.save(nibabel.Nifti1Image(np.asarray(stored.dataobj), np.diag([-5.0, 1, 1.2, 1])), path)
    (doubt,) = [one for one in diagnose(site, nowhere).doubts if "spacing" in one]
    assert doubt.startswith("The left-right spacing of site_sub-01_T1w differs more than 2 times")


def test_a_dataset_of_the_workspace_by_name_and_folder(workspace):
    folder = workspace.dataset_folder("Tiny")
    stored = folder / "labelsTr" / "tiny_sub-01_T1w.nii.gz"
    copied = shutil.copy(stored.resolve(), folder / "copy.nii.gz")
    change(copied, lambda voxels: voxels * 4)
    stored.unlink()
    stored.symlink_to(copied)
    named = diagnose(Path("Tiny"), workspace)
    assert (named.kind, named.num_cases) == ("dataset", 5)
    (problem,) = named.left_out
    assert problem.file == stored
    assert "which is no label of the dataset" in problem.sentence
    assert diagnose(folder, Workspace(workspace.root / "other")).left_out == named.left_out


def test_images_without_labels(site, nowhere, tmp_path):
    shutil.rmtree(site / "derivatives")
    found = diagnose(site, nowhere)
    assert (found.kind, found.num_cases) == ("bids", 0)
    assert "no labels" in found.left_out[0].sentence
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(3):
        shutil.copy(image(site, number), folder)
    change(folder / image(site, 1).name, with_voxel(np.inf))
    found = diagnose(folder, nowhere)
    assert (found.kind, found.num_cases) == ("images", 2)
    (problem,) = found.left_out
    assert (problem.file, problem.sentence) == (
        folder / image(site, 1).name,
        "1 voxels are NaN or infinite; replace them by numbers.",
    )
    assert diagnose(image(site, 2), nowhere).kind == "image"


def test_what_is_nothing_is_one_sentence(workspace, tmp_path):
    with pytest.raises(BadInput, match=r"is neither a file.*did you mean Tiny\?"):
        diagnose(Path("Tyni"), workspace)
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadInput, match="holds no image, no DICOM series and no sub-"):
        diagnose(tmp_path / "empty", workspace)
