"""What predictions say of themselves, from training to the file of a model."""

import csv
import json
from dataclasses import replace

import nibabel
import numpy as np
import pytest

from autoseg.core.calibration import CALIBRATION, Calibration, read_calibration
from autoseg.core.plan import read_plan
from autoseg.core.trained_ranges import Finding
from autoseg.evaluation.expected_dice import Expected, fit_curve
from autoseg.inference.predictor import load_predictor
from autoseg.io import images
from autoseg.io.files import write_text
from autoseg.pipeline.models import archived_models, choose, export, workspace_models
from autoseg.pipeline.prediction import PredictionOptions, predict
from autoseg.pipeline.preparation import measure_dataset
from autoseg.pipeline.safety import SHOWN, Announcer, Judgement, Safety, calibrate, calibration_of, safety_of
from autoseg.pipeline.selection import select
from autoseg.planning.input_ranges import profiles_by_domain, ranges_by_domain
from tests.inference.test_certainty import by_hand

CPU = PredictionOptions(device="cpu", mirror=False)
FINDING = Finding("median intensity", "3e+05", "200 to 1900 (site-a)", "each image is scaled by itself")


def table_of(folder):
    with (folder / "predictions.tsv").open(newline="") as lines:
        return {(row["segmentation"], row["label"]): row for row in csv.DictReader(lines, delimiter="\t")}


@pytest.fixture
def knowing(validated):
    """The cross-validated workspace, whose folds know the ranges of the images."""
    ranges = ranges_by_domain(profiles_by_domain(measure_dataset(validated.read_dataset("Tiny"))))
    for path in [*validated.root.glob("models/Tiny/*/*/plan.json"), validated.dataset_folder("Tiny") / "plan.json"]:
        plan = read_plan(path.read_text(), str(path))
        write_text(path, plan.model_copy(update={"trained_ranges": ranges}).model_dump_json())
    return validated


@pytest.fixture
def strange(tiny_bids, tmp_path):
    """Two images of the dataset and two that are a thousand times brighter."""
    folder = tmp_path / "in"
    folder.mkdir()
    for number, path in enumerate(sorted(tiny_bids.glob("sub-*/anat/*_T1w.nii.gz"))[:4]):
        image = nibabel.load(path)
        voxels = image.get_fdata(dtype=np.float32) * (1000 if number > 1 else 1)
        nibabel.save(nibabel.Nifti1Image(voxels, image.affine), folder / f"case{number}.nii.gz")
    return folder


def test_a_validation_leaves_certainty_and_dice_of_each_case(validated):
    """They are those of the logits of the fold and of the evaluation."""
    dataset = validated.read_dataset("Tiny")
    folder = validated.model_folder("Tiny", "3d_fullres", "fold0")
    found = read_calibration((folder / CALIBRATION).read_text(), "")
    evaluation = json.loads((folder / "validation/evaluation.json").read_text())
    predictor = load_predictor([folder], "3d_fullres", "cpu")
    expected = {}
    for case in evaluation["cases"]:
        (files,) = [one for one in dataset.cases if one.name == case["case"]]
        prepared = predictor.prepare(files.name, images.read_channels(files.channels))
        for label, certainty in by_hand(predictor.logits(prepared.image), predictor.plan.labels).items():
            if certainty is not None:
                expected.setdefault(label, []).append((certainty, case["labels"][label]["dice"]))
    assert {label: pytest.approx(np.array(pairs), abs=1e-4) for label, pairs in expected.items()} == {
        label: np.array(pairs) for label, pairs in found.labels.items()
    }
    assert sum(map(len, found.labels.values())) >= 2


def test_predictions_have_expected_scores_and_what_is_unlike_the_training(knowing, strange, tmp_path, capsys):
    models, out = workspace_models(knowing, "Tiny"), tmp_path / "out"
    result = predict(models, [strange], out, "3d_fullres", options=CPU)
    assert [sentence.split(":")[0] for sentence in result.unlike] == ["case2", "case3"]
    said = " ".join(capsys.readouterr().err.split())
    assert "note: case2: median intensity 1" in said
    assert "(tiny) (each image is scaled by itself, so another scale alone does no harm)" in said
    assert "case0:" not in said
    calibration = calibration_of(models, choose(models, "3d_fullres"))
    rows = table_of(out)
    assert len(rows) == 8
    assert any(row["certainty"] != "n/a" for row in rows.values())
    for (segmentation, label), row in rows.items():
        assert (row["unlike_training"] != "n/a") == (segmentation in ("case2.nii.gz", "case3.nii.gz"))
        present = images.read_labels(out / segmentation) == {"shell": 1, "core": 2}[label]
        assert (row["certainty"] == "n/a") == (not present.any())
        if present.any() and label in calibration.labels:
            expected = fit_curve(calibration.labels[label]).at(float(row["certainty"]))
            assert float(row["expected_dice"]) == pytest.approx(expected.dice, abs=2e-4)
            assert float(row["expected_dice_low"]) == pytest.approx(expected.low, abs=2e-4)
            assert int(row["calibration_cases"]) == len(calibration.labels[label])


