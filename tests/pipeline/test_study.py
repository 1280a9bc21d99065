"""A whole study of two tiny sites and an unseen one; what is kept, and that no test case trains."""

import csv
import json
import shutil
from collections import Counter

import nibabel
import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.io.workspace import Workspace
from autoseg.pipeline import study as study_module
from autoseg.pipeline import trainings
from autoseg.pipeline.api import evaluate
from autoseg.pipeline.runs import recorded_split
from autoseg.pipeline.study import models_of, read_study_file, run_study
from tests.pipeline.study_files import OPTIONS, tiny_study, write_sites, write_study

MODELS = ("only_a", "only_b", "general", "general_balanced")


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """The folder of the sites, with the workspace in it in which the study is finished."""
    root = tmp_path_factory.mktemp("study")
    write_sites(root, a=5, b=3, c=2)
    assert run_study(Workspace(root / "workspace"), tiny_study(root, balance="domains"), root, OPTIONS) is not None
    return root


@pytest.fixture
def root(finished, tmp_path):
    """A copy that a test may change, but for the sites."""
    shutil.copytree(finished / "workspace", tmp_path / "workspace", symlinks=True)
    for name in ("a", "b", "c"):
        (tmp_path / name).symlink_to(finished / name)
    return tmp_path


@pytest.fixture
def no_page(monkeypatch):
    """The figures take longer than all else that is done again."""
    monkeypatch.setattr(study_module, "write_study", lambda results: [])


def again(root, **changes):
    return run_study(Workspace(root / "workspace"), tiny_study(root, **{"balance": "domains"} | changes), root, OPTIONS)


def changed_files(folder, before):
    return sorted(str(path.relative_to(folder)) for path, time in times(folder).items() if before.get(path) != time)


def times(folder):
    kept = ("final.safetensors", "evaluation.json", ".nii.gz")
    return {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if path.name.endswith(kept)}


def test_the_matrix_has_every_cell(finished):
    folder = finished / "workspace/studies/Sites"
    with (folder / "matrix.csv").open() as lines:
        rows = [row for row in csv.DictReader(lines) if row["label"] == "mean" and row["score"] == "dice"]
    assert [(row["test"], row["model"]) for row in rows] == [(test, model) for test in "abc" for model in MODELS]
    assert {(row["test"], row["num_cases"]) for row in rows} == {("a", "1"), ("b", "1"), ("c", "2")}
    assert [row["seen"] for row in rows if row["test"] == "a"] == ["1", "0", "1", "1"]
    page = (folder / "study.md").read_text(encoding="utf-8")
    assert page.startswith("# Sites\n\n## Conclusion\n\n- By Dice, the general model is at least as good as")
    assert all((folder / f"figures/{score}.svg").is_file() for score in ("dice", "volume_error_percent", "hd95_mm"))


def test_no_test_case_trains_or_is_measured(finished):
    study = Workspace(finished / "workspace/studies/Sites")
    tested = {
        f"{case['case']}"
        for path in study.root.glob("cells/general/*/evaluation.json")
        for case in json.loads(path.read_text())["cases"]
    }
    assert len(tested) == 4
    everything = {case.name for site in "abc" for case in study.read_dataset(site).cases}
    assert tested < everything
    for model, configuration, sites in (
        ("only_a", "tiny", "a"),
        ("only_b", "tiny", "b"),
        ("general", "tiny", "ab"),
        ("general", "tiny_balanced", "ab"),
    ):
        split = recorded_split(study.model_folder(model, configuration, "all"))
        of_sites = {case.name for site in sites for case in study.read_dataset(site).cases}
        assert set(split.train) == of_sites - tested
        assert not split.validation
        fingerprint = json.loads((study.dataset_folder(model) / "fingerprint.json").read_text())
        assert {case["name"] for case in fingerprint["cases"]} == set(split.train)


def test_the_numbers_of_a_cell_are_those_of_evaluate(root, tmp_path, no_page):
    """Of segmentations that are there already, and are neither empty nor right."""
    folder = root / "workspace/studies/Sites"
    for number, path in enumerate(sorted((folder / "cells/general/c").glob("*.nii.gz"))):
        reference = nibabel.load(folder / "datasets/c/labelsTr" / path.name)
        shifted = np.roll(np.asarray(reference.dataobj), number + 1, axis=0)
        nibabel.save(nibabel.Nifti1Image(shifted, reference.affine), path)
    (folder / "cells/general/c/evaluation.json").unlink()
    matrix = again(root).matrix
    result = evaluate(folder / "cells/general/c", folder / "datasets/c/labelsTr", output=tmp_path / "scores")
    kept = json.loads((folder / "cells/general/c/evaluation.json").read_text())
    assert result["cases"] == kept["cases"]
    for score in ("dice", "volume_error_percent", "hd95_mm"):
        for label in ("shell", "core"):
            expected = result["labels"][label]
            cell = matrix.cell(score, "general", "c", label)
            assert (cell.mean, cell.sd) == pytest.approx((expected[score], expected["sd"][score]))
        cell = matrix.cell(score, "general", "c")
        assert (cell.mean, cell.sd) == pytest.approx((result["mean"][score], result["mean"]["sd"][score]))
    assert 0.2 < matrix.cell("dice", "general", "c").mean < 0.9


