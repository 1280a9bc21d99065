"""Files of a model in a folder and in a zip."""

import zipfile

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop import nnunet_files
from autoseg.interop.nnunet_files import open_model


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "model"
    for name in ("a/b/c/d", "a/b/c/d/too_deep", "plans.json"):
        path = root / (name if "." in name or "too" in name else f"{name}/file")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
    return root


def test_folder_and_zip_hold_the_same(folder, tmp_path):
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "plans.json", "plans.json")
    for source in (folder, path):
        with open_model(source) as files:
            assert files.read("plans.json") == b"plans.json"
            assert "plans.json" in files.names()
            with files.open("plans.json") as file:
                file.seek(2)
                assert file.read(3) == b"ans"
            with pytest.raises(BadInput, match="nothing"):
                files.read("nothing.json")


def test_no_file_is_looked_for_deeper_than_results_are(folder):
    with open_model(folder) as files:
        assert files.names() == ["plans.json"]


def test_a_document_that_is_far_too_large_is_refused(folder, tmp_path, monkeypatch):
    monkeypatch.setattr(nnunet_files, "LARGEST_DOCUMENT", 4)
    path = tmp_path / "model.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(folder / "plans.json", "plans.json")
    for source in (folder, path):
        with open_model(source) as files, pytest.raises(BadInput, match=r"plans\.json: is far larger"):
            files.read("plans.json")
