"""VoxHRNet: its fusion against a loop over all pairs of branches, its norm against torch's, and its sizes."""

import torch
from torch import nn
from torch.nn import functional

from autoseg.networks import build
from autoseg.networks.voxhrnet import Fusion, _norm


def normalised(x):
    """Instance normalisation, written out."""
    mean, variance = x.mean(dim=(2, 3, 4), keepdim=True), x.var(dim=(2, 3, 4), keepdim=True, correction=0)
    return (x - mean) / (variance + 1e-5).sqrt()


def test_the_norm_is_an_instance_norm_without_weights():
    x = torch.randn(2, 3, 4, 5, 6)
    norm = _norm(3)
    assert list(norm.parameters()) == []
    torch.testing.assert_close(norm(x), nn.InstanceNorm3d(3)(x), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(norm(x), normalised(x), atol=1e-5, rtol=1e-5)


def test_a_fusion_is_the_sum_over_all_pairs_of_branches():
    torch.manual_seed(0)
    widths, sizes = (3, 4, 5), ((9, 7, 11), (5, 4, 6), (3, 2, 3))
    fusion = Fusion(widths).double()
    maps = [torch.randn(2, width, *size, dtype=torch.float64) for width, size in zip(widths, sizes, strict=True)]
    fused = fusion([x.clone() for x in maps])
    for target in range(3):
        total = maps[target].clone()
        for source in range(3):
            weights = list(fusion.paths[target][source].parameters())
            x = maps[source]
            if source > target:
                assert tuple(weights[0].shape) == (widths[target], widths[source], 1, 1, 1)
                x = normalised(functional.conv3d(x, weights[0]))
                total += functional.interpolate(x, sizes[target], mode="trilinear", align_corners=False)
            elif source < target:
                assert [weight.shape[0] for weight in weights] == [widths[source]] * (target - source - 1) + [
                    widths[target]
                ]
                for step, weight in enumerate(weights):
                    x = normalised(functional.conv3d(x if step == 0 else x.clamp(min=0), weight, stride=2, padding=1))
                total += x
        torch.testing.assert_close(fused[target], total.clamp(min=0))


def test_branches_have_half_the_size_of_the_one_before():
    network, seen = build("voxhrnet", in_channels=1, out_channels=2, dimensions=3, branches=(4, 4, 4)).eval(), []
    network.stages[-1].register_forward_hook(lambda *given: seen.extend(given[2]))
    with torch.no_grad():
        logits = network(torch.randn(1, 1, 45, 54, 46))
    assert [tuple(x.shape[2:]) for x in seen] == [(23, 27, 23), (12, 14, 12), (6, 7, 6)]
    assert logits.shape == (1, 2, 45, 54, 46)


def test_sizes_have_the_modules_and_blocks_of_the_source():
    with torch.device("meta"):
        network = build("voxhrnet", in_channels=1, out_channels=2, dimensions=3, size="hammers")
    assert [[len(module.branches) for module in stage] for stage in network.stages] == [[2, 2], [3, 3], [4, 4]]
    assert {len(branch) for stage in network.stages for module in stage for branch in module.branches} == {4}
