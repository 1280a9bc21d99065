"""The report of a study whose cells are filled by hand."""

import json
import shutil
from pathlib import Path

import pytest

from autoseg.core.errors import BadInput
from autoseg.evaluation.study import GENERAL
from autoseg.interop.bids_conversion import convert, plan_conversion
from autoseg.io.workspace import Workspace
from autoseg.pipeline.report import report
from autoseg.pipeline.report_study import read_finished
from tests.pipeline.report_files import page_data
from tests.pipeline.study_files import write_sites

DICE = {"only_a": 0.6, "only_b": 0.5, GENERAL: 0.7}


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A study of a and b, with c unseen; each case scores its model's Dice and a little for its place."""
    root = tmp_path_factory.mktemp("study")
    write_sites(root, a=3, b=3, c=4)
    study = Workspace(root / "workspace" / "studies" / "Sites")
    spec = {"name": "Sites", "datasets": ["a", "b"], "unseen": ["c"], "metrics": ["dice"]}
    study.root.mkdir(parents=True)
    (study.root / "study.json").write_text(json.dumps(spec))
    for site in "abc":
        convert(plan_conversion([root / site]), study.dataset_folder(site), site)
        for model, dice in DICE.items():
            fill(study, site, model, dice)
    return Workspace(root / "workspace")


def fill(study: Workspace, site: str, model: str, dice: float) -> None:
    """A cell as ``study`` leaves it."""
    folder = study.root / "cells" / model / site
    folder.mkdir(parents=True)
    rows = []
    for place, case in enumerate(study.read_dataset(site).cases):
        shutil.copy(Path(case.labels or ""), folder / f"{case.name}.nii.gz")
        rows.append({"case": case.name, "domain": site, "labels": {"shell": {"dice": dice + place / 100}}})
    (folder / "evaluation.json").write_text(json.dumps({"cases": rows}))


def test_the_matrix_is_read_back(workspace):
    finished = read_finished(Workspace(workspace.root / "studies" / "Sites"), "Sites")
    assert [(model.name, model.kind) for model in finished.matrix.models] == [
        ("only_a", "specific"),
        ("only_b", "specific"),
        (GENERAL, "general"),
    ]
    assert [(test.name, test.unseen, len(test.subjects)) for test in finished.matrix.tests] == [
        ("a", False, 3),
        ("b", False, 3),
        ("c", True, 4),
    ]
    assert finished.matrix.cell("dice", GENERAL, "c").mean == pytest.approx(0.7 + 0.015)


def test_the_worst_cases_of_each_test_set_are_shown(workspace, tmp_path):
    made = report(workspace, "Sites", num_cases=3, figures=tmp_path)
    text, data = page_data(made.report)
    assert made.report == workspace.root / "reports" / "Sites.html"
    assert [(one["case"][:2], one["rank"]) for one in data["cases"]] == [("a_", "a"), ("b_", "b"), ("c_", "c")]
    assert all(one["case"].endswith("sub-00_T1w") for one in data["cases"])
    assert "the general model is at least as good as the best specific one on 1 of 1 unseen dataset" in text
    assert {path.name for path in tmp_path.iterdir()} == {
        "boxes_dice.svg",
        "boxes_dice.png",
        "montage.svg",
        "montage.png",
    }


def test_an_unfinished_study_is_told(workspace, tmp_path):
    shutil.copytree(workspace.root / "studies" / "Sites", tmp_path / "studies" / "Sites", symlinks=True)
    (tmp_path / "studies" / "Sites" / "cells" / "only_b" / "c" / "evaluation.json").unlink()
    with pytest.raises(BadInput, match=r"the study is not finished \(only_b on c\); run `autoseg study` again"):
        report(Workspace(tmp_path), "Sites")
