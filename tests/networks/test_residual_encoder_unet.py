"""The residual encoder U-Net: the logits of nnU-Net's, and its first state."""

import pytest
import torch

from autoseg.interop.nnunet_architecture import network_of
from autoseg.interop.nnunet_weights import our_weights
from autoseg.networks import build_planned
from autoseg.networks.residual_encoder_unet import ResidualBlock
from tests.networks import peer_networks


@pytest.mark.parametrize("name", ["residual_2d", "residual_3d"])
def test_logits_of_every_stage_are_those_of_the_peer(name):
    golden = peer_networks.read(name)
    spec = network_of(golden["architecture"], "plans.json")
    network = build_planned(spec, in_channels=2, out_channels=3)
    network.load_state_dict(our_weights(golden["weights"], spec, 2, 3, "checkpoint"))
    network.deep_supervision = True
    for logits, expected in zip(network(golden["image"]), golden["logits"], strict=True):
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)


def test_a_block_is_its_skip_at_first():
    spec = network_of(peer_networks.read("residual_3d")["architecture"], "plans.json")
    blocks = [module for module in build_planned(spec, 1, 2).modules() if isinstance(module, ResidualBlock)]
    assert len(blocks) == sum(spec.blocks_per_stage)
    same = blocks[0]  # neither strided nor wider
    x = torch.rand(1, spec.features_per_stage[0], 4, 4, 4)
    torch.testing.assert_close(same(x), x, rtol=0, atol=0)
