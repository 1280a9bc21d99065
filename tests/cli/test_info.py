"""info as a command: every kind, what is imported, and what is printed."""

import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest

from tests.cli.commands import LABELS


@pytest.fixture
def image(site):
    return site / "sub-00/anat/sub-00_T1w.nii.gz"


def test_every_kind_in_one_document(autoseg, capsys, workspace, site, image, tmp_path):
    """Each entry is of its schema (``conftest``)."""
    recipe, study, selection = (tmp_path / f"{name}.json" for name in ("recipe", "study", "selection"))
    recipe.write_text('{"datasets": {"tiny": {"labels": {"core": 2}}}, "labels": ["core"]}')
    study.write_text('{"name": "S", "datasets": ["a", "b"]}')
    parts = {"dataset": "Tiny", "configurations": ["2d"], "folds": ["fold0"], "postprocessing": {}, "mean_dice": None}
    selection.write_text(json.dumps({**parts, "reason": "alone", "candidates": [], "steps": []}))
    exported, dataset = tmp_path / "Tiny.autoseg.zip", workspace / "datasets/Tiny"
    assert autoseg("export", "Tiny", "-o", exported) == 0
    assert autoseg("plan", "Tiny") == 0
    label_map = site / LABELS / "sub-00/anat/sub-00_desc-manual_dseg.nii.gz"
    files = {
        "image": image,
        "label_map": label_map,
        "model": exported,
        "plan": dataset / "plan.json",
        "dataset": dataset,
        "cases": dataset / "cases.tsv",
        "fingerprint": dataset / "fingerprint.json",
        "selection": selection,
        "recipe": "plans/paugam.json",
        "conversion_recipe": recipe,
        "study": study,
        "bids": site,
    }
    capsys.readouterr()
    assert autoseg("info", *files.values(), workspace / "models/Tiny/3d_fullres/fold0", "--json") == 0
    entries = json.loads(capsys.readouterr().out)
    assert [entry["kind"] for entry in entries] == [*files, "model"]
    assert [entry["file"] for entry in entries[:-1]] == [str(file) for file in files.values()]
    assert entries[2]["folds"][0]["num_weights"] == entries[-1]["folds"][0]["num_weights"]
    assert autoseg("info", *files.values()) == 0
    shown = capsys.readouterr().out
    assert "the first axis runs to the left" in shown
    assert "a label map with 2 labels besides background" in shown
    assert "members agree with its manifest" in shown


def test_what_cannot_be_told_is_a_sentence_and_the_others_are_told(autoseg, capsys, image, tmp_path):
    (tmp_path / "notes.txt").write_text("nothing")
    assert autoseg("info", tmp_path / "notes.txt", image, "--json") == 2
    shown = capsys.readouterr()
    unknown, known = json.loads(shown.out)
    assert (unknown["kind"], known["kind"]) == ("unknown", "image")
    assert shown.err.startswith(f"autoseg: {tmp_path / 'notes.txt'}: is nothing that autoseg knows")
    assert autoseg("info", tmp_path / "none.nii.gz") == 2
    assert "there is no such file" in capsys.readouterr().err


def test_what_is_refused_is_told(autoseg, capsys, tmp_path):
    voxels = np.full((4, 5, 6), np.nan, np.float32)
    nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / "nan.nii.gz")
    assert autoseg("info", tmp_path / "nan.nii.gz", "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert "120 voxels are NaN or infinite" in entry["refused"]
    assert entry["intensities"][0]["mean"] is None


@pytest.mark.parametrize("arguments", [(), ("--json",)])
def test_an_image_is_told_without_heavy_packages(image, arguments):
    """So it takes less than a second from the start of the process."""
    code = (
        "import sys, json\n"
        "from autoseg.cli import main\n"
        "status = main()\n"
        "heavy = ['torch', 'SimpleITK', 'nibabel', 'scipy', 'pandas', 'sklearn', 'tifffile', 'PIL', 'matplotlib']\n"
        "own = ['core.labels', 'core.plan', 'io.workspace', 'planning', 'interop', 'evaluation', 'training']\n"
        "loaded = [name for name in heavy + [f'autoseg.{one}' for one in own] if name in sys.modules]\n"
        "print(json.dumps([status, loaded]), file=sys.stderr)\n"
    )
    command = [sys.executable, "-c", code, "info", str(image), *arguments]
    found = subprocess.run(command, capture_output=True, encoding="utf-8", check=True)
    assert json.loads(found.stderr) == [0, []]
    assert "LAS" in found.stdout
