"""The files that the pages speak of."""

import shutil
import types
from dataclasses import replace
from pathlib import Path
from unittest import mock

import pytest

from autoseg.interop import synthetic_bids
from autoseg.interop.synthetic_bids import write_demo

SUBJECTS = 3
SMALL = replace(synthetic_bids.SERIES["T2w"], shape=(28, 28, 14))  # the cord, and little around it


@pytest.fixture(scope="session")
def drawn(tmp_path_factory) -> Path:
    """``site-a`` (also as ``my-bids-dataset``), ``site-b`` (``site``), ``new-images`` and their ``references``."""
    folder = tmp_path_factory.mktemp("drawn")
    with mock.patch.dict(synthetic_bids.SERIES, {"T2w": SMALL}, clear=True):
        site_a, site_b = write_demo(folder, SUBJECTS)
        fresh, _ = write_demo(folder / "fresh", 1, seed=1)
    shutil.copytree(site_a, folder / "my-bids-dataset")
    shutil.copytree(site_b, folder / "site")
    (folder / "new-images").mkdir()
    shutil.copy(fresh / "sub-01/anat/sub-01_T2w.nii.gz", folder / "new-images")
    (folder / "references").mkdir()
    labels = fresh / "derivatives/labels/sub-01/anat/sub-01_space-T2w_desc-manual_dseg.nii.gz"
    shutil.copy(labels, folder / "references/sub-01_T2w.nii.gz")
    shutil.rmtree(folder / "fresh")
    return folder


@pytest.fixture
def place(drawn, tmp_path, monkeypatch) -> Path:
    """A copy of them, without what a page does not know of."""
    monkeypatch.delenv("AUTOSEG_WORKSPACE", raising=False)
    monkeypatch.setenv("COLUMNS", "160")
    return shutil.copytree(drawn, tmp_path / "place")


@pytest.fixture
def trackers():
    """Stand-ins for the packages of trackers, and the calls that they get: (name, figures)."""
    calls = []

    class Run:
        def __enter__(self):
            return self

        def __exit__(self, *reason):
            calls.append(("end", None))

        def log(self, figures):
            calls.append(("wandb", figures))

        def finish(self):
            calls.append(("finish", None))

    wandb, mlflow = types.ModuleType("wandb"), types.ModuleType("mlflow")
    wandb.init = lambda project: Run()
    mlflow.start_run = Run
    mlflow.log_metrics = lambda metrics, step: calls.append(("mlflow", {**metrics, "step": step}))
    return {"wandb": wandb, "mlflow": mlflow}, calls
