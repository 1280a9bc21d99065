"""The voxel classifiers: the PReLU per element, sizes of maps, and where dropout stands."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from autoseg.networks import build
from autoseg.networks.voxel_classifiers import ElementwisePReLU


def test_every_element_has_a_slope_of_its_own():
    torch.manual_seed(0)
    layer = ElementwisePReLU((2, 3, 1, 2))
    assert not layer.weight.any()
    nn.init.normal_(layer.weight)
    x = torch.randn(4, 2, 3, 1, 2, requires_grad=True)
    y = layer(x)
    for sample in range(4):
        for place in torch.cartesian_prod(*map(torch.arange, (2, 3, 1, 2))).tolist():
            value, slope = x[(sample, *place)], layer.weight[tuple(place)]
            assert y[(sample, *place)] == (value if value > 0 else slope * value)
    y.sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.detach().clamp(max=0).sum(dim=0))


def test_with_one_slope_it_is_torchs():
    layer, theirs = ElementwisePReLU((3, 4, 4)), nn.PReLU(1, init=0.3)
    nn.init.constant_(layer.weight, 0.3)
    x = torch.randn(2, 3, 4, 4)
    torch.testing.assert_close(layer(x), theirs(x))


def test_valverde2017_is_its_layers():
    torch.manual_seed(0)
    network = build("valverde2017", in_channels=3, out_channels=2, dimensions=3).eval()
    weights = network.state_dict()
    x = torch.randn(2, 3, 11, 11, 11)
    y = x
    for conv, norm in (("0", "1"), ("4", "5")):
        y = functional.conv3d(y, weights[f"convolutional.{conv}.weight"], padding=1) / (1 + 1e-4) ** 0.5
        assert weights[f"convolutional.{norm}.running_var"].eq(1).all()
        y = functional.max_pool3d(functional.relu(y), 2)
    y = functional.relu(functional.linear(y.flatten(1), weights["dense.1.weight"], weights["dense.1.bias"]))
    y = functional.linear(y, weights["dense.3.weight"], weights["dense.3.bias"])
    with torch.no_grad():
        torch.testing.assert_close(network(x), y[:, :, None, None, None], atol=1e-5, rtol=1e-4)


def test_nicmslesions_drops_before_every_hidden_dense_layer():
    network = build("nicmslesions", in_channels=2, out_channels=2, dimensions=3, dropout=0.25)
    kinds = [type(layer) for layer in network.dense]
    assert kinds == [nn.Dropout, nn.Linear, ElementwisePReLU] * 3 + [nn.Linear]
    assert {layer.p for layer in network.dense if isinstance(layer, nn.Dropout)} == {0.25}
    slopes = [tuple(m.weight.shape) for m in network.modules() if isinstance(m, ElementwisePReLU)]
    assert slopes == [(32, 11, 11, 11)] * 2 + [(64, 5, 5, 5)] * 2 + [(256,), (128,), (64,)]


@pytest.mark.parametrize("name", ["valverde2017", "nicmslesions"])
def test_another_size_is_an_error(name):
    network = build(name, in_channels=1, out_channels=2, dimensions=3).eval()
    with pytest.raises(RuntimeError):
        network(torch.zeros(1, 1, 13, 13, 13))
