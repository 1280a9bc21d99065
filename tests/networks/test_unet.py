"""The plain U-Net: the logits of nnU-Net's, and the parameter count of the planner's closed form."""

import pytest
import torch

from autoseg.interop.nnunet_architecture import network_of
from autoseg.interop.nnunet_weights import our_weights
from autoseg.networks import build_planned
from autoseg.planning.memory import count_parameters
from tests.networks import peer_networks
from tests.networks.test_catalogue import spec


@pytest.mark.parametrize("dimensions", [2, 3])
def test_parameter_count_is_the_closed_form(dimensions):
    network = build_planned(spec("plain_unet", dimensions), in_channels=2, out_channels=3)
    assert sum(p.numel() for p in network.parameters()) == count_parameters(spec("plain_unet", dimensions), 2, 3)


@pytest.mark.parametrize("name", ["plain_2d", "plain_3d"])
def test_logits_of_every_stage_are_those_of_the_peer(name):
    golden = peer_networks.read(name)
    network_spec = network_of(golden["architecture"], "plans.json")
    network = build_planned(network_spec, in_channels=2, out_channels=3)
    network.load_state_dict(our_weights(golden["weights"], network_spec, 2, 3, "checkpoint"))
    network.deep_supervision = True
    for logits, expected in zip(network(golden["image"]), golden["logits"], strict=True):
        torch.testing.assert_close(logits, expected, atol=1e-4, rtol=1e-4)
