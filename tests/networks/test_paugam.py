"""Paugam's U-Nets against their layers, one after the other."""

import torch
from torch.nn import functional

from autoseg.networks import build
from autoseg.networks.paugam import PaugamUNet, unit


def randomised(network):
    """Normalisations that do something, so that their place counts."""
    torch.manual_seed(0)
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_mean", "bias")):
            tensor.normal_()
        elif name.endswith("running_var"):
            tensor.uniform_(0.5, 2)
    return network.eval()


def test_the_norm_comes_behind_the_relu():
    layers = randomised(unit(2, 1, 3, dropout=0.3, norm_momentum=0.1))
    conv, _, norm, _ = layers
    x = torch.randn(1, 1, 6, 5)
    positive = functional.conv2d(x, conv.weight, conv.bias, padding=1).clamp(min=0)
    scale = norm.weight / (norm.running_var + 1e-5).sqrt()
    expected = (positive - norm.running_mean[:, None, None]) * scale[:, None, None] + norm.bias[:, None, None]
    torch.testing.assert_close(layers(x), expected)
    assert (expected < 0).any()


def test_a_network_is_its_layers_with_the_upsampled_map_before_the_skip():
    network = randomised(PaugamUNet(1, 2, 2, (4, 6), dropout=0.3, norm_momentum=0.1))
    x = torch.randn(1, 1, 8, 12)
    with torch.no_grad():
        fine = network.encoder[0](x)
        middle = network.encoder[1](functional.max_pool2d(fine, 2))
        deep = network.bottom(functional.max_pool2d(middle, 2))
        for skip, level in zip((middle, fine), network.decoder, strict=True):
            twice = functional.interpolate(deep, scale_factor=2, mode="bilinear", align_corners=False)
            deep = level(torch.cat([twice, skip], dim=1))
        torch.testing.assert_close(network(x), network.head(deep), atol=1e-6, rtol=1e-5)


def test_dropout_and_momentum_reach_every_unit():
    network = build("paugam_small_unet", in_channels=1, out_channels=1, dimensions=2, dropout=0.25, norm_momentum=0.05)
    dropouts = [module.p for module in network.modules() if isinstance(module, torch.nn.Dropout2d)]
    momenta = [module.momentum for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    assert dropouts == [0.25] * 14
    assert momenta == [0.05] * 14
