"""Small 3D convolutions of one sample are the same, taken another way."""

import pytest
import torch
from torch import nn
from torch.profiler import profile

from autoseg.runtime.convolutions import avoid_unfolding
from autoseg.runtime.devices import Execution

UNFOLDED = "aten::slow_conv3d"


def small(**changes):
    torch.manual_seed(3)
    return nn.Conv3d(**({"in_channels": 4, "out_channels": 6, "kernel_size": 3, "padding": 1} | changes))


def results(layer, image):
    """The output and every gradient."""
    image = image.clone().requires_grad_()
    output = layer(image)
    (output**2).sum().backward()
    return output, image.grad, *(weight.grad for weight in layer.parameters())


def operations(layer, image):
    with profile() as record, torch.no_grad():
        layer(image)
    return {event.key for event in record.key_averages()}


@pytest.mark.parametrize("changes", [{}, {"stride": 2}, {"dilation": 2}, {"kernel_size": 1, "bias": False}], ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last_3d])
def test_outputs_and_gradients_are_those_of_float64(changes, layout):
    image = torch.randn(1, 4, 9, 10, 7, generator=torch.Generator().manual_seed(1))
    expected = results(small(**changes).double(), image.double())
    layer = small(**changes).to(memory_format=layout)
    avoid_unfolding(layer)
    for one, oracle in zip(results(layer, image.to(memory_format=layout)), expected, strict=True):
        torch.testing.assert_close(one.double(), oracle, rtol=1e-5, atol=1e-5 * float(oracle.detach().abs().max()))


def test_no_convolution_is_unfolded_where_weights_are_float32_on_a_cpu():
    image = torch.randn(1, 4, 9, 10, 7)
    assert any(one.startswith(UNFOLDED) for one in operations(small(), image)), "torch needs this no more"
    placed = Execution("cpu", "fp32", channels_last=False).place_network(small(), 3)
    assert not any(one.startswith(UNFOLDED) for one in operations(placed, image))


def test_placed_twice_is_placed():
    execution = Execution("cpu", "fp32", channels_last=False)
    layer = execution.place_network(execution.place_network(small(), 3), 3)
    image = torch.randn(1, 4, 9, 10, 7)
    torch.testing.assert_close(layer(image), small()(image))
    assert not layer(image).is_mkldnn