def test_again_nothing_is_trained_or_segmented(root, no_page):
    before = times(root / "workspace")
    again(root)
    assert changed_files(root / "workspace", before) == []


def test_what_is_missing_is_made_and_nothing_else(root, no_page):
    study = root / "workspace/studies/Sites"
    shutil.rmtree(study / "cells/only_b/a")
    next((study / "cells/only_b/c").glob("*.nii.gz")).unlink()
    (study / "cells/only_b/c/evaluation.json").unlink()
    before = times(study)
    again(root)
    made = Counter(name.removeprefix("cells/only_b/")[0] for name in changed_files(study, before))
    assert made == {"a": 2, "c": 2}  # of each the evaluation and one segmentation


def test_an_interrupted_study_continues(root, monkeypatch, no_page):
    study = root / "workspace/studies/Sites"
    shutil.rmtree(study / "models/general")
    train = trainings.train

    def interrupted(workspace, dataset, configuration, fold, options):
        if configuration == "tiny_balanced":
            raise KeyboardInterrupt
        return train(workspace, dataset, configuration, fold, options)

    monkeypatch.setattr(trainings, "train", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again(root)
    assert (study / "models/general/tiny/all/final.safetensors").is_file()
    monkeypatch.setattr(trainings, "train", train)
    before = times(root / "workspace")
    again(root)
    made = changed_files(study, before)
    assert [name for name in made if name.startswith("models")] == [
        "models/general/tiny_balanced/all/final.safetensors"
    ]


def test_a_cell_of_another_model_or_of_other_cases_is_made_anew(root, no_page):
    study = root / "workspace/studies/Sites"
    weights = study / "models/only_a/tiny/all/final.safetensors"
    shutil.copyfile(study / "models/only_b/tiny/all/final.safetensors", weights)
    (root / "c").unlink()
    write_sites(root, c=3)
    before = times(study)
    assert again(root).matrix.cell("dice", "general", "c").num_cases == 3
    made = {name.rpartition("/")[0] for name in changed_files(study / "cells", before)}
    assert made == {"only_a/a", "only_a/b", *(f"{model}/c" for model in MODELS)}


def test_another_unseen_dataset_leaves_what_is_there(root, no_page):
    """Even of another contrast, which the channel of a joint dataset is called after."""
    write_sites(root, d=2)
    for image in (root / "d").glob("sub-*/anat/*_T1w.nii.gz"):
        image.rename(image.with_name(image.name.replace("T1w", "T2w")))
    before = times(root / "workspace")
    results = again(root, unseen=["c", "d"])
    assert [test.name for test in results.matrix.tests] == ["a", "b", "c", "d"]
    changed = {name.split("/")[-2] for name in changed_files(root / "workspace/studies/Sites", before)}
    assert changed <= {"d", "imagesTr", "labelsTr"}
    assert not any("only" in name for name in changed_files(root / "workspace/studies/Sites/datasets", before))


def test_a_training_that_is_not_as_the_study_now_trains_is_refused(root):
    with pytest.raises(BadInput, match="was trained otherwise or on other cases"):
        run_study(
            Workspace(root / "workspace"), tiny_study(root), root, study_module.TrainingOptions(epochs=2, resume=True)
        )
    with pytest.raises(BadInput, match="was trained on other cases or by another recipe"):
        again(root, recipe=None)


def test_each_dataset_is_left_out_in_turn(tmp_path):
    spec = tiny_study(tmp_path, datasets=["a", "b", "c"], unseen=[])
    models = models_of(["a", "b", "c"], spec, leave_one_out=True)
    assert [(model.name, model.trained_on) for model in models if model.kind == "left_out"] == [
        ("without_a", ("b", "c")),
        ("without_b", ("a", "c")),
        ("without_c", ("a", "b")),
    ]
    assert not [model for model in models_of(["a", "b"], spec, leave_one_out=True) if model.kind == "left_out"]


def test_a_score_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(BadInput, match=r"no score called 'hd95' \(did you mean hd95_mm"):
        read_study_file(write_study(tmp_path, metrics=["dice", "hd95"]))
    with pytest.raises(BadInput, match="there is no such file"):
        read_study_file(tmp_path / "none.json")
