"""What the header of a weights file says, against what safetensors wrote."""

import pytest
import torch

from autoseg.core.errors import BadInput
from autoseg.io.weights_header import read_weights_header
from autoseg.networks import model_file


def test_tensors_are_counted_without_running_statistics(tmp_path):
    tensors = {
        "first.weight": torch.zeros(4, 3, 3, 3),
        "first.bias": torch.zeros(4, dtype=torch.float16),
        "norm.running_mean": torch.zeros(7),
        "norm.num_batches_tracked": torch.zeros((), dtype=torch.int64),
    }
    path = tmp_path / "final.safetensors"
    path.write_bytes(model_file.serialise(tensors, {"epoch": 3}))
    header = read_weights_header(path)
    assert (header.num_tensors, header.num_weights) == (4, 4 * 27 + 4)
    assert header.types == ("F16", "F32", "I64")
    assert header.facts == {"epoch": 3}


@pytest.mark.parametrize(
    "content",
    [b"", b"no weights at all", (2**40).to_bytes(8, "little") + b"{}", (9).to_bytes(8, "little") + b'{"a": {}}'],
)
def test_what_is_none_is_one_sentence(tmp_path, content):
    path = tmp_path / "final.safetensors"
    path.write_bytes(content)
    with pytest.raises(BadInput, match="is damaged or no safetensors file"):
        read_weights_header(path)
