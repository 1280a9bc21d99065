"""Bad input among good input; the kinds by themselves are in ``tests/faults``."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from tests.cli.commands import LABELS, write_site
from tests.faults.spoiling import change, patch, truncate, with_voxel


def image(root, number=1):
    return root / f"sub-{number:02d}/anat/sub-{number:02d}_T1w.nii.gz"


def labels(root, number=1):
    return root / LABELS / f"sub-{number:02d}/anat/sub-{number:02d}_desc-manual_dseg.nii.gz"


@pytest.fixture
def refused(autoseg, capsys):
    """Run a command that must end with status 2 and one sentence, which is returned."""

    def run(*arguments):
        capsys.readouterr()
        assert autoseg(*arguments) == 2
        error = capsys.readouterr().err
        assert "Traceback" not in error
        run.shown.append(error)
        (sentence,) = [line for line in error.splitlines() if line.startswith("autoseg: ")]
        return sentence

    run.shown = []  # all that each command said
    return run


def test_a_case_that_cannot_be_used_is_left_out_of_what_is_written(autoseg, site, tmp_path):
    change(image(site), with_voxel(np.nan))
    assert autoseg("convert-bids", site, "--dataset", "Tiny") == 0
    written = sorted(path.name for path in (tmp_path / "workspace/datasets/Tiny/imagesTr").iterdir())
    assert written == ["tiny_sub-00_T1w_0000.nii.gz", "tiny_sub-02_T1w_0000.nii.gz"]


def test_run_says_what_was_left_out(refused, site):
    change(image(site), with_voxel(np.nan))
    labels(site, 2).unlink()
    sentence = refused("run", site, "--dataset", "Tiny", "--configuration", "3dfullres")
    assert "did you mean 3d_fullres?" in sentence
    left_out = [line for line in refused.shown[-1].splitlines() if line.startswith("left out: ")]
    assert [line.split(": ")[1] for line in left_out] == [str(image(site, 2)), str(image(site))]


def test_a_long_list_of_what_was_left_out_says_that_it_is_cut(autoseg, capsys, tmp_path):
    site = write_site(tmp_path / "many", subjects=23)
    for number in range(21):
        labels(site, number).unlink()
    assert autoseg("convert-bids", site, "--dataset", "Tiny") == 0
    assert "the first 20 of 21 are listed; --json lists all" in capsys.readouterr().err


def test_nothing_to_convert_leaves_nothing(refused, site, tmp_path):
    assert "has images T1w (3)" in refused("convert-bids", site, "--dataset", "Tiny", "--contrasts", "T2w")
    assert not [path for path in tmp_path.rglob("workspace/**/*") if path.name != "datasets"]


def test_one_subject_name_in_two_datasets_is_two_cases(autoseg, capsys, site, tmp_path):
    other = write_site(tmp_path / "other")
    assert autoseg("convert-bids", site, other, "--dataset", "Tiny", "--json") == 0
    assert json.loads(capsys.readouterr().out)["domains"] == {"tiny": 3, "other": 3}
    assert len(list((tmp_path / "workspace/datasets/Tiny/labelsTr").glob("*_sub-00_T1w.nii.gz"))) == 2


def test_bad_images_are_left_out_of_a_prediction(autoseg, capsys, site, workspace, tmp_path):
    given, output = tmp_path / "given", tmp_path / "out"
    given.mkdir()
    spoiled = {
        "four": lambda p: change(p, lambda v: np.stack([v, v], -1)),
        "nan": lambda p: change(p, with_voxel(np.nan)),
        "pixdim": lambda p: patch(p, pixdim={1: 2, 2: 2, 3: 2}),
        "truncated": truncate,
        "good": lambda p: None,
        ".1.partial.left": lambda p: None,  # by a writer that was killed
    }
    for name, spoil in spoiled.items():
        spoil(shutil.copy(image(site), given / f"{name}.nii.gz") and given / f"{name}.nii.gz")
    assert autoseg("predict", given, "-o", output, "--dataset", "Tiny", "--device", "cpu", "--json") == 2
    shown = capsys.readouterr()
    problems = json.loads(shown.out)["problems"]
    assert [Path(problem.split(":")[0]).name.split(".")[0] for problem in problems] == list(spoiled)[:4]
    assert sorted(path.name for path in output.iterdir()) == ["dseg.tsv", "good.nii.gz", "predictions.tsv"]
    assert "Traceback" not in shown.err
