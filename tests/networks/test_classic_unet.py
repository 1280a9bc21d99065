"""The classic U-Net: TensorFlow's padding of a kernel of 2, the doubling of maps, norms and dropout."""

import pytest
import torch
from torch import nn

from autoseg.networks import build
from autoseg.networks.classic_unet import _Unit


def test_a_kernel_of_two_sees_itself_and_what_lies_behind():
    torch.manual_seed(0)
    unit = _Unit(2, 1, 1, 2, "none")
    x = torch.randn(1, 1, 4, 5)
    around = torch.zeros(5, 6)
    around[:4, :5] = x[0, 0]
    weight = unit.conv.weight[0, 0]
    expected = [
        [(around[i : i + 2, j : j + 2] * weight).sum().item() + unit.conv.bias.item() for j in range(5)]
        for i in range(4)
    ]
    torch.testing.assert_close(unit(x)[0, 0], torch.tensor(expected).clamp(min=0))


def test_maps_are_doubled_by_repeating_voxels_and_come_behind_the_skip():
    network = build("classic_unet", in_channels=1, out_channels=1, dimensions=2).eval()
    seen = {}
    network.encoder[4].register_forward_hook(lambda *given: seen.update(bottom=given[2]))
    network.encoder[3].register_forward_hook(lambda *given: seen.update(skip=given[2]))
    network.upsamplers[0].register_forward_hook(lambda *given: seen.update(doubled=given[1][0], up=given[2]))
    network.decoder[0].register_forward_pre_hook(lambda _, given: seen.update(joined=given[0]))
    with torch.no_grad():
        network(torch.randn(1, 1, 32, 48))
    assert torch.equal(seen["doubled"], seen["bottom"].repeat_interleave(2, dim=2).repeat_interleave(2, dim=3))
    assert torch.equal(seen["joined"], torch.cat([seen["skip"], seen["up"]], dim=1))


@pytest.mark.parametrize(("norm", "norms"), [("none", 0), ("batch", 24)])
def test_norms_and_dropout_are_where_the_source_has_them(norm, norms):
    network = build("classic_unet", in_channels=1, out_channels=1, dimensions=2, norm=norm)
    assert sum(isinstance(module, nn.BatchNorm2d) for module in network.modules()) == norms
    assert sum(isinstance(module, nn.Conv2d) for module in network.modules()) == 24
    assert [isinstance(level[-1], nn.Dropout) for level in network.encoder] == [False, False, False, True, True]


def test_no_class_shares_its_map_before_the_head():
    assert build("classic_unet", in_channels=1, out_channels=1, dimensions=2).head[0].in_channels == 2
    assert build("classic_unet", in_channels=1, out_channels=5, dimensions=2).head[0].in_channels == 5


def test_weights_begin_he_normal():
    torch.manual_seed(0)
    weight = build("classic_unet", in_channels=1, out_channels=1, dimensions=2).encoder[1][1].conv.weight.detach()
    assert float(weight.std()) == pytest.approx((2 / (128 * 9)) ** 0.5, rel=0.02)
