"""Trained models of nnU-Net: folders and zips, and files that must not be believed."""

import json
import zipfile

import pytest
import torch

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_files import open_model
from autoseg.interop.nnunet_model import read_fold, read_models
from autoseg.networks import build_planned
from autoseg.planning.configurations import augmentation
from tests.interop import peer_models
from tests.networks import peer_networks


def read(source):
    """The only model, and its folds."""
    with open_model(source) as files:
        (model,) = read_models(files, "Tiny", augmentation)
        return model, {fold: read_fold(files, model, fold) for fold in model.checkpoints}


@pytest.mark.parametrize("name", ["plain_3d", "residual_3d"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_model_gives_the_logits_that_it_gave_in_nnunet(tmp_path, name, packed):
    folder = peer_models.write(tmp_path, name, folds=("0", "3", "all"))
    source = peer_models.zipped(folder, tmp_path / "model.zip") if packed else folder
    model, folds = read(source)
    assert list(folds) == ["all", "fold0", "fold3"]
    plan, weights = folds["fold3"]
    configuration = plan.configurations["3d_fullres"]
    assert (plan.dataset, model.configuration.name) == ("Tiny", "3d_fullres")
    assert configuration.augmentation.mirror_axes == (0, 2)
    network = build_planned(configuration.network, 2, 3)
    network.load_state_dict(weights)
    golden = peer_networks.read(name)
    torch.testing.assert_close(network(golden["image"]), golden["logits"][0], atol=1e-4, rtol=1e-4)


def test_the_folder_of_a_dataset_and_a_renamed_model_folder_are_found(tmp_path):
    folder = peer_models.write(tmp_path / "Dataset501_Tiny")
    assert read(tmp_path / "Dataset501_Tiny")[0].configuration.name == "3d_fullres"
    folder.rename(tmp_path / "renamed")
    assert read(tmp_path / "renamed")[0].configuration.name == "3d_fullres"


def test_the_best_checkpoint_stands_in_for_the_final_one(tmp_path):
    folder = peer_models.write(tmp_path, file="checkpoint_best.pth")
    assert read(folder)[0].checkpoints == {"fold0": "fold_0/checkpoint_best.pth"}


def test_numbers_that_numpy_1_wrote_are_read(tmp_path):
    folder = peer_models.write(tmp_path)
    path = folder / "fold_0/checkpoint_final.pth"
    with zipfile.ZipFile(path) as archive:
        content = {name: archive.read(name) for name in archive.namelist()}
    (pickled,) = (name for name in content if name.endswith("data.pkl"))
    assert b"cnumpy._core.multiarray\nscalar\n" in content[pickled]
    content[pickled] = content[pickled].replace(b"cnumpy._core.", b"cnumpy.core.")
    with zipfile.ZipFile(path, "w") as archive:
        for name, part in content.items():
            archive.writestr(name, part)
    assert list(read(folder)[1]) == ["fold0"]


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut", b"text", b"\x80\x02cos\nmkdir\n(S'x'\ntR."])
def test_a_damaged_checkpoint_is_one_sentence(tmp_path, content):
    folder = peer_models.write(tmp_path)
    (folder / "fold_0/checkpoint_final.pth").write_bytes(content)
    with pytest.raises(BadInput, match=r"fold_0/checkpoint_final\.pth: (is|names)") as caught:
        read(folder)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"network_weights": [1]}, "network_weights"),
        ({"network_weights": {"x": 1}}, "holds 0 numbers"),
        ({"trainer_name": 7}, "trainer_name"),
        ({"init_args": {}}, "init_args.configuration"),
        ({"init_args": {"configuration": "2d"}}, "was trained as '2d'"),
        ({"inference_allowed_mirroring_axes": (0, 3)}, "inference_allowed_mirroring_axes"),
        ({"inference_allowed_mirroring_axes": "all"}, "inference_allowed_mirroring_axes"),
    ],
)
def test_wrong_fields_of_a_checkpoint_are_named(tmp_path, changes, sentence):
    folder = peer_models.write(tmp_path)
    torch.save({**peer_models.checkpoint(), **changes}, folder / "fold_0/checkpoint_final.pth")
    with pytest.raises(BadInput, match=rf"checkpoint_final\.pth: .*{sentence}"):
        read(folder)


def test_nothing_is_mirrored_unless_the_checkpoint_allows_it(tmp_path):
    folder = peer_models.write(tmp_path)
    content = peer_models.checkpoint()
    content["inference_allowed_mirroring_axes"] = None
    torch.save(content, folder / "fold_0/checkpoint_final.pth")
    plan, _ = read(folder)[1]["fold0"]
    assert plan.configurations["3d_fullres"].augmentation.mirror_axes == ()


def test_a_trainer_with_another_network_is_refused(tmp_path):
    folder = peer_models.write(tmp_path)
    torch.save(peer_models.checkpoint("residual_3d"), folder / "fold_0/checkpoint_final.pth")
    with pytest.raises(BadInput, match=r"not those of the network in plans\.json"):
        read(folder)


@pytest.mark.parametrize("missing", ["plans.json", "dataset.json"])
@pytest.mark.parametrize("packed", [False, True])
def test_a_missing_document_is_named(tmp_path, missing, packed):
    folder = peer_models.write(tmp_path)
    (folder / missing).unlink()
    source = peer_models.zipped(folder, tmp_path / "model.zip") if packed else folder
    with pytest.raises(BadInput, match=f"{missing}: .*(missing|not in the zip)"):
        read(source)


@pytest.mark.parametrize("kept_share", [0.0, 0.3, 0.999])
def test_a_zip_that_is_cut_off_is_one_sentence(tmp_path, kept_share):
    path = peer_models.zipped(peer_models.write(tmp_path), tmp_path / "model.zip")
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept_share)])
    with pytest.raises(BadInput, match=r"model\.zip: is no zip or is cut off"):
        read(path)


def test_a_zip_with_damaged_content_is_one_sentence(tmp_path):
    path = peer_models.zipped(peer_models.write(tmp_path), tmp_path / "model.zip")
    content = bytearray(path.read_bytes())
    start = content.index(b"plans.json") + 40
    content[start : start + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"model\.zip"):
        read(path)


def test_a_source_without_models_says_what_to_give(tmp_path):
    with pytest.raises(BadInput, match="no such folder"):
        read(tmp_path / "nothing")
    with pytest.raises(BadInput, match="give a model folder"):
        read(tmp_path)


def test_two_models_of_one_configuration_are_both_named(tmp_path):
    folder = peer_models.write(tmp_path)
    other = peer_models.write(tmp_path / "other")
    other.rename(tmp_path / "nnUNetTrainer__nnUNetOtherPlans__3d_fullres")
    with pytest.raises(BadInput, match=f"{folder.name} and nnUNetTrainer__nnUNetOther|Other.* and "):
        read(tmp_path)


def test_a_configuration_cannot_be_a_path(tmp_path):
    folder = peer_models.write(tmp_path)
    document = json.loads((folder / "plans.json").read_text())
    document["configurations"]["../../x"] = document["configurations"].pop("3d_fullres")
    (folder / "plans.json").write_text(json.dumps(document))
    folder = folder.rename(tmp_path / "renamed")
    torch.save(peer_models.checkpoint(configuration="../../x"), folder / "fold_0/checkpoint_final.pth")
    with pytest.raises(BadInput, match="no name of a folder"):
        read(folder)
