"""VoxResNet: logits are the sum of four levels."""

import torch
from torch.nn import functional

from autoseg.networks import build


def test_logits_are_the_sum_of_the_heads_of_all_levels():
    torch.manual_seed(0)
    network, levels = build("voxresnet", in_channels=1, out_channels=3, dimensions=3, channels=4).eval(), []
    for level in network.levels:
        level.register_forward_hook(lambda *given: levels.append(given[2]))
    with torch.no_grad():
        logits = network(torch.randn(1, 1, 33, 40, 31))
        assert [tuple(x.shape[1:]) for x in levels] == [(4, 17, 20, 16), (8, 9, 10, 8), (8, 5, 5, 4), (8, 3, 3, 2)]
        total = 0
        for x, head, (kernel, stride) in zip(levels, network.heads, [(3, 1), (4, 2), (6, 4), (10, 8)], strict=True):
            assert head[0].weight.shape[2:] == (kernel,) * 3
            y = functional.conv_transpose3d(x, head[0].weight, head[0].bias, stride=stride, padding=1).clamp(min=0)
            assert y.shape[2:] == tuple(stride * size for size in x.shape[2:])
            y = functional.conv3d(y, head[2].weight, head[2].bias, padding=1)
            total = total + functional.interpolate(y, (17, 20, 16), mode="trilinear", align_corners=False)
        expected = functional.interpolate(total, (33, 40, 31), mode="trilinear", align_corners=False)
    torch.testing.assert_close(logits, expected, atol=1e-5, rtol=1e-4)
