"""Segmenting files."""

import re
import shutil
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.prediction_inputs import Subset
from autoseg.io import images
from autoseg.pipeline.api import evaluate
from autoseg.pipeline.models import workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict, usual_naming
from autoseg.pipeline.training import TrainingOptions, train

CPU = PredictionOptions(device="cpu")


@pytest.fixture(scope="module")
def trained(converted, tmp_path_factory):
    from autoseg.io.workspace import Workspace

    root = tmp_path_factory.mktemp("trained") / "workspace"
    shutil.copytree(converted, root, symlinks=True)
    workspace = Workspace(root)
    for fold in ("fold0", "fold1"):
        train(workspace, "Tiny", "3d_fullres", fold, TrainingOptions(epochs=1, device="cpu"))
    return workspace


def test_a_bids_dataset_is_segmented_file_by_file_on_the_same_grids(trained, tiny_bids, tmp_path):
    result = predict(workspace_models(trained, "Tiny"), [tiny_bids], tmp_path, options=CPU)
    assert len(result.written) == 6
    for path in result.written:
        image = nibabel.load(next(tiny_bids.glob(f"sub-*/anat/{path.name}")))
        labels = nibabel.load(path)
        assert labels.shape == image.shape
        np.testing.assert_array_equal(labels.affine, image.affine)
        assert labels.get_data_dtype() == np.uint8
    assert (tmp_path / "dseg.tsv").read_text() == "index\tname\n0\tbackground\n1\tshell\n2\tcore\n"


def test_each_label_may_have_a_mask_of_its_own(trained, tiny_bids, tmp_path):
    models, options = workspace_models(trained, "Tiny"), replace(CPU, save_masks=True)
    predict(models, [tiny_bids], tmp_path, options=CPU)
    result = predict(models, [tiny_bids], tmp_path, options=options)
    assert len(result.written) == 6  # the masks were missing
    assert not predict(models, [tiny_bids], tmp_path, options=options).written
    for path in result.written:
        labels = nibabel.load(path)
        for value, name in ((1, "shell"), (2, "core")):
            mask = nibabel.load(tmp_path / "masks" / path.name.replace(".nii.gz", f"_label-{name}_mask.nii.gz"))
            np.testing.assert_array_equal(mask.get_fdata(), labels.get_fdata() == value)
            np.testing.assert_array_equal(mask.affine, labels.affine)


def test_finished_files_are_kept_unless_asked(trained, tiny_bids, tmp_path):
    first = predict(workspace_models(trained, "Tiny"), [tiny_bids], tmp_path, fold_names=["fold0"], options=CPU)
    stamp = first.written[0].stat().st_mtime_ns
    first.written[1].unlink()
    again = predict(workspace_models(trained, "Tiny"), [tiny_bids], tmp_path, fold_names=["fold0"], options=CPU)
    assert (len(again.written), len(again.skipped)) == (1, 5)
    assert first.written[0].stat().st_mtime_ns == stamp
    every = predict(
        workspace_models(trained, "Tiny"),
        [tiny_bids],
        tmp_path,
        fold_names=["fold0"],
        options=replace(CPU, overwrite=True),
    )
    assert len(every.written) == 6


