"""What memory is needed, against hand-computed figures; what is refused, and what is not although it looks so."""

from dataclasses import replace

import numpy as np
import pytest

from autoseg.core.case import CaseFiles, Image
from autoseg.core.errors import BadInput
from autoseg.inference.ensemble import Ensemble
from autoseg.inference.predictor import load_predictor
from autoseg.pipeline import memory_checks
from autoseg.pipeline.memory_checks import (
    CLEARLY,
    Memory,
    MemoryGuard,
    fits,
    memory_guard,
    need,
    require_memory_to_train,
    telling_shortage,
    training_need,
)
from autoseg.planning.memory import prediction_bytes, training_bytes
from autoseg.runtime.devices import Execution
from autoseg.runtime.jobs import num_cores

AFFINE = np.diag([1.0, 1.0, 1.2, 1.0])
SHAPE = (20, 24, 16)


@pytest.fixture
def predictor(validated):
    """It computes in fp32, whatever this processor is good at."""
    loaded = load_predictor([validated.model_folder("Tiny", "3d_fullres", "fold0")], "3d_fullres", "cpu")
    return replace(loaded, execution=replace(loaded.execution, precision="fp32"))


@pytest.fixture
def slices(validated):
    return load_predictor([validated.model_folder("Tiny", "2d", "fold0")], "2d", "cpu")


def test_the_need_of_a_case_is_what_is_held_and_the_largest_of_what_passes(predictor):
    """No resampling: 16 planes of three logits are all there are; tiles of 16^3, four in a batch on each core."""
    network = predictor.configuration.network
    passing = prediction_bytes(network, (16, 16, 16), predictor.lanes.batch * predictor.lanes.workers, 1, 3)
    voxels = 20 * 24 * 16
    held, preparing = 4 * (voxels + 3 * voxels), 4 * (voxels + 2 * voxels)
    assert (predictor.lanes.batch, predictor.lanes.workers) == (4, num_cores())
    found = need([predictor], 1, SHAPE, AFFINE, SHAPE)
    assert found == Memory(held + max(passing, preparing) + 2 * voxels, 0)


def test_a_finer_plan_and_an_ensemble_need_more(predictor, slices):
    fine = predictor.configuration.model_copy(update={"spacing_mm": (0.6, 0.5, 0.5)})
    finer = replace(predictor, configuration=fine)
    own = need([predictor], 1, SHAPE, AFFINE, SHAPE)
    assert need([finer], 1, SHAPE, AFFINE, SHAPE).machine > 6 * own.machine - 8 * num_cores() * 2**20
    both = need(Ensemble([predictor, slices]).members, 1, SHAPE, AFFINE, SHAPE)
    assert both.machine > own.machine


def test_on_a_gpu_the_forward_pass_is_its_own_and_of_one_tile(predictor):
    on_gpu = replace(predictor, execution=Execution("cuda", "fp32", True))
    found = need([on_gpu], 1, SHAPE, AFFINE, SHAPE)
    assert found.device == prediction_bytes(predictor.configuration.network, (16, 16, 16), 1, 1, 3) // 4 * 4
    guard = MemoryGuard(on_gpu, Memory(2**40, found.device // 2), ())
    with pytest.raises(BadInput, match=r"x: needs about .* GB of memory on the GPU, and .*; or add --device cpu|add"):
        guard.require("x", Image(np.ones((1, *SHAPE), np.float32), AFFINE))


def test_a_whole_case_needs_its_padded_size_at_once(predictor):
    whole = predictor.configuration.model_copy(update={"whole_case": True, "patch_size": (64, 64, 64)})
    found = need([replace(predictor, configuration=whole)], 1, SHAPE, AFFINE, SHAPE)
    assert found.machine > prediction_bytes(whole.network, (64, 64, 64), 1, 1, 3)


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.1, 2.0])
def test_only_what_clearly_does_not_fit_is_refused(predictor, factor):
    image = Image(np.ones((1, *SHAPE), np.float32), AFFINE)
    most = need([predictor], 1, SHAPE, AFFINE, SHAPE).machine
    guard = MemoryGuard(predictor, Memory(round(most / CLEARLY * factor), 0), ("3d_lowres",))
    if factor > 1:
        guard.require("sub-01", image)
        return
    with pytest.raises(BadInput) as caught:
        guard.require("sub-01", image)
    assert str(caught.value) == (
        f"sub-01: needs about {most / 1e9:.1f} GB of memory, and {guard.left.machine / 1e9:.1f} GB are left; "
        "choose 3d_lowres with --configuration, free memory, or use a machine with more."
    )


