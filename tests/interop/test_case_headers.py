"""4D images in BIDS datasets: left out, or channels where a contrast of theirs is asked for as channels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.interop.prediction_inputs import find_inputs
from autoseg.io.images import read_channels, read_image
from autoseg.io.workspace import Workspace
from tests.interop.bids_files import LABELS, Writer, ball


def volumes(number: int) -> np.ndarray:
    return np.random.default_rng(number).integers(0, 200, (6, 5, 4, number))


@pytest.fixture
def site(write: Writer, tmp_path: Path) -> Path:
    """Three subjects with an MPM of two volumes, one with three."""
    for subject, number in enumerate((2, 2, 3, 2)):
        write(f"site/sub-{subject}/anat/sub-{subject}_MPM.nii.gz", volumes(number))
        write(f"site/{LABELS}/sub-{subject}/anat/sub-{subject}_MPM_seg-manual.nii.gz", ball(1, 3))
    return tmp_path / "site"


def test_unless_asked_for_as_channels_they_are_left_out_with_the_remedy(site: Path) -> None:
    with pytest.raises(BadInput, match=r"4D with 2 volumes; store each as a 3D file, or make them .* --channels MPM"):
        plan_conversion([site])


def test_their_volumes_are_channels_and_all_have_as_many(site: Path, tmp_path: Path) -> None:
    conversion = plan_conversion([site], channels=["MPM"])
    assert conversion.channels == ("MPM_1", "MPM_2")
    assert [case.name for case in conversion.cases] == [f"site_sub-{subject}" for subject in (0, 1, 3)]
    (problem,) = conversion.problems
    assert problem.file.name == "sub-2_MPM.nii.gz"
    assert problem.sentence.startswith("the number of its volumes is 3, and 2 in most images")
    workspace = Workspace(tmp_path / "workspace")
    convert(conversion, workspace.dataset_folder("Maps"), "Maps")
    dataset = workspace.read_dataset("Maps")
    assert dataset.channels == ("MPM_1", "MPM_2")
    for case, subject in zip(dataset.cases, (0, 1, 3), strict=True):
        assert [path.name for path in case.channels] == [f"{case.name}_000{number}.nii.gz" for number in (0, 1)]
        source = read_image(site / f"sub-{subject}/anat/sub-{subject}_MPM.nii.gz")
        np.testing.assert_array_equal(read_channels(case.channels).voxels, source.voxels)
        np.testing.assert_array_equal(source.voxels, np.moveaxis(volumes(2), -1, 0))


def test_a_prediction_takes_them_from_a_bids_dataset_a_file_and_a_numbered_file(site: Path, tmp_path: Path) -> None:
    channels = ("MPM_1", "MPM_2")
    first = site / "sub-0/anat/sub-0_MPM.nii.gz"
    numbered = tmp_path / "case_0000.nii.gz"
    numbered.write_bytes(first.read_bytes())
    for source in (first, numbered):
        ((case,), problems) = find_inputs([source], channels)
        assert (case.channels, problems) == ((source,), [])
    with pytest.raises(BadInput, match=r"sub-2_MPM\.nii\.gz: its name tells no channel"):
        find_inputs([site], channels)
    (site / "sub-2/anat/sub-2_MPM.nii.gz").unlink()
    cases, problems = find_inputs([site], channels)
    assert ([len(case.channels) for case in cases], problems) == ([1, 1, 1], [])


def test_one_among_several_contrasts_and_a_4d_label_map_are_left_out(site: Path, write: Writer) -> None:
    for subject in (0, 1):
        write(f"site/sub-{subject}/anat/sub-{subject}_T1w.nii.gz")
    write("site/sub-1/anat/sub-1_MPM.nii.gz")
    (case,) = plan_conversion([site], channels=["T1w", "MPM"]).cases
    assert case.name == "site_sub-1"
    write(f"site/{LABELS}/sub-1/anat/sub-1_MPM_seg-manual.nii.gz", np.stack([ball(1, 3)] * 2, axis=-1))
    with pytest.raises(BadInput, match="the file is 4D with 2 volumes; store each as a 3D file"):
        plan_conversion([site], channels=["T1w", "MPM"])
