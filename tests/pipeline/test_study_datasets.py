"""The datasets of a study: where they come from, who tests, and when they are made anew."""

from dataclasses import replace

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io.files import write_text
from autoseg.io.workspace import Workspace
from autoseg.pipeline.study_datasets import ORIGIN, StudyDataset, hold_out, joined_dataset, study_datasets
from tests.pipeline.study_files import tiny_study, write_sites


@pytest.fixture
def sites(tmp_path):
    write_sites(tmp_path, a=10, b=3, c=2)
    return tmp_path


def found(root, **changes):
    workspace = Workspace(root / "workspace")
    study = Workspace(workspace.root / "studies/Sites")
    return study_datasets(workspace, study, tiny_study(root, **changes), root)


def test_a_fifth_of_the_subjects_of_each_dataset_tests_and_all_unseen_ones(sites):
    a, b, c = found(sites)
    assert [(one.name, len(one.training), len(one.testing)) for one in (a, b, c)] == [
        ("a", 8, 2),
        ("b", 2, 1),
        ("c", 0, 2),
    ]
    assert not set(a.training) & set(a.testing)
    assert [one.unseen for one in (a, b, c)] == [False, False, True]
    again = found(sites, unseen=[])
    assert [one.testing for one in again] == [a.testing, b.testing]  # whatever else is in the study
    assert found(sites, seed=1)[0].testing != a.testing


def test_a_person_in_two_datasets_is_on_one_side(sites):
    """b shares the subjects of a, as where two contrasts of a site are two datasets."""
    a, b, _ = found(sites)
    shared = [replace(case, subject=f"a/sub-{number:02d}") for number, case in enumerate(a.dataset.cases[:5])]
    two = [a, replace(b, dataset=replace(b.dataset, cases=tuple(shared)))]
    first, second = hold_out(two, seed=0)
    tested = {case.subject for one in (first, second) for case in one.testing}
    assert tested.isdisjoint(case.subject for one in (first, second) for case in one.training)
    unseen = replace(two[1], unseen=True)
    first, _ = hold_out([a, unseen], seed=0)
    assert {case.subject for case in first.training} == {f"a/sub-{number:02d}" for number in range(5, 10)} - {
        case.subject for case in first.testing
    }
    with pytest.raises(BadInput, match="a: all its subjects test"):
        hold_out([a, replace(a, name="same", unseen=True)], seed=0)


def test_a_group_is_on_one_side(sites):
    """Five families of two, one of which is in b too."""
    a, b, _ = found(sites)
    families = [replace(case, group=f"family={place // 2}") for place, case in enumerate(a.dataset.cases)]
    related = [replace(case, group="family=0") if place == 0 else case for place, case in enumerate(b.dataset.cases)]
    for seed in range(5):
        sets = [
            replace(one, dataset=replace(one.dataset, cases=tuple(cases)))
            for one, cases in ((a, families), (b, related))
        ]
        first, second = hold_out(sets, seed)
        assert 2 <= len(first.testing) <= 4
        tested = {case.group for one in (first, second) for case in one.testing if case.group}
        assert tested.isdisjoint(case.group for one in (first, second) for case in one.training)


def test_a_dataset_with_one_subject_cannot_train_and_test(sites):
    (a, *_) = found(sites)
    alone = replace(a.dataset, cases=a.dataset.cases[:1])
    with pytest.raises(BadInput, match="a: has one subject"):
        hold_out([StudyDataset("a", alone, False)], seed=0)


def test_what_is_converted_stays_until_its_files_change(sites):
    folder = sites / "workspace/studies/Sites/datasets"
    found(sites)
    before = {name: (folder / name / ORIGIN).stat().st_mtime_ns for name in "abc"}
    write_sites(sites / "more", b=4)
    (sites / "b").rename(sites / "old")
    (sites / "more/b").rename(sites / "b")
    assert len(found(sites)[1].dataset.cases) == 4
    changed = {name for name, time in before.items() if (folder / name / ORIGIN).stat().st_mtime_ns != time}
    assert changed == {"b"}


def test_a_name_of_the_workspace_is_that_dataset(sites):
    workspace = Workspace(sites / "workspace")
    convert(plan_conversion([sites / "a"]), workspace.dataset_folder("Cord"), "Cord")
    sets = found(sites, datasets=["Cord", "b"])
    assert sets[0].dataset.folder == workspace.dataset_folder("Cord")
    assert [one.name for one in sets] == ["Cord", "b", "c"]


def test_entries_that_are_nothing_are_named(sites):
    with pytest.raises(BadInput, match="d: is neither a dataset of the workspace nor the folder"):
        found(sites, unseen=["d"])
    write_sites(sites / "deep", a=2)
    workspace = Workspace(sites / "workspace")
    convert(plan_conversion([sites / "deep/a"]), workspace.dataset_folder("a"), "a")
    with pytest.raises(BadInput, match="a: two datasets of the study have this name"):
        found(sites, datasets=["a", "./a"])


def test_a_training_set_is_made_anew_unless_something_was_trained_on_it(sites):
    study = Workspace(sites / "workspace/studies/Sites")
    a, b, _ = found(sites)
    assert len(joined_dataset(study, "general", [a.part, b.part], {}).cases) == 10
    write_text(study.dataset_folder("general") / "plan.json", "a plan")
    assert len(joined_dataset(study, "general", [a.part, b.part], {}).cases) == 10
    assert (study.dataset_folder("general") / "plan.json").is_file()
    assert len(joined_dataset(study, "general", [a.part], {}).cases) == 8
    assert not (study.dataset_folder("general") / "plan.json").exists()
    write_text(study.model_folder("general", "tiny", "all") / "plan.json", "of a training")
    with pytest.raises(BadInput, match="was trained on other cases or by another recipe"):
        joined_dataset(study, "general", [a.part, b.part], {})
