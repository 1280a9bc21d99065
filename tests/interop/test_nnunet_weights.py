"""Names of weights: those that nnU-Net wrote, both ways, and what does not fit."""

import pytest
import torch

from autoseg.core.errors import BadInput
from autoseg.interop.nnunet_architecture import network_of
from autoseg.interop.nnunet_weights import our_weights, their_weights
from tests.networks import peer_networks


def read(name):
    golden = peer_networks.read(name)
    return golden, network_of(golden["architecture"], "plans.json")


@pytest.mark.parametrize("name", peer_networks.NAMES)
def test_every_name_of_the_peer_is_written_and_read(name):
    golden, network = read(name)
    ours = our_weights(golden["weights"], network, 2, 3, "file")
    theirs = their_weights(ours, network)
    assert sorted(theirs) == golden["every_name"]
    for key, tensor in golden["weights"].items():
        assert torch.equal(theirs[key], tensor)
    again = our_weights(theirs, network, 2, 3, "file")
    assert again.keys() == ours.keys()
    assert all(torch.equal(again[key], ours[key]) for key in ours)


def test_aliases_share_their_memory():
    golden, network = read("plain_3d")
    ours = our_weights(golden["weights"], network, 2, 3, "file")
    assert len({tensor.data_ptr() for tensor in their_weights(ours, network).values()}) == len(ours)


FIRST = "encoder.stages.0.0.convs.0.conv.weight"
ALIAS = "decoder.encoder.stages.0.0.convs.0.all_modules.0.weight"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda w: w.pop("decoder.seg_layers.1.bias"), r"lacks decoder\.seg_layers\.1\.bias"),
        (lambda w: w.update({"encoder.norm.running_mean": w[FIRST]}), r"has encoder\.norm\.running_mean too much"),
        (lambda w: w.update({FIRST: w[FIRST][:1]}), rf"{FIRST} has the shape \(1, 2, 1, 3, 3\).* needs \(3, 2, "),
        (lambda w: w.update({FIRST: "text"}), f"{FIRST} is no array"),
        (lambda w: w.update({FIRST: w[FIRST].int()}), f"{FIRST} is no array"),
        (lambda w: w.update({FIRST: w[FIRST].to_sparse()}), f"{FIRST} is no array"),
        (lambda w: w.update({FIRST: torch.ones(1).expand(w[FIRST].shape)}), "fewer numbers than it claims"),
        (lambda w: w.update({FIRST: w[FIRST] * torch.nan}), "is not finite"),
        (lambda w: w.update({ALIAS: w[FIRST] + 1}), f"{FIRST} and {ALIAS} must be equal"),
        (lambda w: [w.pop(key) for key in list(w) if "transp" in key], r"lacks decoder\.transpconvs\..*and 1 more"),
        (lambda w: w.clear(), r"holds 0 numbers"),
    ],
)
def test_what_does_not_fit_is_named(change, sentence):
    golden, network = read("plain_3d")
    weights = dict(golden["weights"])
    change(weights)
    with pytest.raises(BadInput, match=rf"checkpoint\.pth: .*{sentence}"):
        our_weights(weights, network, 2, 3, "checkpoint.pth")


def test_a_network_far_larger_than_the_file_is_never_built(monkeypatch):
    golden, network = read("residual_3d")
    huge = network.model_copy(update={"features_per_stage": (8192,) * 3})
    monkeypatch.setattr("autoseg.interop.nnunet_weights.build_planned", lambda *_: pytest.fail("was built"))
    with pytest.raises(BadInput, match=r"holds \d+ numbers, and the network of plans\.json has at least \d+ weights"):
        our_weights(golden["weights"], huge, 2, 3, "checkpoint.pth")
