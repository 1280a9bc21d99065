"""Blocks against torch's own layers."""

import pytest
import torch
from torch import nn

from autoseg.networks.blocks import (
    ConvStack,
    convolution,
    forget_running_statistics,
    instance_norm,
    transposed_convolution,
)


@pytest.mark.parametrize("shape", [(2, 5, 6, 7), (2, 5, 4, 6, 7)])
def test_instance_norm_equals_torch(shape):
    torch.manual_seed(0)
    x = torch.randn(shape) * 3 + 1
    ours = instance_norm(5)
    theirs = (nn.InstanceNorm2d if len(shape) == 4 else nn.InstanceNorm3d)(5, affine=True)
    with torch.no_grad():
        for parameter, other in zip(ours.parameters(), theirs.parameters(), strict=True):
            other.copy_(parameter.normal_())
    torch.testing.assert_close(ours(x), theirs(x), atol=1e-5, rtol=1e-5)


def test_only_the_first_convolution_of_a_stack_strides():
    stack = ConvStack(3, 2, 4, (3, 3, 3), num_convs=3, stride=(1, 2, 2))
    assert stack(torch.zeros(1, 2, 5, 6, 8)).shape == (1, 4, 5, 3, 4)
    assert [unit.conv.in_channels for unit in stack.convs] == [2, 4, 4]


def test_transposed_convolution_undoes_the_size_of_a_strided_one():
    x = torch.zeros(1, 2, 4, 6, 8)
    small = convolution(3, 2, 3, (1, 3, 3), (1, 2, 2))(x)
    assert transposed_convolution(3, 3, 2, (1, 2, 2))(small).shape == x.shape


def test_batch_norms_may_use_the_batch_at_hand_in_evaluation_too():
    network = nn.Sequential(nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2))
    forget_running_statistics(network)
    x = torch.randn(3, 1, 5, 5) * 4 + 2
    torch.testing.assert_close(network.eval()(x), network.train()(x))
    assert sorted(network.state_dict()) == ["0.bias", "0.weight", "1.bias", "1.weight"]
