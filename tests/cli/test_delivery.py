"""select and export as commands, and predict with what they made."""

import json
import shutil
import sys
import zipfile

import nibabel
import numpy as np
import pytest

from autoseg.cli import main


@pytest.fixture(scope="session")
def cross_validated(tmp_path_factory, tiny_bids, tiny_pair_plan):
    """A workspace in which both configurations are trained in two folds."""
    root = tmp_path_factory.mktemp("validated") / "workspace"
    dataset = root / "datasets/Tiny"
    with pytest.MonkeyPatch.context() as patch:

        def run(*arguments):
            patch.setattr(sys, "argv", ["autoseg", "--workspace", str(root), *map(str, arguments)])
            assert main() == 0

        run("convert-bids", tiny_bids, "--dataset", "Tiny")
        (dataset / "plan.json").write_text(tiny_pair_plan.model_dump_json())
        names = sorted(path.name.removesuffix(".nii.gz") for path in (dataset / "labelsTr").iterdir())
        splits = [{"train": names[3:], "val": names[:3]}, {"train": names[:3], "val": names[3:]}]
        (dataset / "splits.json").write_text(json.dumps(splits))
        for configuration in ("2d", "3d_fullres"):
            run("train", "Tiny", configuration, "cv", "--epochs", "1", "--device", "cpu")
    return root


@pytest.fixture
def workspace(cross_validated, tmp_path):
    """A copy that a test may change; it is the one that ``autoseg`` works in."""
    return shutil.copytree(cross_validated, tmp_path / "workspace", symlinks=True)


@pytest.fixture
def selected(workspace):
    """As ``select`` leaves it, with a pair and a postprocessing whatever the networks learnt."""
    document = {
        "dataset": "Tiny",
        "configurations": ["2d", "3d_fullres"],
        "folds": ["fold0", "fold1"],
        "postprocessing": {"keep_largest": [[1, 2]]},
        "mean_dice": 0.5,
        "reason": "by hand",
        "candidates": [],
        "steps": [],
    }
    (workspace / "models/Tiny/selection.json").write_text(json.dumps(document))
    return workspace


def voxels(folder):
    return {path.name: np.asarray(nibabel.load(path).dataobj) for path in sorted(folder.rglob("*.nii.gz"))}


def test_select_predict_export_and_predict_with_the_file(autoseg, workspace, capsys, tiny_bids, tmp_path):
    assert autoseg("select", "Tiny", "--device", "cpu") == 0
    shown = capsys.readouterr().out
    assert "2d + 3d_fullres" in shown
    assert shown.count("chosen") == 1
    selection = json.loads((workspace / "models/Tiny/selection.json").read_text())
    assert selection["reason"] + "." in " ".join(shown.split())
    assert autoseg("select", "Tiny", "--device", "cpu", "--json") == 0
    assert json.loads(capsys.readouterr().out) == selection

    predict = ("predict", tiny_bids, "--device", "cpu", "-o")
    assert autoseg(*predict, tmp_path / "here", "--dataset", "Tiny") == 0
    assert " + ".join(selection["configurations"]) + " fold0, fold1 on cpu" in capsys.readouterr().err
    file = tmp_path / "Tiny.autoseg.zip"
    assert autoseg("export", "Tiny", "-o", file, "--json") == 0
    assert json.loads(capsys.readouterr().out)["file"] == str(file)
    shutil.rmtree(workspace)
    assert autoseg(*predict, tmp_path / "there", "--model", file) == 0
    here, there = voxels(tmp_path / "here"), voxels(tmp_path / "there")
    assert len(here) == 6
    for name in here:
        np.testing.assert_array_equal(here[name], there[name])


def test_a_pair_with_postprocessing_is_the_mean_of_probabilities_and_one_component(
    autoseg, selected, capsys, tiny_bids, tmp_path
):
    from autoseg.inference.postprocess import keep_largest

    predict = ("predict", tiny_bids, "--device", "cpu", "--no-mirroring", "--save-probabilities", "--naming", "image")
    assert autoseg(*predict, "--dataset", "Tiny", "-o", tmp_path / "both") == 0
    assert "then only the largest component of shell and core" in capsys.readouterr().err
    for name in ("2d", "3d_fullres"):
        assert autoseg(*predict, "--dataset", "Tiny", "--configuration", name, "-o", tmp_path / name) == 0
    assert "largest component" not in capsys.readouterr().err
    for path in (tmp_path / "both").glob("*.nii.gz"):
        name, labels = path.name, np.asarray(nibabel.load(path).dataobj)
        one, other, both = (
            nibabel.load(tmp_path / folder / "probabilities" / name).get_fdata()
            for folder in ("2d", "3d_fullres", "both")
        )
        assert both.shape == (*labels.shape, 3)
        np.testing.assert_allclose(both.sum(axis=-1), 1, atol=1e-4)
        np.testing.assert_allclose(both, (one + other) / 2, atol=3e-5)
        first, second = np.sort(both, axis=-1)[..., :-3:-1].transpose(3, 0, 1, 2)
        expected = keep_largest(both.argmax(axis=-1), (1, 2))
        clear = first - second > 1e-4
        assert clear.mean() > 0.95
        assert (labels[clear] == expected[clear]).mean() > 0.999  # a tie may join two components


