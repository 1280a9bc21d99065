"""Choosing from cross-validation."""

import json

import numpy as np
import pytest

from autoseg.core.errors import BadInput
from autoseg.inference.ensemble import Ensemble
from autoseg.inference.postprocess import postprocess
from autoseg.inference.predictor import load_predictor
from autoseg.io import images
from autoseg.pipeline import selection
from autoseg.pipeline.evaluation import Pair, evaluate_pairs
from autoseg.pipeline.selection import select

PAIR = ("2d", "3d_fullres")


def label_map(workspace, candidate, fold, case):
    if len(candidate) == 2:
        return workspace.ensemble_folder("Tiny", "+".join(candidate)) / f"{case.name}.nii.gz"
    return workspace.model_folder("Tiny", candidate[0], fold) / f"validation/{case.name}.nii.gz"


def held_out(workspace):
    """(fold, case) of the whole dataset."""
    dataset = workspace.read_dataset("Tiny")
    cases = {case.name: case for case in dataset.cases}
    splits = json.loads((dataset.folder / "splits.json").read_text())
    return [(f"fold{number}", cases[name]) for number, split in enumerate(splits) for name in split["val"]]


def test_every_candidate_has_the_dice_of_an_evaluation_of_its_label_maps(validated, tmp_path):
    chosen = select(validated, "Tiny", device="cpu")
    assert [one.configurations for one in chosen.candidates] == [("2d",), ("3d_fullres",), PAIR]
    labels = validated.read_dataset("Tiny").labels
    for one in chosen.candidates:
        pairs = [
            Pair(case.name, case.domain, label_map(validated, one.configurations, fold, case), case.labels)
            for fold, case in held_out(validated)
        ]
        summary = evaluate_pairs(pairs, labels, tmp_path / one.title, families=["overlap"])
        assert one.mean_dice == summary["mean"]["dice"]
        assert one.dice == {name: label["dice"] for name, label in summary["labels"].items()}
    assert chosen.configurations == max(chosen.candidates, key=lambda one: one.mean_dice).configurations
    assert chosen.folds == ("fold0", "fold1")
    assert chosen.mean_dice >= max(one.mean_dice for one in chosen.candidates)
    assert chosen.candidates[0].mean_dice != chosen.candidates[1].mean_dice


def test_the_dice_of_the_selection_is_that_of_postprocessed_label_maps(validated, tmp_path):
    chosen = select(validated, "Tiny", device="cpu")
    assert chosen.postprocessing.keep_largest  # random weights leave many components
    pairs = []
    for fold, case in held_out(validated):
        path = tmp_path / f"{case.name}.nii.gz"
        labels = images.read_labels(label_map(validated, chosen.configurations, fold, case))
        images.write_labels(path, postprocess(labels, chosen.postprocessing), like=case.channels[0])
        pairs.append(Pair(case.name, case.domain, path, case.labels))
    summary = evaluate_pairs(pairs, validated.read_dataset("Tiny").labels, tmp_path, families=["overlap"])
    assert chosen.mean_dice == summary["mean"]["dice"]


def test_a_pair_segments_each_case_with_the_fold_that_has_not_seen_it(validated):
    select(validated, "Tiny", device="cpu")
    for fold, case in held_out(validated):
        members = [load_predictor([validated.model_folder("Tiny", name, fold)], name, "cpu") for name in PAIR]
        ensemble = Ensemble(members)
        expected = ensemble.segment(ensemble.prepare(case.name, images.read_channels(case.channels)))()
        np.testing.assert_array_equal(images.read_labels(label_map(validated, PAIR, fold, case)), expected)


def test_the_second_time_gives_the_same_and_predicts_nothing(validated, monkeypatch):
    first = select(validated, "Tiny", device="cpu")
    text = validated.selection_file("Tiny").read_text()
    monkeypatch.setattr(selection, "segment_fold", lambda *_: pytest.fail("a case is predicted again"))
    assert select(validated, "Tiny", device="cpu") == first
    assert validated.selection_file("Tiny").read_text() == text


def test_an_interrupted_selection_continues_with_the_cases_that_are_missing(validated, monkeypatch):
    select(validated, "Tiny", device="cpu")
    fold, case = held_out(validated)[3]
    label_map(validated, PAIR, fold, case).unlink()
    predicted = []

    def watched(pairs, cases, workers):
        predicted.extend((pairs.fold, one.name) for one in cases)
        return original(pairs, cases, workers)

    original = selection.segment_fold
    monkeypatch.setattr(selection, "segment_fold", watched)
    select(validated, "Tiny", device="cpu")
    assert predicted == [(fold, case.name)]


def test_a_fold_that_was_trained_anew_is_predicted_anew(validated):
    before = select(validated, "Tiny", device="cpu")
    weights = [validated.model_folder("Tiny", "2d", fold) / "final.safetensors" for fold in ("fold0", "fold1")]
    weights[0].write_bytes(weights[1].read_bytes())
    after = select(validated, "Tiny", device="cpu")
    assert after.candidates[2].mean_dice != before.candidates[2].mean_dice


def test_without_ensembles_no_network_runs(validated, monkeypatch):
    monkeypatch.setattr("autoseg.inference.predictor.load_predictor", lambda *_, **__: pytest.fail("not needed"))
    chosen = select(validated, "Tiny", ensembles=False)
    assert [one.configurations for one in chosen.candidates] == [("2d",), ("3d_fullres",)]
    assert not validated.ensemble_folder("Tiny", "").exists()


def test_an_incomplete_configuration_is_left_out_and_what_makes_it_is_said(validated, capsys):
    (validated.model_folder("Tiny", "2d", "fold1") / "final.safetensors").unlink()
    chosen = select(validated, "Tiny", device="cpu")
    assert [one.configurations for one in chosen.candidates] == [("3d_fullres",)]
    assert chosen.reason.startswith("3d_fullres is the only candidate")
    said = capsys.readouterr().err
    assert "left out: 2d: fold1 not trained; `autoseg train Tiny 2d cv` makes what is missing" in said
    with pytest.raises(BadInput, match="2d: fold1 not trained; `autoseg train Tiny 2d cv`"):
        select(validated, "Tiny", ["2d", "3d_fullres"])


def test_a_case_that_was_not_segmented_is_counted(validated):
    fold, case = held_out(validated)[3]
    label_map(validated, ("2d",), fold, case).unlink()
    with pytest.raises(BadInput, match="2d: fold1 has not segmented 1 held-out case"):
        select(validated, "Tiny", ["2d"])


def test_folds_of_other_cases_are_not_compared(validated):
    path = validated.model_folder("Tiny", "2d", "fold0") / "split.json"
    split = json.loads(path.read_text())
    path.write_text(json.dumps({"train": split["train"], "val": split["val"][:1]}))
    with pytest.raises(BadInput, match=r"2d: fold0 was trained with other cases than splits\.json says"):
        select(validated, "Tiny", ["2d"])


def test_nothing_complete_is_bad_input(workspace):
    with pytest.raises(BadInput, match="3d_fullres: fold0, fold1, fold2, fold3, fold4 not trained"):
        select(workspace, "Tiny")
    with pytest.raises(BadInput, match="did you mean 3d_fullres"):
        select(workspace, "Tiny", ["3d_fulres"])
