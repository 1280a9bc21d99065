"""U-Net++: the sizes of its nodes, and what each of them sees."""

import pytest
import torch

from autoseg.networks import build


@pytest.mark.parametrize(
    ("upsampled", "sizes"),
    [
        (False, [[32] * 5, [16] * 4, [8] * 3, [4] * 2, [2]]),
        (True, [[32] * 5, [16, 32, 32, 32], [16, 32, 32], [16, 32], [16]]),
    ],
)
def test_nodes_have_the_size_of_their_level_unless_they_are_upsampled(upsampled, sizes):
    network = build(
        "unet_plus_plus", in_channels=1, out_channels=2, dimensions=3, features=1, upsampled_nodes=upsampled
    )
    network.eval()
    seen = {}
    for level, nodes in enumerate(network.nodes):
        for column, node in enumerate(nodes):
            node.register_forward_hook(lambda *given, at=(level, column): seen.update({at: given[1:]}))
    with torch.no_grad():
        logits = network(torch.randn(1, 1, 64, 64, 64))
    assert logits.shape == (1, 2, 64, 64, 64)
    assert [[seen[level, column][1].shape[2] for column in range(5 - level)] for level in range(5)] == sizes
    widths = [[seen[level, column][0][0].shape[1] for column in range(5 - level)] for level in range(5)]
    assert widths == [[64, 3, 4, 5, 6], [1, 6, 8, 10], [2, 12, 16], [4, 24], [8]]


def test_a_node_sees_its_level_and_the_upsampled_one_below():
    network = build("unet_plus_plus", in_channels=1, out_channels=1, dimensions=3, features=1).eval()
    seen = {}
    for level, nodes in enumerate(network.nodes):
        for column, node in enumerate(nodes):
            node.register_forward_hook(lambda *given, at=(level, column): seen.update({at: given[1:]}))
    with torch.no_grad():
        network(torch.randn(1, 1, 34, 36, 38))
    ((joined,), _) = seen[1, 2]
    below = torch.nn.functional.interpolate(seen[2, 1][1], (8, 9, 9), mode="trilinear", align_corners=True)
    torch.testing.assert_close(joined, torch.cat([seen[1, 0][1], seen[1, 1][1], below], dim=1))
    torch.testing.assert_close(seen[1, 0][0][0], torch.nn.functional.max_pool3d(seen[0, 0][1], 2))