def test_a_bad_image_is_reported_and_the_others_go_on(trained, tiny_bids, tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    sources = sorted(tiny_bids.glob("sub-*/anat/*_T1w.nii.gz"))
    (folder / "broken.nii.gz").write_bytes(sources[0].read_bytes()[:500])
    shutil.copy(sources[1], folder / "good.nii.gz")
    result = predict(workspace_models(trained, "Tiny"), [folder], tmp_path / "out", options=CPU)
    assert [path.name for path in result.written] == ["good.nii.gz"]
    assert len(result.problems) == 1
    assert "broken.nii.gz" in result.problems[0]
    assert not (tmp_path / "out/broken.nii.gz").exists()


def test_an_input_is_never_written_over(trained, tiny_bids, tmp_path):
    copy = tmp_path / "image.nii.gz"
    shutil.copy(tiny_bids / "sub-00/anat/sub-00_T1w.nii.gz", copy)
    before = copy.read_bytes()
    with pytest.raises(BadInput, match="give another folder"):
        predict(workspace_models(trained, "Tiny"), [tmp_path], tmp_path, options=replace(CPU, overwrite=True))
    assert copy.read_bytes() == before


def test_what_is_not_trained_is_named(trained, workspace, tiny_bids, tmp_path):
    with pytest.raises(BadInput, match="nothing is trained yet"):
        predict(workspace_models(workspace, "Tiny"), [tiny_bids], tmp_path)
    with pytest.raises(BadInput, match=r"2d is not trained"):
        predict(workspace_models(trained, "Tiny"), [tiny_bids], tmp_path, configuration="2d")
    with pytest.raises(BadInput, match=r"fold4 is not trained \(did you mean fold"):
        predict(workspace_models(trained, "Tiny"), [tiny_bids], tmp_path, fold_names=["fold4"])


def test_a_case_that_cannot_be_written_is_reported_and_the_others_go_on(trained, tiny_bids, tmp_path, monkeypatch):
    write_labels = images.write_labels

    def refuses_one(path, labels, like):
        if "sub-01" in path.name:
            raise BadInput(f"{path}: cannot be written.")
        write_labels(path, labels, like)

    monkeypatch.setattr(images, "write_labels", refuses_one)
    result = predict(workspace_models(trained, "Tiny"), [tiny_bids], tmp_path, options=CPU)
    assert len(result.written) == 5
    assert len(result.problems) == 1
    assert "sub-01" in result.problems[0]


def test_the_engine_can_be_chosen(trained, tiny_bids, tmp_path, capsys):
    with pytest.raises(BadInput, match="unknown engine"):
        predict(workspace_models(trained, "Tiny"), [tiny_bids], tmp_path, options=replace(CPU, engine="abacus"))
    predict(workspace_models(trained, "Tiny"), [tiny_bids], tmp_path, options=replace(CPU, engine="torch"))
    assert re.search(r"fold0, fold1 on cpu \(\d+ threads\), .*, torch\n", capsys.readouterr().err)


def test_a_bids_dataset_becomes_a_derivative_dataset_that_is_evaluated(trained, tiny_bids, tmp_path):
    models, options = workspace_models(trained, "Tiny"), replace(CPU, naming=usual_naming([tiny_bids]))
    subset = Subset(("00", "sub-03"))
    result = predict(models, [tiny_bids], tmp_path / "out", options=options, subset=subset)
    assert [path.relative_to(tmp_path / "out").as_posix() for path in result.written] == [
        f"{subject}/anat/{subject}_space-T1w_desc-autoseg_dseg.nii.gz" for subject in ("sub-00", "sub-03")
    ]
    stamp = result.written[0].stat().st_mtime_ns
    result.written[1].with_name(result.written[1].name.replace(".nii.gz", ".json")).unlink()
    again = predict(models, [tiny_bids], tmp_path / "out", options=options, subset=subset)
    assert (len(again.written), len(again.skipped)) == (1, 1)
    assert result.written[0].stat().st_mtime_ns == stamp
    summary = evaluate(tmp_path / "out", tiny_bids, metrics=["overlap"])
    assert sorted(case["case"] for case in summary["cases"]) == ["sub-00_T1w", "sub-03_T1w"]
    assert set(summary["labels"]) == {"shell", "core"}


@pytest.mark.parametrize(
    ("naming", "several", "save_probabilities", "message"),
    [
        ("bids", True, False, "for one BIDS dataset"),
        ("nifti", False, False, "is one of bids, spine, image"),
        ("spine", False, True, "has no name for probabilities"),
    ],
)
def test_a_naming_that_does_not_fit_is_refused(
    trained, tiny_bids, tmp_path, naming, several, save_probabilities, message
):
    inputs = [tiny_bids, tiny_bids] if several else [tiny_bids]
    options = replace(CPU, naming=naming, save_probabilities=save_probabilities)
    with pytest.raises(BadInput, match=message):
        predict(workspace_models(trained, "Tiny"), inputs, tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()
    assert usual_naming([tiny_bids, tiny_bids]) == "image"
