"""Cases of two datasets in one, by links."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.interop.dataset_joining import Part, join
from autoseg.io.workspace import Workspace
from tests.cli.commands import write_site


@pytest.fixture(scope="module")
def workspace(tmp_path_factory):
    root = tmp_path_factory.mktemp("joining")
    workspace = Workspace(root / "workspace")
    for name in ("north", "south"):
        site = write_site(root / name, 2)
        convert(plan_conversion([site]), workspace.dataset_folder(name), name)
    return workspace


@pytest.fixture
def parts(workspace):
    """All of north and one case of south, which is called a domain of another name."""
    north, south = (workspace.read_dataset(name) for name in ("north", "south"))
    return Part("north", north, north.cases), Part("far", south, south.cases[1:])


def test_the_joint_dataset_has_the_chosen_cases_and_their_provenance(workspace, parts):
    join(parts, workspace.dataset_folder("both"), "both")
    both = workspace.read_dataset("both")
    assert [(case.name, case.domain, case.subject) for case in both.cases] == [
        ("north_sub-00_T1w", "north", "north/sub-00"),
        ("north_sub-01_T1w", "north", "north/sub-01"),
        ("far_south_sub-01_T1w", "far", "south/sub-01"),
    ]
    assert both.sources == parts[0].dataset.sources | parts[1].dataset.sources
    for case, original in zip(both.cases, [*parts[0].cases, *parts[1].cases], strict=True):
        for joint, single in ((case.channels[0], original.channels[0]), (case.labels, original.labels)):
            assert joint.resolve() == single.resolve()
            np.testing.assert_array_equal(nibabel.load(joint).dataobj, nibabel.load(single).dataobj)


def test_a_joint_dataset_is_replaced(workspace, parts):
    join(parts, workspace.dataset_folder("twice"), "twice")
    join(parts[:1], workspace.dataset_folder("twice"), "twice")
    assert len(workspace.read_dataset("twice").cases) == 2


def test_what_cannot_be_joined_is_refused(workspace, parts):
    first, second = parts
    destination = workspace.dataset_folder("refused")

    def joined(**changes):
        join([first, replace(second, dataset=replace(second.dataset, **changes))], destination, "refused")

    with pytest.raises(BadInput, match=r"far: its labels are .*'other': 1.* those of north"):
        joined(labels=Labels(values={"background": 0, "other": 1}))
    with pytest.raises(BadInput, match="far: has the channels T1w, T2w, and north has T1w"):
        joined(channels=("T1w", "T2w"))
    with pytest.raises(BadInput, match=r"north has \.nii\.gz, far has \.mha"):
        joined(file_ending=".mha")
    with pytest.raises(BadInput, match="2 cases are called north_sub-00_T1w"):
        join([first, first], destination, "refused")
    assert not destination.exists()