def test_rows_of_kept_segmentations_stay_and_lost_ones_are_made_again(knowing, strange, tmp_path):
    models, out = workspace_models(knowing, "Tiny"), tmp_path / "out"
    predict(models, [strange], out, "3d_fullres", options=CPU)
    first = (out / "predictions.tsv").read_text()
    (out / "case1.nii.gz").unlink()
    again = predict(models, [strange], out, "3d_fullres", options=CPU)
    assert [path.name for path in again.written] == ["case1.nii.gz"]
    assert (out / "predictions.tsv").read_text() == first
    kept = [line for line in first.splitlines() if not line.startswith("case2")]
    (out / "predictions.tsv").write_text("\n".join(kept) + "\n")  # killed before the table was written
    again = predict(models, [strange], out, "3d_fullres", options=CPU)
    assert [path.name for path in again.written] == ["case2.nii.gz"]
    assert (out / "predictions.tsv").read_text() == first
    (out / "predictions.tsv").unlink()  # of a version that wrote none
    assert not predict(models, [strange], out, "3d_fullres", options=CPU).written
    assert {row["certainty"] for row in table_of(out).values()} == {"n/a"}
    assert not predict(models, [strange], out, "3d_fullres", options=CPU).written


def test_a_file_says_what_the_workspace_does(knowing, strange, tmp_path):
    file = tmp_path / "Tiny.autoseg.zip"
    members = export(knowing, "Tiny", file, "3d_fullres")
    assert f"3d_fullres/fold1/{CALIBRATION}" in members
    for models, out in ((workspace_models(knowing, "Tiny"), "here"), (archived_models(file), "there")):
        predict(models, [strange], tmp_path / out, "3d_fullres", options=CPU)
    here = (tmp_path / "here/predictions.tsv").read_text()
    assert here == (tmp_path / "there/predictions.tsv").read_text()
    assert any(row["expected_dice"] != "n/a" for row in table_of(tmp_path / "here").values())


def test_a_pair_has_a_calibration_of_its_own(knowing):
    chosen = select(knowing, "Tiny", device="cpu")
    pair = tuple(knowing.root.glob("models/Tiny/ensembles/*"))
    assert [folder.name for folder in pair] == ["2d+3d_fullres"]
    rows = table_of(pair[0])
    assert {name for name, _ in rows} == {path.name for path in pair[0].glob("*.nii.gz")}
    assert (chosen.calibration is None) == (len(chosen.configurations) == 1)
    own = chosen.model_copy(
        update={"configurations": ("2d", "3d_fullres"), "calibration": Calibration(labels={"core": ((0.5, 0.25),)})}
    )
    models = replace(workspace_models(knowing, "Tiny"), selection=own)
    assert safety_of(models, choose(models, None)).curves["core"].at(0.5) == Expected(0.25, 0.25, 0.25, 1)
    assert safety_of(models, choose(models, "2d")).curves["core"].num_cases == len(
        calibration_of(models, choose(models, "2d")).labels["core"]
    )
    other = replace(models, selection=own.model_copy(update={"configurations": ("3d_fullres", "2d")}))
    assert not safety_of(other, choose(models, None)).curves


def test_a_configuration_of_one_domain_knows_that_one_alone(knowing):
    models = workspace_models(knowing, "Tiny")
    choice = choose(models, "2d")
    assert list(safety_of(models, choice).domains) == ["tiny"]
    assert safety_of(models, choice).scaled_alone == ["T1w"]
    path = knowing.model_folder("Tiny", "2d", choice.folds[0]) / "plan.json"
    plan = json.loads(path.read_text())
    plan["configurations"]["2d"] |= {"train_domains": ["elsewhere"], "normalization": ["ct"]}
    path.write_text(json.dumps(plan))
    assert not safety_of(models, choice).domains
    assert safety_of(models, choice).scaled_alone == []


def test_cases_without_a_dice_or_a_certainty_do_not_calibrate():
    certainties = {"one": {"core": 0.9, "shell": 0.8}, "two": {"core": 0.7}, "three": {"core": 0.6}}
    dice = {"one": {"core": 0.5, "shell": None}, "two": {"core": 0.4}}
    assert calibrate(certainties, dice).labels == {"core": ((0.9, 0.5), (0.7, 0.4))}


def test_a_judgement_is_rows_or_a_document():
    judgement = Judgement({"core": (0.91234, Expected(0.85, 0.8, 0.9, 40)), "shell": (None, None)}, [FINDING])
    assert judgement.rows() == [
        ("core", "0.9123", "0.8500", "0.8000", "0.9000", "40", str(FINDING)),
        ("shell", "n/a", "n/a", "n/a", "n/a", "n/a", str(FINDING)),
    ]
    assert judgement.document() == {
        "Certainty": {"core": 0.9123},
        "ExpectedDice": {"core": {"Dice": 0.85, "Interval": [0.8, 0.9], "CalibrationCases": 40}},
        "UnlikeTraining": [str(FINDING)],
    }


def test_a_label_without_a_curve_has_its_certainty_alone(tiny_plan):
    sums = np.array([[4.0, 5.0, 5.0], [0.0, 1.0, 0.0]])
    assert Safety(tiny_plan.labels).judge(sums, ()).labels == {"shell": (0.8, None), "core": (None, None)}


def test_many_cases_are_summarised(capsys):
    announcer = Announcer()
    harmful = replace(FINDING, quantity="down-up spacing (mm)", harmless="")
    for number in range(1000):
        announcer.tell(f"case{number}", [FINDING, harmful] if number == 1 else [FINDING])
        announcer.tell("usual", [])
    announcer.conclude(2000, "out/predictions.tsv")
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == SHOWN + 1
    assert lines[0] == f"note: case0: {FINDING}"
    assert lines[1].startswith("warning: case1: ")
    assert lines[-1] == (
        "1000 of 2000 cases are unlike the training (median intensity in 1000, down-up spacing (mm) in 1); all of them "
        "are named in out/predictions.tsv."
    )
    Announcer().conclude(3, "")
    assert not capsys.readouterr().err
