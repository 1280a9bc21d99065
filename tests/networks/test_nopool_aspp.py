"""The dilations of NoPoolASPP's branches, and its branch of means."""

import pytest
import torch

from autoseg.networks import build


@pytest.mark.parametrize(("branch", "reach"), [(0, {0, 1}), (1, {0, 6, 12}), (2, {0, 12, 24}), (4, {0, 24, 48})])
def test_a_branch_sees_voxels_as_far_apart_as_its_dilation(branch, reach):
    network = build("nopool_aspp", in_channels=1, out_channels=1, dimensions=2, features=2).eval()
    layers = network.branches[branch]
    for unit in layers:
        torch.nn.init.ones_(unit[0].weight)
        torch.nn.init.zeros_(unit[0].bias)
    point = torch.zeros(1, 2, 101, 101)
    point[..., 50, 50] = 1
    with torch.no_grad():
        places = layers(point)[0, 0].nonzero() - 50
    assert {abs(int(step)) for step in places.flatten()} == reach
    assert len(places) == (2 * len(reach) - 1) ** 2


def test_the_last_branch_is_the_mean_of_each_map():
    network = build("nopool_aspp", in_channels=1, out_channels=1, dimensions=3, features=2).eval()
    seen = {}
    network.stem.register_forward_hook(lambda *given: seen.update(stem=given[2]))
    network.norm.register_forward_pre_hook(lambda _, given: seen.update(joined=given[0]))
    with torch.no_grad():
        network(torch.randn(2, 1, 5, 6, 7))
    assert seen["joined"].shape == (2, 12, 5, 6, 7)
    means = seen["stem"].flatten(2).mean(dim=2)[:, :, None, None, None]
    torch.testing.assert_close(seen["joined"][:, 10:], means.expand(2, 2, 5, 6, 7))
