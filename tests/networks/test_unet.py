"""The U-Nets of nnU-Net: stages and heads, the logits of the peer's, and the planner's closed form."""

import pytest
import torch

from autoseg.core.network_spec import NetworkSpec
from autoseg.interop.nnunet_architecture import network_of
from autoseg.interop.nnunet_weights import our_weights
from autoseg.networks import build_planned
from autoseg.planning.memory import count_parameters
from tests.networks import peer_networks

every_network = pytest.mark.parametrize("name", ["plain_unet", "residual_encoder_unet"])


def spec(name: str, dimensions: int) -> NetworkSpec:
    return NetworkSpec(
        name=name,
        dimensions=dimensions,
        features_per_stage=(4, 8, 16),
        kernel_sizes=((1, 3, 3)[-dimensions:], (3,) * dimensions, (3,) * dimensions),
        strides=((1,) * dimensions, (1, 2, 2)[-dimensions:], (2,) * dimensions),
        blocks_per_stage=(2, 2, 2),
        blocks_per_decoder_stage=(2, 2),
    )


@every_network
@pytest.mark.parametrize("dimensions", [2, 3])
def test_logits_have_the_size_of_the_input_and_gradients_reach_every_weight(name, dimensions):
    network = build_planned(spec(name, dimensions), in_channels=2, out_channels=3)
    with torch.no_grad():  # a residual block begins with a zero, which holds gradients back
        for parameter in network.parameters():
            parameter.add_(0.01)
    network.deep_supervision = True
    size = (6, 8, 12)[-dimensions:]
    outputs = network(torch.randn(2, 2, *size))
    assert [tuple(o.shape) for o in outputs] == [(2, 3, *size), (2, 3, *(6, 4, 6)[-dimensions:])]
    sum(output.square().mean() for output in outputs).backward()
    weights = [parameter for name, parameter in network.named_parameters() if name.endswith("weight")]
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in weights)


@every_network
def test_without_deep_supervision_only_the_finest_head_is_evaluated(name):
    network = build_planned(spec(name, 3), in_channels=1, out_channels=2).eval()
    calls = []
    for head in network.decoder.heads:
        head.register_forward_hook(lambda *_: calls.append(1))
    single = network(torch.zeros(1, 1, 4, 8, 8))
    assert single.shape == (1, 2, 4, 8, 8)
    assert len(calls) == 1


@every_network
def test_the_input_is_left_as_it_is(name):
    network = build_planned(spec(name, 2), in_channels=1, out_channels=2).eval()
    image = torch.randn(1, 1, 8, 8)
    before = image.clone()
    with torch.inference_mode():
        network(image)
    assert torch.equal(image, before)


@every_network
def test_weights_have_one_name_each(name):
    network = build_planned(spec(name, 3), in_channels=1, out_channels=2)
    storages = [tensor.data_ptr() for tensor in network.state_dict().values()]
    assert len(set(storages)) == len(storages)


@every_network
def test_every_weight_counts_the_slope_in_its_initial_spread(name):
    torch.manual_seed(0)
    network = build_planned(spec(name, 3).model_copy(update={"features_per_stage": (64, 64, 64)}), 64, 2)
    drawn = [weight for weight in network.encoder.parameters() if tuple(weight.shape) == (64, 64, 3, 3, 3)]
    assert len(drawn) >= 4
    for weight in drawn:
        assert float(weight.std()) == pytest.approx((2 / (1 + 0.01**2) / (64 * 27)) ** 0.5, rel=0.02)
    biases = [value for key, value in network.named_parameters() if key.endswith("conv.bias")]
    assert biases
    assert not any(bias.any() for bias in biases)


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
