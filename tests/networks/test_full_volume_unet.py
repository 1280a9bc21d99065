"""The full-volume U-Net: its levels, and what becomes of the logits."""

import torch
from torch import nn

from autoseg.networks import build


def test_levels_have_half_the_size_and_twice_the_maps():
    network, seen = build("full_volume_unet", in_channels=1, out_channels=2, dimensions=3, features=2).eval(), []
    for level in (*network.encoder, network.bridge, *network.decoder):
        level.register_forward_hook(lambda *given: seen.append(tuple(given[2].shape[1:3])))
    with torch.no_grad():
        network(torch.randn(1, 1, 35, 32, 33))
    assert seen[:6] == [(2, 35), (4, 17), (8, 8), (16, 4), (32, 2), (64, 1)]
    assert seen[6:] == [(32, 2), (16, 4), (8, 8), (4, 17), (2, 35)]


def test_blocks_end_in_a_norm():
    network = build("full_volume_unet", in_channels=1, out_channels=2, dimensions=3)
    for block in (*network.encoder, network.bridge, *network.decoder):
        assert [type(layer) for layer in block] == [nn.Conv3d, nn.BatchNorm3d, nn.LeakyReLU, nn.Conv3d, nn.BatchNorm3d]
        assert block[2].negative_slope == 0.2


def test_the_activation_of_the_logits_can_be_left_away():
    torch.manual_seed(0)
    activated = build("full_volume_unet", in_channels=1, out_channels=2, dimensions=3, features=2).eval()
    plain = build(
        "full_volume_unet", in_channels=1, out_channels=2, dimensions=3, features=2, activated_logits=False
    ).eval()
    own = {key: value for key, value in activated.state_dict().items() if not key.startswith("head")}
    plain.load_state_dict({**own, "head.weight": activated.head[0].weight, "head.bias": activated.head[0].bias})
    x = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        logits = plain(x) / (1 + 1e-5) ** 0.5
        assert (logits < 0).any()
        torch.testing.assert_close(activated(x), torch.where(logits > 0, logits, 0.2 * logits), atol=1e-6, rtol=1e-4)
