"""import-nnunet and export-nnunet as commands; what is hostile is status 2."""

import json
import os

import torch

from tests.interop import peer_models


def test_a_model_goes_in_and_out(autoseg, capsys, tmp_path):
    source = peer_models.zipped(peer_models.write(tmp_path), tmp_path / "model.zip")
    assert autoseg("import-nnunet", source, "--dataset", "Tiny") == 0
    assert "next: autoseg predict INPUT -o OUTPUT --dataset Tiny --configuration 3d_fullres" in capsys.readouterr().out
    assert autoseg("export-nnunet", "Tiny", tmp_path / "results", "--json") == 0
    (folder,) = json.loads(capsys.readouterr().out)["folders"]
    assert autoseg("import-nnunet", folder, "--dataset", "Back", "--json") == 0
    assert json.loads(capsys.readouterr().out)["configurations"] == {"3d_fullres": ["fold0"]}
    assert autoseg("import-nnunet", folder, "--dataset", "../evil") == 2


class Hostile:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_hostile_files_are_status_2_and_run_nothing(autoseg, capsys, tmp_path):
    folder = peer_models.write(tmp_path)
    good = (folder / "plans.json").read_text()
    (folder / "plans.json").write_text(good.replace("architectures.unet.PlainConvUNet", "os.system"))
    assert autoseg("import-nnunet", folder, "--dataset", "Tiny") == 2
    assert "network_class_name" in capsys.readouterr().err
    (folder / "plans.json").write_text(good)
    torch.save({"network_weights": Hostile(tmp_path / "trap")}, folder / "fold_0/checkpoint_final.pth")
    assert autoseg("import-nnunet", folder, "--dataset", "Tiny") == 2
    error = capsys.readouterr().err
    assert "nothing was run" in error
    assert "Traceback" not in error
    assert not (tmp_path / "trap").exists()
    assert not (tmp_path / "workspace/models").exists() or not list((tmp_path / "workspace/models").iterdir())
