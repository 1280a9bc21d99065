"""The U-Net: sizes, gradients, heads, and the parameter count of the planner's closed form."""

import pytest
import torch
from torch import nn

from autoseg.core.plan import NetworkSpec
from autoseg.networks import build
from autoseg.planning.memory import count_parameters


def spec(dimensions: int) -> NetworkSpec:
    return NetworkSpec(
        name="plain_unet",
        dimensions=dimensions,
        features_per_stage=(4, 8, 16),
        kernel_sizes=((1, 3, 3)[-dimensions:], (3,) * dimensions, (3,) * dimensions),
        strides=((1,) * dimensions, (1, 2, 2)[-dimensions:], (2,) * dimensions),
        blocks_per_stage=(2, 2, 2),
        blocks_per_decoder_stage=(2, 2),
    )


@pytest.mark.parametrize("dimensions", [2, 3])
def test_logits_have_the_size_of_the_input_and_gradients_reach_every_weight(dimensions):
    network = build(spec(dimensions), in_channels=2, out_channels=3)
    network.deep_supervision = True
    size = (6, 8, 12)[-dimensions:]
    outputs = network(torch.randn(2, 2, *size))
    assert [tuple(o.shape) for o in outputs] == [(2, 3, *size), (2, 3, *(6, 4, 6)[-dimensions:])]
    sum(output.square().mean() for output in outputs).backward()
    weights = [parameter for name, parameter in network.named_parameters() if name.endswith("weight")]
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_parameter_count_is_the_closed_form(dimensions):
    network = build(spec(dimensions), in_channels=2, out_channels=3)
    assert sum(p.numel() for p in network.parameters()) == count_parameters(spec(dimensions), 2, 3)


def test_without_deep_supervision_only_the_finest_head_is_evaluated():
    network = build(spec(3), in_channels=1, out_channels=2).eval()
    calls = []
    for head in network.decoder.heads:
        head.register_forward_hook(lambda *_: calls.append(1))
    single = network(torch.zeros(1, 1, 4, 8, 8))
    assert single.shape == (1, 2, 4, 8, 8)
    assert len(calls) == 1


def test_weights_have_one_name_each():
    network = build(spec(3), in_channels=1, out_channels=2)
    storages = [tensor.data_ptr() for tensor in network.state_dict().values()]
    assert len(set(storages)) == len(storages)


def test_every_weight_counts_the_slope_in_its_initial_spread():
    torch.manual_seed(0)
    weight = nn.Conv3d(64, 64, 3).weight
    network = build(spec(3).model_copy(update={"features_per_stage": (64, 64, 64)}), 64, 2)
    drawn = network.encoder[1].convs[1].conv.weight
    assert drawn.shape == weight.shape
    assert float(drawn.std()) == pytest.approx((2 / (1 + 0.01**2) / (64 * 27)) ** 0.5, rel=0.02)
