"""A workspace in which the tiny dataset is converted and planned with a network of milliseconds."""

import shutil

import pytest

from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io.workspace import Workspace, write_text


@pytest.fixture(scope="session")
def converted(tmp_path_factory, tiny_bids, tiny_plan):
    root = tmp_path_factory.mktemp("workspace")
    folder = Workspace(root).dataset_folder("Tiny")
    convert(plan_conversion([tiny_bids]), folder, "Tiny")
    write_text(folder / "plan.json", tiny_plan.model_dump_json())
    return root


@pytest.fixture
def workspace(converted, tmp_path):
    """A copy that a test may change."""
    shutil.copytree(converted, tmp_path / "workspace", symlinks=True)
    return Workspace(tmp_path / "workspace")
