"""A training that 2 or 3 processes share (gloo, CPU) against one process: losses, weights, resumption, ends."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from autoseg.core.labels import Labels
from autoseg.training.losses import deep_supervision_loss
from tests.training.rank_losses import batch_of, every_loss

ROOT = Path(__file__).resolve().parents[2]
CLASSES = Labels(values={"shell": 1, "core": 2})


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def started(count, request):
    """``count`` processes that train what ``request`` says."""
    Path(request["folder"]).mkdir(exist_ok=True)
    file = Path(request["folder"]) / "request.json"
    file.write_text(json.dumps(request))
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "LOCAL_WORLD_SIZE": str(count)}
    own = {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT), "WORLD_SIZE": str(count)}
    command = [sys.executable, "-m", "tests.training.rank_process", str(file)]
    return [
        subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | place | own | {"RANK": str(rank)},
            stderr=subprocess.PIPE,
            encoding="utf-8",
        )
        for rank in range(count)
    ]


def trained(count, request):
    """The losses of all steps of a run in ``count`` processes."""
    for process in started(count, request):
        _, error = process.communicate(timeout=300)
        assert process.returncode == 0, error
    return json.loads((Path(request["folder"]) / "losses.json").read_text())


@pytest.fixture
def request_of(tiny_cases, tiny_configuration, tmp_path):
    """A function: the request of a training in a folder of its own."""

    def make(name, labels=CLASSES, steps=50, batch_size=3, batch_dice=True, **training):
        spec = {"epochs": steps // 10, "steps_per_epoch": 10, "validation_steps": 2} | training
        configuration = tiny_configuration.model_copy(
            update={
                "patch_size": (8, 8, 8),  # a step of a patch of 16 takes 8 times as long
                "batch_size": batch_size,
                "batch_dice": batch_dice,
                "training": tiny_configuration.training.model_copy(update=spec),
            }
        )
        return {
            "folder": str(tmp_path / name),
            "cases": str(tiny_cases[0].folder),
            "configuration": configuration.model_dump(mode="json"),
            "labels": labels.model_dump(mode="json"),
        }

    return make


def epochs(request):
    lines = (Path(request["folder"]) / "progress.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


def weights(request, name="final"):
    return load_file(Path(request["folder"]) / f"{name}.safetensors")


def furthest(one, other):
    """The largest difference of two lists of numbers of one length."""
    assert len(one) == len(other)
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def figures(request):
    return [line[key] for line in epochs(request) for key in ("loss", "validation_loss", "mean_patch_dice")]


@pytest.mark.parametrize("batch_size", [3, 1], ids=["uneven", "one-idle"])
def test_two_processes_have_the_losses_of_one(request_of, batch_size):
    alone, together = (request_of(name, steps=10, batch_size=batch_size) for name in ("one", "all"))
    assert furthest(trained(1, alone), trained(2, together)) < 1e-5
    assert furthest(figures(alone), figures(together)) < 1e-3
    assert {name: one.shape for name, one in weights(alone).items()} == {
        name: one.shape for name, one in weights(together).items()
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "batch_size", "batch_dice"),
    [(2, 2, True), (2, 3, False), (3, 5, True), (3, 2, True)],
    ids=["even", "samples", "uneven-of-3", "one-idle"],
)
def test_fifty_steps_have_the_losses_of_one_process(request_of, count, batch_size, batch_dice):
    """In each step, and what is told of the epochs; the shares are 1+1, 2+1, 2+2+1 and 1+1+0 samples."""
    alone, together = (request_of(name, batch_size=batch_size, batch_dice=batch_dice) for name in ("one", "all"))
    losses = trained(1, alone)
    assert len(losses) == 50
    assert losses[0] - losses[-1] > 0.1  # it learns: the losses could differ
    assert furthest(losses, trained(count, together)) < 1e-5
    assert furthest(figures(alone), figures(together)) < 1e-3  # Dice is of decided voxels


def test_every_loss_and_its_gradient_are_those_of_the_whole_batch(tmp_path):
    """Of each loss and kind of labels, with Dice of the batch and of samples; 3 samples in shares of 2, 1 and none."""
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port()), "WORLD_SIZE": "3", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.training.rank_losses", str(tmp_path)]
    processes = [subprocess.Popen(command, cwd=ROOT, env=os.environ | place | {"RANK": str(rank)}) for rank in range(3)]
    assert [process.wait(timeout=120) for process in processes] == [0, 0, 0]
    shares = [load_file(tmp_path / f"{rank}.safetensors") for rank in range(3)]
    combinations = list(every_loss())
    assert len(combinations) == len(shares[0]) // 2 == 36
    for name, labels, batch_dice, loss in combinations:
        logits, target = batch_of(labels)
        logits.requires_grad_()
        whole = deep_supervision_loss([logits], target, labels, batch_dice, loss)
        whole.backward()
        for share in shares:
            torch.testing.assert_close(share[f"{name} loss"], whole.detach(), rtol=1e-6, atol=1e-7)
        gradient = torch.cat([share[f"{name} gradient"] for share in shares])
        torch.testing.assert_close(gradient, logits.grad, rtol=1e-4, atol=1e-9)


@pytest.mark.slow
def test_a_training_goes_on_in_another_number_of_processes(request_of):
    """Ten steps in two processes, ten in one, ten in two; SIGTERM to any of them saves the state of all."""
    whole, parts = (request_of(name, steps=30) for name in ("whole", "parts"))
    losses = trained(2, parts | {"stop": {"1": 9}})
    assert len(losses) == 10
    assert (Path(parts["folder"]) / "state.safetensors").is_file()
    losses += trained(1, parts | {"stop": {"0": 9}})
    losses += trained(2, parts)
    assert furthest(trained(1, whole), losses) < 1e-5
    assert furthest(figures(whole), figures(parts)) < 1e-3
    assert [line["step"] for line in epochs(parts)] == [10, 20, 30]


@pytest.mark.parametrize("killed", [0, 1])
def test_where_a_process_is_killed_the_other_ends_at_once_and_the_training_goes_on(request_of, killed):
    asked = request_of("model", steps=10, batch_size=2)
    processes = started(2, asked | {"kill": {str(killed): 5}, "save_interval_s": 0})
    processes[killed].wait(timeout=120)
    before = time.monotonic()
    _, error = processes[1 - killed].communicate(timeout=60)
    assert time.monotonic() - before < 15
    assert processes[killed].returncode == -signal.SIGKILL
    if killed:
        assert processes[0].returncode == 1
        assert "another process of this training has ended" in error.splitlines()[-1]
    else:
        assert processes[1].returncode == 75
        assert "Traceback" not in error  # the first process speaks, or who started it
    assert 0 < len(trained(1, asked)) <= 6


def test_a_network_whose_samples_mix_is_refused(request_of):
    asked = request_of("model", steps=10)
    asked["configuration"]["network"] = {"name": "voxresnet", "dimensions": 3, "size_multiple": [8, 8, 8]}
    first, second = started(2, asked)
    assert "statistics are of the whole batch; train it in one process" in first.communicate(timeout=120)[1]
    assert second.wait(timeout=60) == 75
