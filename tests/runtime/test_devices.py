"""Devices, number formats and layouts."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from autoseg.core.errors import BadInput
from autoseg.runtime import devices
from autoseg.runtime.devices import Execution, choose_device, core_pool, native_precisions, usual_execution


def test_an_unknown_device_is_refused_with_what_there_is():
    with pytest.raises(BadInput, match="use cpu, cuda"):
        choose_device("gpu")


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")
def test_a_missing_gpu_is_refused_with_the_remedy():
    with pytest.raises(BadInput, match="--device cpu"):
        choose_device("cuda:0")
    assert choose_device(None) in ("cpu", "mps")


def test_the_usual_way_is_the_best_native_format_channels_last(monkeypatch):
    assert native_precisions("cpu")[-1] == "fp32"
    assert usual_execution("cpu") == Execution("cpu", native_precisions("cpu")[0], channels_last=True)
    monkeypatch.setattr(devices, "_cpu_has_bf16", lambda: True)
    assert usual_execution("cpu") == Execution("cpu", "bf16", channels_last=True)
    assert usual_execution("cpu", "fp32") == Execution("cpu", "fp32", channels_last=True)
    assert usual_execution("mps") == Execution("mps", "fp32", channels_last=False)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_channels_last_places_tensors_and_weights(dimensions):
    way = Execution("cpu", "fp32", channels_last=True)
    layout = {2: torch.channels_last, 3: torch.channels_last_3d}[dimensions]
    tensor = way.place(torch.randn(2, 3, *(4,) * dimensions))
    assert tensor.is_contiguous(memory_format=layout)
    convolution = {2: torch.nn.Conv2d, 3: torch.nn.Conv3d}[dimensions](3, 5, 3)
    assert way.place_network(convolution, dimensions).weight.is_contiguous(memory_format=layout)


def test_autocast_computes_in_the_format():
    x = torch.randn(4, 4)
    with Execution("cpu", "bf16", False).autocast():
        assert (x @ x).dtype == torch.bfloat16
    with Execution("cpu", "fp32", False).autocast():
        assert (x @ x).dtype == torch.float32


def test_a_pool_computes_on_its_own_cores_and_leaves_the_others_as_they_were():
    before = torch.get_num_threads()
    pool = core_pool(3, 1)
    meeting = threading.Barrier(3)

    def cores(_):
        meeting.wait(10)  # nobody gets past it unless three threads run at once
        torch.ones(2**16).exp()
        return torch.get_num_threads()

    assert list(pool.map(cores, range(3))) == [1, 1, 1]
    assert torch.get_num_threads() == before
    with ThreadPoolExecutor(1) as elsewhere:
        assert elsewhere.submit(torch.get_num_threads).result() == before
    assert core_pool(3, 1) is pool


@pytest.mark.parametrize(
    ("asked", "precision"), [("fp32", "fp32"), ("amp_fp16", "fp16"), ("amp_bf16", "bf16"), ("fp16", "half")]
)
def test_a_precision_that_is_asked_for_is_taken_or_refused(asked, precision):
    assert usual_execution("cpu", asked) == Execution("cpu", precision, channels_last=True)
    if precision != "fp32":
        with pytest.raises(BadInput, match=f"precision {precision}: mps does not compute in it; use auto or fp32"):
            usual_execution("mps", asked)


def test_in_half_precision_weights_and_inputs_are_float16():
    way = Execution("cpu", "half", channels_last=True)
    network = way.place_network(torch.nn.Conv2d(2, 3, 1), 2)
    assert network.weight.dtype == torch.float16
    with way.autocast():
        assert network(way.place(torch.zeros(1, 2, 4, 4))).dtype == torch.float16
