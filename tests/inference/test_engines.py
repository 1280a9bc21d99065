"""Which engine runs, and that all give the same logits."""

import importlib.util
import sys

import pytest
import torch
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.core.network_spec import NetworkSpec, PublishedNetwork
from autoseg.inference.engines import (
    OPENVINO_PAYS_FROM_VOXELS,
    choose_engine,
    in_smaller_batches,
    openvino_engine,
    torch_engine,
)
from autoseg.networks import build_planned
from autoseg.runtime.devices import Execution, core_pool

CPU = Execution("cpu", "fp32", channels_last=False)
needs_openvino = pytest.mark.skipif(importlib.util.find_spec("openvino") is None, reason="openvino is not installed")
MUCH = 10 * OPENVINO_PAYS_FROM_VOXELS


@pytest.fixture
def installed(monkeypatch):
    """Sets whether openvino can be found."""

    def pretend(there):
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: object() if there and name == "openvino" else None
        )

    return pretend


def random_network(dimensions):
    spec = NetworkSpec(
        name="plain_unet",
        dimensions=dimensions,
        features_per_stage=(8, 16, 32),
        kernel_sizes=((3,) * dimensions,) * 3,
        strides=((1,) * dimensions, (2,) * dimensions, (2,) * dimensions),
        blocks_per_stage=(2, 2, 2),
        blocks_per_decoder_stage=(2, 2),
    )
    torch.manual_seed(0)
    network = build_planned(spec, 2, 3).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.1 * torch.randn_like(parameter)  # norms that scale and shift
    return network, spec


def traced(spec):
    return (1, 2, *(2 * size for size in spec.size_multiple))


PUBLISHED = [("paugam_small_unet", (16, 16)), ("full_volume_unet", (32, 32, 32))]


class TwoOutputs(nn.Module):
    """As Double U-Net with both: that of the whole network first."""

    def forward(self, x):
        return [2 * x, x]


def test_of_several_outputs_the_first_counts():
    batch = torch.randn(1, 2, 4, 4)
    assert torch.equal(torch_engine(TwoOutputs().eval(), CPU)(batch), 2 * batch)


@pytest.mark.parametrize(("name", "size"), PUBLISHED)
@pytest.mark.parametrize("engine", ["torch", pytest.param("openvino", marks=needs_openvino)])
def test_published_networks_run_with_their_running_statistics(name, size, engine):
    """At another size than the one that OpenVINO is shown, too."""
    spec = PublishedNetwork(name=name, dimensions=len(size), size_multiple=(8,) * len(size))
    torch.manual_seed(0)
    network = build_planned(spec, 2, 3)
    with torch.no_grad():
        for module in network.modules():
            if hasattr(module, "momentum"):
                module.momentum = 1.0
        network(torch.randn(2, 2, *size))
    network.eval()
    run = torch_engine(network, CPU) if engine == "torch" else openvino_engine(network, CPU, (1, 2, *size))
    for shape in (size, (40, *size[1:])):
        batch = torch.randn(2, 2, *shape)
        with torch.no_grad():
            expected = network(batch)
        torch.testing.assert_close(run(batch), expected, atol=2e-3 * float(expected.abs().max()), rtol=0)


def test_openvino_is_taken_on_a_cpu_where_it_is_installed_and_there_is_enough_to_do(installed):
    installed(True)
    assert choose_engine(None, "cpu", MUCH) == "openvino"
    assert choose_engine(None, "cpu", 1000) == "torch"
    assert choose_engine(None, "cuda", MUCH) == "torch"
    assert choose_engine("torch", "cpu", MUCH) == "torch"
    assert choose_engine("openvino", "cpu", 1000) == "openvino"


def test_without_openvino_torch_is_taken_and_asking_for_it_names_the_remedy(installed):
    installed(False)
    assert choose_engine(None, "cpu", MUCH) == "torch"
    with pytest.raises(BadInput, match=r"not installed; run `pip install autoseg\[openvino\]`"):
        choose_engine("openvino", "cpu", MUCH)


def test_what_cannot_be_is_said(installed):
    installed(True)
    with pytest.raises(BadInput, match="CPU only, not on cuda:1"):
        choose_engine("openvino", "cuda:1", MUCH)
    with pytest.raises(BadInput, match="--engine tensorrt: unknown engine; use torch or openvino"):
        choose_engine("tensorrt", "cpu", MUCH)


