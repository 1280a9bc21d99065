"""The whole catalogue of hostile models, in the gate as in ``bin/faults``."""

import os

from tests.faults import hostile_models
from tests.faults.hostile_nnunet import Payload


def test_every_hostile_model_is_refused(tmp_path):
    found = list(hostile_models.rows(1, 0, tmp_path))
    assert [row.failures for row in found] == [(), ()]
    assert [(row.injected, row.survived) for row in found] == [
        (len(hostile_models.ARCHIVES),) * 2,
        (len(hostile_models.MODELS),) * 2,
    ]
    assert sum(row.injected for row in found) >= 60


def test_a_good_archive_and_a_good_model_are_accepted(tmp_path):
    """So each is refused for what was changed."""
    workspace, site = hostile_models.small_workspace(tmp_path, num_subjects=1)
    path = tmp_path / "Tiny.autoseg.zip"
    path.write_bytes(hostile_models_packed())
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


def hostile_models_packed():
    from tests.faults.hostile_archives import good_members, listed, packed

    return packed(listed(good_members()))


def test_the_payload_works(tmp_path):
    function, arguments = Payload(tmp_path / "canary").__reduce__()
    assert function is os.mkdir
    function(*arguments)
    assert (tmp_path / "canary").is_dir()
