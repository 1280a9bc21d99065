"""Double U-Net: squeeze and excitation, the pyramid, and what the second network sees."""

import pytest
import torch
from torch.nn import functional

from autoseg.networks import build
from autoseg.networks.double_unet import _VARIANTS, Pyramid, SqueezeExcite


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return build("double_unet", in_channels=2, out_channels=3, dimensions=2, both_outputs=True).eval()


@pytest.mark.parametrize("bias", [True, False])
def test_squeeze_and_excitation_is_two_dense_layers_on_the_means(bias):
    torch.manual_seed(0)
    layer = SqueezeExcite(16, bias).requires_grad_(False)
    assert (layer.squeeze.bias is not None) == bias
    x = torch.randn(2, 16, 3, 5)
    y = layer(x)
    for sample in range(2):
        means = [float(x[sample, channel].mean()) for channel in range(16)]
        hidden = []
        for unit in range(2):
            offset = float(layer.squeeze.bias[unit]) if bias else 0
            hidden.append(
                max(0, offset + sum(float(w) * m for w, m in zip(layer.squeeze.weight[unit], means, strict=True)))
            )
        for channel in range(16):
            total = float(layer.excite.bias[channel]) if bias else 0
            total += sum(float(w) * h for w, h in zip(layer.excite.weight[channel], hidden, strict=True))
            share = 1 / (1 + torch.exp(-torch.tensor(total)))
            torch.testing.assert_close(y[sample, channel], x[sample, channel] * share)


def test_the_pyramid_is_dilated_by_6_12_and_18():
    branches = Pyramid(2, _VARIANTS["tensorflow"]).eval().branches
    point = torch.zeros(1, 2, 41, 41)
    point[..., 20, 20] = 1
    reaches = []
    for branch in branches:
        torch.nn.init.ones_(branch[0].weight)
        places = branch(point)[0, 0].nonzero() - 20
        reaches.append((sorted({abs(int(step)) for step in places.flatten()}), len(places)))
    assert reaches == [([0], 1), ([0, 6], 9), ([0, 12], 9), ([0, 18], 9)]


@pytest.mark.parametrize(("variant", "grid"), [("tensorflow", 1), ("pytorch", 2)])
def test_means_of_the_image_are_taken_over_a_grid(variant, grid):
    pyramid, seen = Pyramid(3, _VARIANTS[variant]).eval(), []
    pyramid.pooled.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    x = torch.randn(1, 3, 6, 8)
    pyramid(x)
    torch.testing.assert_close(seen[0], functional.avg_pool2d(x, (6 // grid, 8 // grid)))


def test_the_second_network_sees_the_image_times_each_output_of_the_first(network):
    seen = []
    handle = network.second.stages[0].register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    image = torch.randn(2, 2, 32, 48)
    with torch.no_grad():
        second, first = network(image)
    handle.remove()
    assert second.shape == first.shape == (2, 3, 32, 48)
    assert not torch.equal(second, first)
    for channel in range(2):
        for output in range(3):
            gate = torch.sigmoid(first[:, output])
            torch.testing.assert_close(seen[0][:, 3 * channel + output], image[:, channel] * gate)


def test_one_output_is_that_of_the_second_network(network):
    image = torch.randn(1, 2, 16, 32)
    one = build("double_unet", in_channels=2, out_channels=3, dimensions=2).eval()
    one.load_state_dict(network.state_dict())
    with torch.no_grad():
        assert torch.equal(one(image), network(image)[0])


def test_the_trunk_is_that_of_vgg_19(network):
    widths = [
        [layer.out_channels for layer in stage if hasattr(layer, "out_channels")] for stage in network.first.stages
    ]
    assert widths == [[64] * 2, [128] * 2, [256] * 4, [512] * 4, [512] * 4]
    assert sum(isinstance(layer, torch.nn.BatchNorm2d) for stage in network.first.stages for layer in stage) == 0
