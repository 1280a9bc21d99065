"""Descriptions of networks: those that nnU-Net writes, and those that we cannot build."""

import pytest

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_architecture import architecture_of, network_of
from tests.networks import peer_networks


@pytest.mark.parametrize("name", peer_networks.NAMES)
def test_a_network_of_the_peer_comes_back_as_it_was(name):
    architecture = peer_networks.read(name)["architecture"]
    network = network_of(architecture, "plans.json")
    again = architecture_of(network)
    assert network_of(again, "plans.json") == network
    assert again["network_class_name"] == architecture["network_class_name"]
    assert again["_kw_requires_import"] == architecture["_kw_requires_import"]
    written = {**again["arch_kwargs"], "nonlin": architecture["arch_kwargs"]["nonlin"]}  # it has two names
    assert written == architecture["arch_kwargs"]


def test_one_number_stands_for_all_stages():
    architecture = peer_networks.read("residual_3d")["architecture"]
    architecture["arch_kwargs"] |= {"n_blocks_per_stage": 2, "n_conv_per_stage_decoder": 1}
    network = network_of(architecture, "plans.json")
    assert (network.blocks_per_stage, network.blocks_per_decoder_stage) == ((2, 2, 2), (1, 1))


def test_the_former_place_of_the_residual_network_is_known():
    architecture = peer_networks.read("residual_3d")["architecture"]
    path = "dynamic_network_architectures.architectures.residual_unet.ResidualEncoderUNet"
    assert network_of({**architecture, "network_class_name": path}, "plans.json").name == "residual_encoder_unet"


@pytest.mark.parametrize(
    "path", ["os.system", "dynamic_network_architectures.architectures.primus.Primus", "builtins.eval", "x" * 5000]
)
def test_a_class_is_compared_and_never_imported(path):
    architecture = {**peer_networks.read("plain_3d")["architecture"], "network_class_name": path}
    with pytest.raises(BadInput, match=r"plans\.json: architecture\.network_class_name") as caught:
        network_of(architecture, "plans.json")
    assert len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"conv_op": "os.system"}, "conv_op"),
        ({"conv_op": "torch.nn.modules.conv.Conv2d"}, "conv_op"),
        ({"norm_op": "torch.nn.BatchNorm3d"}, "norm_op"),
        ({"norm_op": None}, "norm_op"),
        ({"norm_op_kwargs": {"eps": 1e-3, "affine": True}}, "norm_op_kwargs"),
        ({"nonlin": "torch.nn.ReLU"}, "nonlin"),
        ({"nonlin_kwargs": {"negative_slope": 0.2}}, "nonlin_kwargs"),
        ({"dropout_op": "torch.nn.Dropout3d"}, "dropout_op"),
        ({"conv_bias": False}, "conv_bias"),
        ({"stem_channels": 7}, "stem_channels"),
        ({"n_stages": 4}, "n_stages"),
        ({"n_stages": 10**30}, "n_stages"),
        ({"n_stages": True}, "n_stages"),
        ({"features_per_stage": [4, 8, 10**9]}, "features_per_stage"),
        ({"features_per_stage": [4, 8, -1]}, "features_per_stage"),
        ({"features_per_stage": ["4", 8, 16]}, "features_per_stage"),
        ({"kernel_sizes": [[3, 3, 3], [3, 3, 3], [2, 3, 3]]}, "kernel_sizes"),
        ({"kernel_sizes": 3}, "kernel_sizes"),
        ({"strides": [[2, 2, 2], [2, 2, 2], [2, 2, 2]]}, "strides"),
        ({"strides": [[1, 1], [2, 2], [2, 2]]}, "n_stages"),
        ({"n_conv_per_stage": None}, "blocks"),
        ({"n_conv_per_stage_decoder": [1]}, "n_stages"),
    ],
)
def test_what_our_blocks_do_not_do_is_refused_by_its_field(changes, field):
    architecture = peer_networks.read("plain_3d")["architecture"]
    architecture["arch_kwargs"] |= changes
    with pytest.raises(BadInput, match=rf"plans\.json: architecture\.arch_kwargs\.{field}"):
        network_of(architecture, "plans.json")