@needs_openvino
@pytest.mark.parametrize(("dimensions", "size"), [(3, (16, 24, 8)), (2, (24, 40))])
def test_openvino_gives_the_logits_of_torch(dimensions, size):
    network, spec = random_network(dimensions)
    engine = openvino_engine(network, CPU, traced(spec))
    batch = torch.randn(5, 2, *size)
    expected = torch_engine(network, CPU)(batch)
    for part in (slice(0, 4), slice(4, 5), slice(0, 5)):  # a size, a smaller one (filled up) and a larger one
        logits = engine(batch[part])
        assert logits.shape == expected[part].shape
        torch.testing.assert_close(logits, expected[part], atol=1e-3, rtol=0)
        assert (logits.argmax(1) == expected[part].argmax(1)).float().mean() > 0.999


@needs_openvino
def test_openvino_calls_from_several_threads_do_not_mix():
    network, spec = random_network(2)
    engine = openvino_engine(network, CPU, traced(spec))
    batches = [torch.randn(1, 2, 16, 16) for _ in range(12)]
    together = list(core_pool(2).map(engine, batches))
    for batch, logits in zip(batches, together, strict=True):
        torch.testing.assert_close(logits, network(batch).detach(), atol=1e-3, rtol=0)


@needs_openvino
def test_the_conversion_leaves_the_network_as_it_was():
    network, spec = random_network(3)
    before = {name: type(module) for name, module in network.named_modules()}
    openvino_engine(network, CPU, traced(spec))
    assert {name: type(module) for name, module in network.named_modules()} == before


@needs_openvino
def test_openvino_does_not_report_its_use():
    network, spec = random_network(2)
    openvino_engine(network, CPU, traced(spec))
    assert sys.modules["openvino_telemetry"] is None
    assert not hasattr(sys.modules["openvino.tools.ovc"].telemetry, "consent")


@needs_openvino
def test_openvino_computes_in_the_number_format_of_the_execution(monkeypatch):
    network, spec = random_network(2)
    openvino_engine(network, CPU, traced(spec))  # imports it without its telemetry
    import openvino

    hints = []
    compile_model = openvino.Core.compile_model

    def recorded(core, model, device, options):
        hints.append((options["INFERENCE_PRECISION_HINT"], options["NUM_STREAMS"]))
        return compile_model(core, model, device, options)

    monkeypatch.setattr(openvino.Core, "compile_model", recorded)
    monkeypatch.setattr("autoseg.inference.engines.num_cores", lambda: 2)
    for precision in ("fp32", "bf16"):
        engine = openvino_engine(network, Execution("cpu", precision, False), traced(spec))
        core_pool(1).submit(engine, torch.zeros(1, 2, 16, 16)).result()
    assert hints == [("f32", 2), ("bf16", 2)]


def test_torch_computes_in_the_layout_and_number_format_of_the_execution():
    network, _ = random_network(3)
    batch = torch.randn(1, 2, 8, 8, 8)
    execution = Execution("cpu", "bf16", channels_last=True)
    logits = torch_engine(execution.place_network(network, 3), execution)(batch)
    assert logits.dtype == torch.float32
    assert not logits.requires_grad
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(logits, network(batch).detach().float(), atol=0.05, rtol=0.05)


class SmallGpu:
    """An engine that has the memory for so many tiles, or that fails a few times whatever it is given."""

    def __init__(self, largest, failures=0):
        self.largest, self.failures, self.sizes = largest, failures, []

    def __call__(self, batch):
        self.sizes.append(len(batch))
        if len(batch) > self.largest or self.failures > 0:
            self.failures -= 1
            raise torch.OutOfMemoryError("CUDA out of memory")
        return 3 * batch + batch.mean(dim=(1, 2), keepdim=True)


@pytest.mark.parametrize(("largest", "failures"), [(8, 0), (4, 0), (3, 0), (1, 0), (8, 1), (8, 2), (5, 3)])
def test_a_batch_that_does_not_fit_goes_in_parts_with_the_same_result(largest, failures):
    batch = torch.rand(8, 2, 5, generator=torch.Generator().manual_seed(0))
    small = SmallGpu(largest, failures)
    result = in_smaller_batches(small)(batch)
    assert torch.equal(result, SmallGpu(8)(batch))


def test_what_was_too_large_is_not_tried_again():
    small = SmallGpu(3)
    engine = in_smaller_batches(small)
    for size in (8, 8, 3, 5):
        engine(torch.zeros(size, 1, 1))
    assert small.sizes == [8, 4, 2, 2, 2, 2, *(2, 2, 2, 2), *(2, 1), *(2, 2, 1)]


def test_a_tile_that_does_not_fit_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        in_smaller_batches(SmallGpu(0))(torch.zeros(4, 1, 1))


def test_other_errors_of_a_network_come_through():
    def broken(batch):
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="shapes"):
        in_smaller_batches(broken)(torch.zeros(4, 1, 1))
