"""What processes say to each other, by three of them; alone everything gives back what it is given."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from autoseg.core.errors import BadInput
from autoseg.runtime import ranks

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, sys, torch
from autoseg.runtime import ranks

with ranks.joined("cpu") as device:
    number = ranks.number()
    values = torch.arange(2.0 * number, requires_grad=True)  # 0, 2 and 4 values: 0 1, 0 1 2 3
    mean = ranks.mean(values.mean(), len(values))
    total = ranks.total(values.square().sum())
    (mean * total).backward()
    weight = torch.nn.Parameter(torch.zeros(2, 2))
    weight.grad = torch.full((2, 2), number + 1.0).t()
    ranks.add_gradients([weight, torch.nn.Parameter(torch.zeros(1))])
    tensor = torch.full((2,), float(number), dtype=torch.int64 if number < 9 else None)
    ranks.copy_from_first([tensor])
    if number == 0:
        ranks.tell({"a": 1})
        ranks.tell({"b": 2})
        heard = []
    else:
        heard = [ranks.told(), ranks.told()]
    parts = ranks.gathered({"of": number})
    found = {
        "device": device, "mean": float(mean), "total": float(total), "gradient": values.grad.tolist(),
        "summed": weight.grad.tolist(), "copied": tensor.tolist(), "heard": heard, "parts": parts,
        "of_first": ranks.of_first(10.0 + number), "largest": ranks.largest(number), "share": list(ranks.share(7)),
        "first": ranks.is_first(), "count": ranks.count(),
    }
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found():
    """What each of three processes found."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port = one.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": "3", "PYTHONPATH": str(ROOT)}
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SCRIPT], env=os.environ | place | {"RANK": str(rank)}, stdout=subprocess.PIPE
        )
        for rank in range(3)
    ]
    outputs = [process.communicate(timeout=120)[0] for process in processes]
    return [json.loads(output.splitlines()[-1]) for output in outputs]


def test_sums_and_means_are_over_all_and_have_the_gradient_of_the_own_part(found):
    values = torch.tensor([0.0, 1, 0, 1, 2, 3], requires_grad=True)
    (values.mean() * values.square().sum()).backward()
    for rank, (first, last) in enumerate([(0, 0), (0, 2), (2, 6)]):
        assert found[rank]["mean"] == pytest.approx(values.mean().item())
        assert found[rank]["total"] == values.square().sum().item()
        assert found[rank]["gradient"] == pytest.approx(values.grad[first:last].tolist())


def test_gradients_are_added_and_tensors_copied(found):
    for one in found:
        assert one["summed"] == [[6.0, 6.0], [6.0, 6.0]]
        assert one["copied"] == [0, 0]


def test_messages_and_parts(found):
    assert [one["heard"] for one in found] == [[], [{"a": 1}, {"b": 2}], [{"a": 1}, {"b": 2}]]
    assert [one["parts"] for one in found] == [[{"of": 0}, {"of": 1}, {"of": 2}], [], []]
    assert [(one["of_first"], one["largest"], one["count"], one["device"]) for one in found] == [(10, 2, 3, "cpu")] * 3
    assert [one["first"] for one in found] == [True, False, False]


def test_the_samples_are_dealt_out_without_gaps(found):
    assert [one["share"] for one in found] == [[0, 1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize("count", [1, 2, 3, 5])
@pytest.mark.parametrize("size", [1, 2, 3, 4, 7])
def test_shares_differ_by_one_and_the_first_is_never_empty(monkeypatch, size, count):
    shares = []
    for number in range(count):
        monkeypatch.setattr(ranks, "_own", [ranks._Rank(number, count)])
        shares.append(ranks.share(size))
        assert len(shares[-1]) <= ranks.largest_share(size)
    assert [index for share in shares for index in share] == list(range(size))
    assert max(map(len, shares)) - min(map(len, shares)) <= 1
    assert shares[0]


def test_alone_everything_is_given_back_as_it_is():
    values, weight = torch.ones(3, requires_grad=True), torch.nn.Parameter(torch.ones(2))
    weight.grad = gradient = torch.full((2,), 3.0)
    assert ranks.total(values) is values
    assert ranks.mean(values, 5) is values
    ranks.add_gradients([weight])
    ranks.copy_from_first([values])
    ranks.tell({"do": "nothing"})
    assert weight.grad is gradient
    assert gradient.tolist() == [3.0, 3.0]
    assert (ranks.of_first(2.5), ranks.largest(7), ranks.gathered("a")) == (2.5, 7, ["a"])
    assert (ranks.count(), ranks.number(), ranks.is_first(), list(ranks.share(3))) == (1, 0, True, [0, 1, 2])


@pytest.mark.parametrize("device", ["mps", "cuda:1"])
def test_a_device_that_cannot_be_shared_out_is_refused(monkeypatch, device):
    with pytest.raises(BadInput, match="several processes train on cpu or cuda"), ranks.joined(device):
        pass


def test_too_few_gpus_are_told(monkeypatch):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(BadInput, match="4 processes on this machine need a GPU each, and it has 2"), ranks.joined(None):
        pass
