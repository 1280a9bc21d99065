"""Weights in and out of a file; damaged and foreign files."""

import pickle

import pytest
import torch
from torch import nn

from autoseg.core.errors import BadInput
from autoseg.networks import model_file


def test_tensors_and_facts_come_back_whatever_the_memory_layout(tmp_path):
    weight = torch.randn(2, 3, 4, 5, 6).to(memory_format=torch.channels_last_3d)
    path = tmp_path / "weights.safetensors"
    path.write_bytes(model_file.serialise({"weight": weight}, {"step": 7}))
    tensors, facts = model_file.read(path)
    torch.testing.assert_close(tensors["weight"], weight.contiguous(), rtol=0, atol=0)
    assert facts == {"step": 7}


@pytest.mark.parametrize("content", [b"", b"not a model", pickle.dumps({"weight": [1, 2]})])
def test_a_file_that_is_no_model_is_refused_in_a_sentence(tmp_path, content):
    path = tmp_path / "final.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=r"final\.safetensors: is damaged"):
        model_file.read(path)


def test_a_missing_file_says_what_to_do(tmp_path):
    with pytest.raises(BadInput, match="train the fold first"):
        model_file.read(tmp_path / "final.safetensors")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"weight": torch.zeros(2, 3)}, r"weight has the shape \(2, 3\) and should have \(2, 2\)"),
        ({"weight": torch.zeros(2, 2, dtype=torch.int64)}, r"weight holds numbers of type torch\.int64"),
        ({"more": torch.zeros(1)}, "more is too much"),
        ({"bias": None}, "bias is missing"),
    ],
)
@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_weights_of_another_network_are_refused(tmp_path, change, problem, device):
    tensors = {name: one for name, one in {**nn.Linear(2, 2).state_dict(), **change}.items() if one is not None}
    with pytest.raises(BadInput, match=rf"final\.safetensors: the weights do not fit .* \({problem}\)"):
        model_file.require_fitting(nn.Linear(2, 2, device=device), tensors, tmp_path / "final.safetensors")


def test_half_precision_is_as_good_as_single(tmp_path):
    weights = {name: tensor.half() for name, tensor in nn.Linear(2, 2).state_dict().items()}
    network = nn.Linear(2, 2)
    model_file.load_weights(network, weights, tmp_path / "final.safetensors")
    assert {name: tensor.dtype for name, tensor in network.state_dict().items()} == dict.fromkeys(
        weights, torch.float32
    )
    assert all(torch.equal(tensor, weights[name].float()) for name, tensor in network.state_dict().items())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path, value):
    tensors = {"good": torch.ones(3), "number": torch.tensor(1), "bad": torch.tensor([1.0, value])}
    with pytest.raises(BadInput, match=r"final\.safetensors: the weight bad is not finite"):
        model_file.require_finite(tensors, tmp_path / "final.safetensors")
