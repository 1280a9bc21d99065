"""A library runs the real path on prepared cases, and its samples go where they were asked for."""

import time
from dataclasses import asdict

import pytest

from autoseg.pipeline import library_run
from autoseg.pipeline.library_run import Request, run_library
from autoseg.pipeline.preparation import prepare_cases, read_or_make_plan
from autoseg.reporting.profile_figure import read_samples


@pytest.fixture
def request_of(workspace, tmp_path):
    """``request_of(library)`` for two prepared cases of the tiny dataset."""
    plan = read_or_make_plan(workspace, "Tiny")
    cases = workspace.read_dataset("Tiny").cases[:2]
    prepare_cases(workspace, plan, list(plan.configurations.values()), cases)
    names = tuple(case.name for case in cases)

    def make(library: str) -> Request:
        samples = str(tmp_path / "samples.csv")
        return Request(str(workspace.root), "Tiny", "3d_fullres", library, "cpu", 0.6, names, samples, time.time() - 7)

    return make


def test_torch_trains_evaluates_and_predicts(request_of, tmp_path, monkeypatch):
    monkeypatch.setattr(library_run, "keep_freed_memory", lambda: True)  # that of the tests is to stay as it is
    run = library_run.run_here(request_of("torch"))
    assert (run.configuration, run.network, run.library) == ("3d_fullres", "plain_unet", "torch")
    assert run.trainable > 1000
    assert run.fixed == 0
    assert {"rest", "train", "evaluate", "predict"} <= set(run.phases)
    for time_s in (run.step_s, run.forward_s, run.case_s):
        assert 0 < time_s < 5
    assert run.phases["train"]["times_s"]["step"]["number"] >= 1
    assert run.phases["predict"]["times_s"]["forward"]["number"] >= run.phases["predict"]["times_s"]["case"]["number"]
    assert set(run.execution) == {"train", "predict"}
    rows = read_samples(tmp_path / "samples.csv")
    assert {row["subject"] for row in rows} == {"3d_fullres torch"}
    assert rows[0]["time_s"] > 7


def test_openvino_only_predicts(request_of):
    pytest.importorskip("openvino")
    run = library_run.run_here(request_of("openvino"))
    assert "train" not in run.phases
    assert run.step_s is None
    assert run.epoch_s is None
    assert run.forward_s > 0
    assert run.case_s > 0


def test_parameters_that_no_optimiser_touches_are_counted_apart(tiny_plan, monkeypatch, tmp_path):
    import torch
    from torch import nn

    network = nn.Sequential(nn.Conv3d(1, 2, 3), nn.BatchNorm3d(2))
    network[0].bias.requires_grad_(False)
    monkeypatch.setattr(library_run, "build_planned", lambda *arguments: network)
    assignment = library_run._assignment(tiny_plan, tiny_plan.configurations["3d_fullres"], [], tmp_path)
    assert library_run.save_random_network(tiny_plan, assignment) == (2 * 27 + 2 * 2, 2 + 2 * 2)
    assert torch.is_tensor(network[1].num_batches_tracked)


def test_the_answer_of_the_process_is_the_run(request_of, monkeypatch):
    answers = []

    def answer(module, request):
        assert module == library_run.MODULE
        answers.append(asdict(library_run.LibraryRun("c", "n", "l", 1, 0, (8, 8), 2, 3, 4, {}, {})))
        return answers[-1] | {"patch_size": [8, 8]}

    monkeypatch.setattr(library_run, "run_module", answer)
    assert asdict(run_library(request_of("torch"))) == answers[0]
    monkeypatch.setattr(library_run, "run_module", lambda module, request: library_run.STOPPED)
    with pytest.raises(RuntimeError, match="stopped by the system"):
        run_library(request_of("torch"))