def test_probabilities_are_made_for_segmentations_that_are_there(autoseg, workspace, capsys, tiny_bids, tmp_path):
    predict = ("predict", tiny_bids, "--device", "cpu", "--dataset", "Tiny", "-o", tmp_path / "out", "--json")
    assert autoseg(*predict) == 0
    before = voxels(tmp_path / "out")
    assert all(name.endswith("_space-T1w_desc-autoseg_dseg.nii.gz") for name in before)
    assert autoseg(*predict, "--save-probabilities") == 0
    after = voxels(tmp_path / "out")
    assert len(after) == 18
    for name, labels in before.items():
        np.testing.assert_array_equal(labels, after[name])
        probabilities = after[name.replace("_dseg", "_probseg")]
        assert probabilities.shape == (*labels.shape, 3)
        np.testing.assert_array_equal(after[name.replace("_dseg", "confidence_probseg")], probabilities.max(-1))
    capsys.readouterr()
    assert autoseg(*predict, "--save-probabilities") == 0
    assert len(json.loads(capsys.readouterr().out)["skipped"]) == 6


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("predict", "IMAGES", "-o", "OUT"), "give either --dataset NAME or --model FILE"),
        (("predict", "IMAGES", "-o", "OUT", "--dataset", "Tiny", "--model", "x.zip"), "give either --dataset NAME or"),
        (("predict", "IMAGES", "-o", "OUT", "--model", "none.autoseg.zip"), "there is no such file"),
        (("select", "Tony"), "did you mean Tiny"),
        (("select", "Tiny", "3d_fulres"), "did you mean 3d_fullres"),
        (("export", "Tiny", "-o", "model.zip"), "give a name that ends with .autoseg.zip"),
        (("export", "Tiny", "--configuration", "3d"), "3d is not trained"),
    ],
)
def test_bad_input_is_one_sentence(autoseg, workspace, capsys, tiny_bids, tmp_path, arguments, sentence):
    places = {"IMAGES": tiny_bids, "OUT": tmp_path / "out"}
    assert autoseg(*(places.get(argument, argument) for argument in arguments)) == 2
    said = capsys.readouterr().err
    assert sentence in said
    assert "Traceback" not in said
    assert not (tmp_path / "out").exists()


def test_an_incomplete_cross_validation_names_the_command(autoseg, workspace, capsys):
    for configuration in ("2d", "3d_fullres"):
        shutil.rmtree(workspace / f"models/Tiny/{configuration}/fold1")
    assert autoseg("select", "Tiny") == 2
    assert "`autoseg train Tiny 2d cv` makes what is missing" in capsys.readouterr().err


def test_a_damaged_selection_is_one_sentence(autoseg, selected, capsys, tiny_bids, tmp_path):
    (selected / "models/Tiny/selection.json").write_text("{}")
    assert autoseg("predict", tiny_bids, "-o", tmp_path / "out", "--dataset", "Tiny") == 2
    assert "selection.json: is no valid selection" in capsys.readouterr().err


@pytest.mark.parametrize("damage", ["truncated", "altered", "hostile", "text"])
def test_a_damaged_model_file_is_one_sentence(autoseg, workspace, capsys, tiny_bids, tmp_path, damage):
    file = tmp_path / "Tiny.autoseg.zip"
    assert autoseg("export", "Tiny", "-o", file) == 0
    content = file.read_bytes()
    if damage == "truncated":
        file.write_bytes(content[: len(content) // 2])
    elif damage == "altered":
        file.write_bytes(content.replace(b'"T1w"', b'"T2w"', 1))
    elif damage == "hostile":
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("../../evil.py", "raise SystemExit")
    else:
        file.write_text("no model")
    capsys.readouterr()
    assert autoseg("predict", tiny_bids, "-o", tmp_path / "out", "--model", file) == 2
    (said,) = capsys.readouterr().err.splitlines()
    assert said.startswith(f"autoseg: {file}: ")
    assert said.endswith("; fetch or export the model again.")
    assert not (tmp_path / "out").exists()
    assert not (tmp_path / "evil.py").exists()