def test_a_large_image_that_is_mostly_zero_is_not_refused(predictor):
    """Its crop to nonzero voxels fits; from the header alone nobody knows."""
    voxels = np.zeros((1, 120, 120, 120), np.float32)
    voxels[:, 50:70, 50:74, 50:66] = 1
    image = Image(voxels, AFFINE)
    most = need([predictor], 1, image.shape, AFFINE, image.shape).machine
    guard = MemoryGuard(predictor, Memory(most // 2, 0), ())
    guard.require("x", image)
    voxels[...] = 1
    with pytest.raises(BadInput, match="needs about"):
        guard.require("x", image)


def test_the_header_is_enough_where_nothing_can_be_cropped_away(predictor, tiny_bids):
    path = next(tiny_bids.rglob("*_T1w.nii.gz"))
    case = CaseFiles("sub-00", (path,), None, "", "")
    uncropped = predictor.configuration.model_copy(update={"crop": "none"})
    guard = MemoryGuard(replace(predictor, configuration=uncropped), Memory(10_000, 0), ())
    with pytest.raises(BadInput, match="sub-00: needs about"):
        guard.require_by_header(case)
    MemoryGuard(predictor, Memory(2**34, 0), ()).require_by_header(case)


def test_smaller_configurations_are_named_and_larger_ones_are_not(predictor):
    assert memory_guard(predictor, ("2d", "3d_lowres", "full_volume")).instead == ("3d_lowres",)
    whole = predictor.configuration.model_copy(update={"whole_case": True})
    guard = memory_guard(replace(predictor, configuration=whole), ("2d", "3d_fullres", "full_volume"))
    assert guard.instead == ("2d", "3d_fullres")
    assert guard.left.machine > 0


def test_a_training_is_refused_with_what_would_fit(tiny_pair_plan, monkeypatch):
    plan, large = tiny_pair_plan, tiny_pair_plan.configurations["3d_fullres"]
    large = large.model_copy(update={"patch_size": (512, 512, 512)})
    large = large.model_copy(update={"training": large.training.model_copy(update={"precision": "fp32"})})
    needed = training_need(plan, large, "cpu")
    assert needed == training_bytes(large.network, (512, 512, 512), 2, 1, 3)
    monkeypatch.setattr(memory_checks, "left_bytes", lambda _: round(needed / 1.3))
    with pytest.raises(MemoryError) as caught:
        require_memory_to_train(plan, large, "cpu")
    left_gb = round(needed / 1.3) / 1e9
    assert str(caught.value) == (
        f"Tiny 3d_fullres: a training step needs about {needed / 1e9:.1f} GB of memory and {left_gb:.1f} GB are left; "
        f"train 2d, plan for less (`autoseg plan Tiny --memory {int(left_gb)}GB`), or use a machine with more."
    )
    assert fits(plan, large, "cpu", round(needed / 1.1))
    half = large.model_copy(update={"training": large.training.model_copy(update={"precision": "amp_bf16"})})
    assert training_need(plan, half, "cpu") == round(0.6 * needed)


def test_memory_that_runs_out_in_a_training_names_what_is_kept(tiny_plan, tmp_path):
    configuration, state = tiny_plan.configurations["3d_fullres"], tmp_path / "state.safetensors"
    for kept in ("", "what is trained so far is kept (add --resume to continue); "):
        with (
            pytest.raises(MemoryError) as caught,
            telling_shortage(tiny_plan, configuration, "cpu", state),
        ):
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nOf which ...")
        begin = (
            "Tiny 3d_fullres: the memory did not suffice for a training step (CUDA out of memory. Tried to allocate "
        )
        assert str(caught.value).startswith(f"{begin}2.00 GiB); {kept}")
        assert str(caught.value).endswith("or use a machine with more.")
        state.touch()
    with pytest.raises(RuntimeError, match="shapes"), telling_shortage(tiny_plan, configuration, "cpu", state):
        raise RuntimeError("shapes cannot be multiplied")
