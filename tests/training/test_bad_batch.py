"""What is kept of a batch in which the loss became no number, and the sentence about it."""

import json
import math
from dataclasses import replace

import nibabel
import numpy as np
import pytest
import torch

from autoseg.core.labels import Labels
from autoseg.runtime.devices import Execution
from autoseg.training import bad_batch, trainer
from autoseg.training.checkpoint import Run
from autoseg.training.patches import Batch, PatchSource
from autoseg.training.schedule import Clock
from autoseg.training.step import recovers
from autoseg.training.trainer import Assignment, train

CPU = Execution("cpu", "fp32", channels_last=False)
LABELS = Labels(values={"shell": 1, "core": 2})


@pytest.fixture
def assignment(tiny_cases, tiny_configuration, tmp_path):
    return Assignment(tiny_configuration, LABELS, 1, tiny_cases[:4], tiny_cases[4:], tmp_path / "fold0")


def poisoned(monkeypatch, step, value):
    """The loop with one voxel of one sample of one step spoilt; the batch as the network sees it."""
    original, seen = trainer.patch_streams, []

    def spoil(batches, step):
        for number, batch in enumerate(batches):
            if number == step:
                batch.image[1, 0, 3, 4, 5] = value
                seen.append(batch)
            yield batch

    def streams(*arguments):
        training, validation = original(*arguments)
        return spoil(training, step), validation

    monkeypatch.setattr(trainer, "patch_streams", streams)
    return seen


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_the_batch_of_a_loss_that_is_no_number_can_be_opened(assignment, monkeypatch, value):
    seen = poisoned(monkeypatch, 5, value)
    assignment.folder.mkdir()
    with pytest.raises(FloatingPointError) as caught:
        train(assignment, CPU, Clock(assignment.configuration.training))
    folder = assignment.folder / "nan_batch"
    source, _ = trainer.sample_sources(assignment)
    case, voxel = source.origin(5, 1)
    assert str(caught.value) == (
        f"{assignment.folder}: in step 5 the loss became nan: lower initial_learning_rate in the plan, or look for "
        f"extreme intensities in {folder} (the largest is no number, of {case})."
    )
    document = json.loads((folder / "batch.json").read_text())
    assert (document["step"], document["learning_rate"]) == (5, pytest.approx(0.01 * (1 - 1 / 3) ** 0.9))
    assert [one["largest"] is None for one in document["samples"]] == [False, True]
    assert document["samples"][1]["voxel"] == list(voxel)
    (batch,) = seen
    for index in range(2):
        image = nibabel.load(folder / f"sample{index:02d}_image.nii.gz")
        np.testing.assert_array_equal(image.get_fdata(dtype=np.float32), batch.image[index, 0].numpy())
        np.testing.assert_allclose(image.header.get_zooms(), (1.2, 1.0, 1.0), rtol=1e-6)
        labels = nibabel.load(folder / f"sample{index:02d}_labels.nii.gz")
        np.testing.assert_array_equal(np.asarray(labels.dataobj), batch.target[index].numpy())
    assert not (assignment.folder / "final.safetensors").exists()


def test_a_sample_is_where_its_origin_says(tiny_cases, tiny_configuration):
    """Without augmentation the middle of the patch is that voxel of the prepared case."""
    source = PatchSource(tiny_cases, tiny_configuration, LABELS, False, 0, seed=3)
    for index in range(4):
        image, _ = source.sample(2, index)
        case, voxel = source.origin(2, index)
        stored = next(one for one in tiny_cases if one.name == case)
        middle, _ = stored.read(tuple((one, one + 1) for one in voxel))
        assert image[0, 8, 8, 8] == middle[0, 0, 0, 0]


def test_a_gradient_that_is_no_number_stops_too(assignment, monkeypatch):
    """The weights are lost with it, and the next loss would say so only when they are saved already."""
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda *_: torch.tensor(math.inf))
    assignment.folder.mkdir()
    with pytest.raises(FloatingPointError, match="in step 0 the gradient became inf"):
        train(assignment, CPU, Clock(assignment.configuration.training))


def test_slices_and_several_channels_are_written_as_volumes(tmp_path):
    class Source:
        def origin(self, step, index):
            return f"case{index}", (1, 2, 3)

    batch = Batch(torch.rand(2, 3, 4, 5), torch.ones(2, 4, 5, dtype=torch.int64))
    bad_batch.keep(tmp_path, batch, Source(), (0.5, 2.0), {"step": 0})
    image = nibabel.load(tmp_path / "nan_batch/sample01_image.nii.gz")
    assert (image.shape, image.header.get_zooms()[:3]) == ((1, 4, 5, 3), (1.0, 0.5, 2.0))
    np.testing.assert_array_equal(image.get_fdata(dtype=np.float32)[0, :, :, 2], batch.image[1, 2].numpy())


def test_a_full_disk_does_not_hide_the_failure(assignment, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    poisoned(monkeypatch, 0, math.nan)
    monkeypatch.setattr(bad_batch, "write_json", full)
    assignment.folder.mkdir()
    with pytest.raises(FloatingPointError, match=r"the loss became nan.*could not be written: No space left"):
        train(assignment, CPU, Clock(assignment.configuration.training))


def test_fp16_passes_over_steps_until_its_scale_is_used_up(assignment, monkeypatch):
    scaler = torch.amp.GradScaler("cpu", init_scale=4.0)
    weight = torch.nn.Parameter(torch.ones(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    scales = []
    for _ in range(4):
        scales.append((scaler.get_scale(), recovers(scaler)))
        weight.grad = torch.full((1,), math.nan)
        scaler.scale(weight.sum())
        scaler.step(optimizer)
        scaler.update()
    assert (weight.item(), scales) == (1.0, [(4.0, True), (2.0, True), (1.0, True), (0.5, False)])
    assert not recovers(torch.amp.GradScaler("cpu", enabled=False))
    half = replace(CPU, precision="fp16")
    seen = poisoned(monkeypatch, 5, math.inf)
    assignment.folder.mkdir()
    train(assignment, half, Clock(assignment.configuration.training))
    assert len(seen) == 1
    assert (assignment.folder / "final.safetensors").is_file()
    lines = [json.loads(line) for line in (assignment.folder / "progress.jsonl").read_text().splitlines()]
    assert all(math.isfinite(line["loss"]) for line in lines)


def test_a_step_that_is_passed_over_counts_as_the_mean_of_those_before():
    run = Run()
    for loss in (1.0, 3.0, math.nan):
        run.add(loss)
    assert (run.loss_in_epoch, run.steps_in_epoch, run.step) == (6.0, 3, 3)
