"""Measuring, planning and preparing through files."""

import json

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.core.labels import Labels
from autoseg.core.plan import SplitSpec
from autoseg.io import images, store
from autoseg.pipeline import preparation
from autoseg.pipeline.preparation import dataset_folds, plan_dataset, prepare_cases, require_configuration


def test_planning_reads_every_file_once_and_writes_both_documents(workspace, monkeypatch):
    read, original = [], images.read_image
    monkeypatch.setattr(images, "read_image", lambda path: read.append(path) or original(path))
    plan = plan_dataset(workspace, "Tiny")
    folder = workspace.dataset_folder("Tiny")
    assert len(read) == len(set(read)) == 6
    assert json.loads((folder / "plan.json").read_text())["recommended"] == plan.recommended
    fingerprint = json.loads((folder / "fingerprint.json").read_text())
    assert [case["shape"] for case in fingerprint["cases"]] == [[20, 24, 16]] * 6
    assert plan.labels == Labels(values={"background": 0, "shell": 1, "core": 2})


def test_prepared_cases_are_kept_until_their_settings_or_sources_change(workspace, tiny_plan, monkeypatch):
    done, original = [], preparation.prepare.apply
    monkeypatch.setattr(preparation.prepare, "apply", lambda name, *rest: done.append(name) or original(name, *rest))
    cases = workspace.read_dataset("Tiny").cases
    configuration = tiny_plan.configurations["3d_fullres"]
    prepare_cases(workspace, tiny_plan, [configuration], cases)
    assert len(done) == 6
    larger = configuration.model_copy(update={"batch_size": 5})  # decides nothing about the arrays
    prepare_cases(workspace, tiny_plan, [larger], cases)
    assert len(done) == 6
    copy = cases[0].labels.read_bytes()
    cases[0].labels.unlink()
    cases[0].labels.write_bytes(copy)
    prepare_cases(workspace, tiny_plan, [configuration], cases)
    assert len(done) == 7
    coarser = configuration.model_copy(update={"spacing_mm": (2.4, 2.0, 2.0)})
    prepare_cases(workspace, tiny_plan, [coarser], cases)
    assert len(done) == 13
    folder = workspace.preprocessed_folder("Tiny", "3d_fullres")
    assert store.open_case(folder, cases[0].name).shape == (8, 12, 10)


def test_a_case_is_read_once_for_all_configurations(workspace, tiny_plan, monkeypatch):
    read, original = [], images.read_image
    monkeypatch.setattr(images, "read_image", lambda path: read.append(path) or original(path))
    fine = tiny_plan.configurations["3d_fullres"]
    coarse = fine.model_copy(update={"name": "3d_lowres", "spacing_mm": (2.4, 2.0, 2.0)})
    cases = workspace.read_dataset("Tiny").cases
    prepare_cases(workspace, tiny_plan, [fine, coarse], cases)
    assert len(read) == len(set(read)) == 6
    folders = [workspace.preprocessed_folder("Tiny", one.name) for one in (fine, coarse)]
    assert [store.open_case(folder, cases[0].name).shape for folder in folders] == [(16, 24, 20), (8, 12, 10)]


def test_what_is_equal_in_two_configurations_is_made_once(workspace, tiny_plan, monkeypatch):
    done, original = [], preparation.prepare.apply
    monkeypatch.setattr(preparation.prepare, "apply", lambda name, *rest: done.append(name) or original(name, *rest))
    cases = workspace.read_dataset("Tiny").cases
    first = tiny_plan.configurations["3d_fullres"]
    same = first.model_copy(update={"name": "same"})
    later = first.model_copy(update={"name": "later"})
    prepare_cases(workspace, tiny_plan, [first, same], cases)
    prepare_cases(workspace, tiny_plan, [later], cases)
    assert sorted(done) == sorted(case.name for case in cases)
    folders = [workspace.preprocessed_folder("Tiny", one.name) for one in (first, same, later)]
    everywhere = tuple((0, 9) for _ in range(3))
    read = [store.open_case(folder, cases[0].name).read(everywhere) for folder in folders]
    for image, labels in read[1:]:
        np.testing.assert_array_equal(image, read[0][0])
        np.testing.assert_array_equal(labels, read[0][1])
    coarser = same.model_copy(update={"spacing_mm": (2.4, 2.0, 2.0)})
    prepare_cases(workspace, tiny_plan, [coarser], cases)
    assert [store.open_case(folder, cases[0].name).shape[0] for folder in folders] == [16, 8, 16]


def test_a_damaged_prepared_case_is_made_again(workspace, tiny_plan):
    cases = workspace.read_dataset("Tiny").cases[:1]
    configuration = tiny_plan.configurations["3d_fullres"]
    prepare_cases(workspace, tiny_plan, [configuration], cases)
    file = workspace.preprocessed_folder("Tiny", "3d_fullres") / f"{cases[0].name}.b2nd"
    file.write_bytes(file.read_bytes()[:50])
    prepare_cases(workspace, tiny_plan, [configuration], cases)
    case = store.open_case(file.parent, cases[0].name)
    assert case.read(((0, 2),) * 3)[0].shape == (1, 2, 2, 2)


def test_folds_are_made_once_and_kept(workspace):
    dataset = workspace.read_dataset("Tiny")
    folds = dataset_folds(dataset)
    assert len(folds) == 5
    assert sorted(name for fold in folds for name in fold.validation) == sorted(case.name for case in dataset.cases)
    assert dataset_folds(dataset) == folds


def test_folds_of_a_default_plan_give_way_to_a_split_of_the_plan_and_others_do_not(workspace, capsys):
    dataset = workspace.read_dataset("Tiny")
    dataset_folds(dataset)
    (fold,) = dataset_folds(dataset, split=SplitSpec(shares=(0.5, 0.5, 0.0)))
    assert len(fold.train) == len(fold.validation) == 3
    assert capsys.readouterr().err == ""
    assert dataset_folds(dataset, split=SplitSpec(folds=3)) == [fold]
    assert "delete it" in capsys.readouterr().err


def test_own_splits_are_checked_against_the_cases(workspace, tmp_path):
    dataset = workspace.read_dataset("Tiny")
    splits = tmp_path / "splits.json"
    splits.write_text(json.dumps([{"train": [dataset.cases[0].name], "val": ["stranger"]}]))
    with pytest.raises(BadInput, match="stranger"):
        dataset_folds(dataset, splits)
    with pytest.raises(BadInput, match="no such file"):
        dataset_folds(dataset, tmp_path / "absent.json")


def test_an_unknown_configuration_is_answered_with_the_nearest(tiny_plan):
    with pytest.raises(BadInput, match="did you mean 3d_fullres"):
        require_configuration(tiny_plan, "3d_fulres")
