"""SegNet's unpooling against torch's, and the order of its units."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from autoseg.networks import build
from autoseg.networks.blocks import max_pool
from autoseg.networks.segnet import unpooled


@pytest.mark.parametrize("size", [(6, 8), (7, 9), (4, 6, 8), (5, 7, 9)])
def test_unpooling_equals_torch_and_undoes_the_pool(size):
    torch.manual_seed(0)
    x = torch.rand(2, 3, *size) + 1
    maxima, indices = max_pool(len(size), indices=True)(x)
    unpool = functional.max_unpool2d if len(size) == 2 else functional.max_unpool3d
    ours = unpooled(maxima, indices, size)
    assert torch.equal(ours, unpool(maxima, indices, kernel_size=2, output_size=size))
    assert torch.equal(ours[ours > 0], x[ours > 0])
    assert (ours > 0).sum() == maxima.numel()


def test_gradients_of_unpooling_go_where_the_values_came_from():
    x = torch.tensor([[[[1.0, 3.0], [2.0, 0.0]]]], requires_grad=True)
    maxima, indices = functional.max_pool2d(x, 2, return_indices=True)
    (unpooled(maxima, indices, (2, 2)) * torch.tensor([[10.0, 20.0], [30.0, 40.0]])).sum().backward()
    assert x.grad.tolist() == [[[[0.0, 20.0], [0.0, 0.0]]]]


def test_units_are_convolution_norm_dropout_relu_and_the_head_a_convolution():
    network = build("segnet", in_channels=1, out_channels=2, dimensions=2)
    kinds = [nn.Conv2d, nn.BatchNorm2d, nn.Dropout2d, nn.ReLU]
    assert [len(stage) // 4 for stage in network.encoder] == [2, 2, 3, 3, 3]
    assert [len(stage) // 4 for stage in network.decoder] == [3, 3, 3, 2, 1]
    for stage in (*network.encoder, *network.decoder):
        assert [type(layer) for layer in stage] == kinds * (len(stage) // 4)
    assert type(network.head) is nn.Conv2d
