"""Folds: no leak of subjects, domains spread, the same result always, and nnU-Net's file."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import pytest

from autoseg.core.case import CaseFiles
from autoseg.core.errors import BadInput
from autoseg.core.plan import SplitSpec
from autoseg.planning.folds import Fold, make_folds, parse_splits, split_cases, split_document, splits_json


def cases_of(subjects_by_domain: dict[str, int], sessions: int = 1) -> list[CaseFiles]:
    return [
        CaseFiles(f"{domain}_{subject:03}_{session}", (), None, domain, f"{domain}/{subject}")
        for domain, subjects in subjects_by_domain.items()
        for subject in range(subjects)
        for session in range(sessions)
    ]


def subjects_of(names, cases) -> set[str]:
    return {case.subject for case in cases if case.name in names}


@pytest.mark.parametrize(
    ("subjects", "sessions", "num_folds"),
    [({"a": 105, "b": 35}, 1, 5), ({"a": 12, "b": 7, "c": 2}, 3, 5), ({"a": 6}, 2, 5), ({"a": 3, "b": 3}, 1, 5)],
)
def test_every_case_validates_once_and_no_subject_is_on_both_sides(subjects, sessions, num_folds) -> None:
    cases = cases_of(subjects, sessions)
    folds = make_folds(cases, num_folds)
    assert len(folds) == num_folds
    assert sorted(name for fold in folds for name in fold.validation) == sorted(case.name for case in cases)
    for fold in folds:
        assert fold.train
        assert fold.validation
        assert sorted(fold.train + fold.validation) == sorted(case.name for case in cases)
        assert not subjects_of(fold.train, cases) & subjects_of(fold.validation, cases)


def test_domains_are_spread_evenly() -> None:
    for fold in make_folds(cases_of({"a": 105, "b": 35})):
        assert sum(name.startswith("a") for name in fold.validation) == 21
        assert sum(name.startswith("b") for name in fold.validation) == 7


def test_two_contrasts_of_a_person_stay_together() -> None:
    cases = [
        CaseFiles(f"{contrast}_{subject}", (), None, contrast, f"study/{subject}")
        for contrast in ("T1w", "T2w")
        for subject in range(20)
    ]
    for fold in make_folds(cases):
        assert {name.split("_")[1] for name in fold.train}.isdisjoint(name.split("_")[1] for name in fold.validation)


def test_folds_depend_on_the_seed_only() -> None:
    cases = cases_of({"a": 30, "b": 10})
    shuffled = random.Random(0).sample(cases, len(cases))
    assert make_folds(shuffled) == make_folds(cases)
    assert make_folds(cases, seed=1) != make_folds(cases)


def test_few_subjects_are_left_out_one_by_one() -> None:
    folds = make_folds(cases_of({"a": 2, "b": 1}, sessions=2))
    assert [fold.validation for fold in folds] == [
        ("a_000_0", "a_000_1"),
        ("a_001_0", "a_001_1"),
        ("b_000_0", "b_000_1"),
    ]


def test_one_subject_gives_one_fold_that_says_so() -> None:
    (fold,) = make_folds(cases_of({"a": 1}, sessions=2))
    assert fold.train == fold.validation == ("a_000_0", "a_000_1")
    assert fold.validates_on_training_cases
    assert parse_splits(splits_json([fold]), "splits.json", fold.train) == [fold]
    assert not any(fold.validates_on_training_cases for fold in make_folds(cases_of({"a": 9})))


def test_bad_cases() -> None:
    with pytest.raises(BadInput, match="no cases"):
        make_folds([])
    with pytest.raises(BadInput, match="a_000_0 occurs twice"):
        make_folds(cases_of({"a": 1}) * 2)
    with pytest.raises(BadInput, match="at least 2"):
        make_folds(cases_of({"a": 3}), num_folds=1)


def test_splits_are_written_as_nnunet_does_and_read_back() -> None:
    folds = make_folds(cases_of({"a": 7}))
    text = splits_json(folds)
    assert json.loads(text)[0] == {"train": list(folds[0].train), "val": list(folds[0].validation)}
    assert parse_splits(text, "splits.json", [f"a_{i:03}_0" for i in range(7)]) == folds


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "not JSON"),
        ("{}", "must be a list"),
        ("[]", "must be a list"),
        ("[3]", 'fold 0 has no list of case names under "train"'),
        ('[{"train": ["a"]}]', 'under "val"'),
        ('[{"train": [], "val": ["a"]}]', 'under "train"'),
        ('[{"train": ["a"], "val": [1]}]', 'under "val"'),
        ('[{"train": ["a"], "val": ["x"]}]', "unknown case x under val"),
        ('[{"train": ["a", "a"], "val": ["b"]}]', "a case twice under train"),
        ('[{"train": ["a", "b"], "val": ["b"]}]', "both trains and validates on b"),
        ('[{"train": ["a"], "val": [], "test": []}]', 'under "val"'),
        ('[{"train": ["a"], "val": ["b"], "test": ["x"]}]', "unknown case x under test"),
        ('[{"train": ["a"], "val": ["b"], "test": ["b"]}]', "tests on b, which trains or validates"),
        ('[{"train": ["a"], "val": ["a"]}, {"train": ["a"], "val": ["b"]}]', "fold 0 both trains and validates on a"),
    ],
)
def test_bad_splits(text: str, complaint: str) -> None:
    with pytest.raises(BadInput) as error:
        parse_splits(text, "splits.json", ["a", "b"])
    assert str(error.value).startswith("splits.json")
    assert complaint in str(error.value)


def test_unused_known_cases_are_allowed() -> None:
    assert parse_splits('[{"train": ["b"], "val": ["a"]}]', "s", ["a", "b", "c"]) == [Fold(("b",), ("a",))]


def test_the_default_split_is_nnunets() -> None:
    cases = cases_of({"a": 23, "b": 5})
    assert split_cases(cases) == make_folds(cases)
    assert len(split_cases(cases, SplitSpec(folds=4))) == 4


@pytest.mark.parametrize(
    ("subjects", "shares", "expected"),
    [
        (20, (0.7, 0.15, 0.15), (14, 3, 3)),
        (16, (0.7, 0.15, 0.15), (11, 3, 2)),
        (15, (0.8, 0.2, 0.0), (12, 3, 0)),
        (10, (0.8, 0.0, 0.2), (8, 0, 2)),
        (3, (0.9, 0.05, 0.05), (1, 1, 1)),
    ],
)
def test_shares_are_of_subjects(subjects, shares, expected) -> None:
    cases = cases_of({"a": subjects}, sessions=2)
    (fold,) = split_cases(cases, SplitSpec(shares=shares, seed=7))
    sides = [subjects_of(side, cases) for side in (fold.train, fold.validation, fold.test)]
    assert tuple(len(side) for side in sides) == expected
    assert len(set.union(*sides)) == subjects
    assert sorted(fold.train + fold.validation + fold.test) == sorted(case.name for case in cases)
    assert fold.scored == (fold.test or fold.validation)
    shuffled = random.Random(0).sample(cases, len(cases))
    assert split_cases(shuffled, SplitSpec(shares=shares, seed=7)) == [fold]
    if subjects > 3:
        assert split_cases(cases, SplitSpec(shares=shares, seed=8)) != [fold]


def test_domains_have_their_part_in_every_share() -> None:
    (fold,) = split_cases(cases_of({"a": 40, "b": 20}), SplitSpec(shares=(0.7, 0.15, 0.15)))
    for side, size in ((fold.train, 42), (fold.validation, 9), (fold.test, 9)):
        assert len(side) == size
        assert sum(name.startswith("b") for name in side) == pytest.approx(size / 3, abs=1)


@pytest.mark.parametrize("shares", [(0.8, 0.2, 0.2), (0.0, 0.5, 0.5), (1.0, 0.0, 0.0)])
def test_bad_shares(shares) -> None:
    with pytest.raises(BadInput, match=r"correct split\.shares"):
        split_cases(cases_of({"a": 9}), SplitSpec(shares=shares))


def test_too_few_subjects_for_the_shares() -> None:
    with pytest.raises(BadInput, match="3 shares need 3 subjects and there are 2"):
        split_cases(cases_of({"a": 2}), SplitSpec(shares=(0.7, 0.15, 0.15)))


def test_held_out_cases_only_test_where_others_validate() -> None:
    """4 folds of 40 subjects: 10 test, and of the other 30 a tenth validates (VoxHRNet's 27, 3 and 10)."""
    cases = cases_of({"a": 40})
    folds = split_cases(cases, SplitSpec(folds=4, validation_share=0.1))
    assert [(len(fold.train), len(fold.validation), len(fold.test)) for fold in folds] == [(27, 3, 10)] * 4
    assert sorted(name for fold in folds for name in fold.test) == sorted(case.name for case in cases)
    assert all(len({*fold.train, *fold.validation, *fold.test}) == 40 for fold in folds)
    assert [fold.test for fold in folds] == [fold.validation for fold in make_folds(cases, 4)]
    assert parse_splits(splits_json(folds), "splits.json", [case.name for case in cases]) == folds


def test_cases_to_test_on_are_written_where_there_are_any() -> None:
    assert split_document(Fold(("a",), ("b",))) == {"train": ["a"], "val": ["b"]}
    fold = Fold(("a",), (), ("b",))
    assert split_document(fold) == {"train": ["a"], "val": [], "test": ["b"]}
    assert parse_splits(splits_json([fold]), "splits.json", ("a", "b")) == [fold]


def test_groups_stay_whole_and_need_not_be_of_one_domain() -> None:
    cases = [
        replace(case, group=f"family={int(case.subject.partition('/')[2]) // 3}" if case.domain == "a" else "")
        for case in cases_of({"a": 30, "b": 12}, sessions=2)
    ]
    cases += [replace(case, name=f"c{case.name}", domain="c") for case in cases if case.group.endswith("1")]
    owners = {case.name: case.group or case.subject for case in cases}
    for split in (SplitSpec(), SplitSpec(shares=(0.6, 0.2, 0.2)), SplitSpec(validation_share=0.2)):
        for fold in split_cases(cases, split):
            sides = [{owners[name] for name in side} for side in (fold.train, fold.validation, fold.test)]
            assert sum(map(len, sides)) == len(set().union(*sides))
            assert sum(map(len, (fold.train, fold.validation, fold.test))) == len(cases)


def test_splits_by_subject_and_by_file() -> None:
    cases = [replace(case, group="site=1") for case in cases_of({"a": 12}, sessions=3)]
    assert split_cases(cases)[0].validates_on_training_cases  # one group
    by_subject = split_cases(cases, SplitSpec(by="subject"))
    assert by_subject == make_folds(cases)
    by_file = split_cases(cases, SplitSpec(by="file"))
    assert len(by_file) == 5
    assert sorted(name for fold in by_file for name in fold.validation) == sorted(case.name for case in cases)
    assert any(subjects_of(fold.train, cases) & subjects_of(fold.validation, cases) for fold in by_file)
