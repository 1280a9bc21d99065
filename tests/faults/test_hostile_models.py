"""A part of the catalogue of hostile models; ``bin/faults`` and the slow tests try all."""

import os

import pytest

from tests.faults import hostile_models
from tests.faults.hostile_archives import good_members, listed, packed
from tests.faults.hostile_nnunet import Payload


@pytest.mark.parametrize("size", [8, pytest.param(1000, marks=pytest.mark.slow)])
def test_hostile_models_are_refused(tmp_path, size):
    found = list(hostile_models.rows(size, 0, tmp_path))
    assert [row.failures for row in found] == [(), ()]
    numbers = [min(size, len(catalogue)) for catalogue in (hostile_models.ARCHIVES, hostile_models.MODELS)]
    assert [row.injected for row in found] == [row.survived for row in found] == numbers


def test_the_catalogue_is_large():
    assert min(len(hostile_models.ARCHIVES), len(hostile_models.MODELS)) >= 30


def test_a_good_archive_and_a_good_model_are_accepted(tmp_path):
    """So each is refused for what was changed."""
    workspace, site = hostile_models.small_workspace(tmp_path, num_subjects=1)
    path = tmp_path / "Tiny.autoseg.zip"
    path.write_bytes(packed(listed(good_members())))
    image = next(site.rglob("*_T1w.nii.gz"))
    out = tmp_path / "out"
    run = hostile_models.call(
        workspace.root, "predict", str(image), "-o", str(out), "--model", str(path), "--device", "cpu"
    )
    assert (run.status, run.raised) == (0, "")
    assert (out / image.name).is_file()
    model = hostile_models.peer_models.write(tmp_path / "model")
    run = hostile_models.call(tmp_path / "other", "import-nnunet", str(model), "--dataset", "Tiny")
    assert (run.status, run.raised) == (0, "")


def test_the_payload_works(tmp_path):
    function, arguments = Payload(tmp_path / "canary").__reduce__()
    assert function is os.mkdir
    function(*arguments)
    assert (tmp_path / "canary").is_dir()
