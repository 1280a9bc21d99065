"""One pass a case; the size that the network sees."""

import numpy as np
import pytest
import torch
from torch import nn

from autoseg.inference.full_volume import full_volume_logits
from autoseg.inference.lanes import Lanes

LANES = Lanes(workers=2, batch=1)


class Counting(nn.Module):
    """Two classes: a factor times the image, and its negative; records the sizes seen."""

    def __init__(self, factor=1.0):
        super().__init__()
        self.factor, self.sizes = factor, []

    def forward(self, x):
        self.sizes.append(tuple(x.shape[2:]))
        return torch.cat((self.factor * x, -self.factor * x), dim=1)


@pytest.mark.parametrize(
    ("shape", "seen"), [((5, 30, 17), (8, 32, 24)), ((8, 24, 24), (8, 24, 24)), ((9, 1, 25), (12, 24, 28))]
)
def test_a_case_is_padded_to_the_trained_size_or_the_next_multiple_and_cut_back(shape, seen):
    network = Counting()
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32)
    logits = full_volume_logits([network], image, (8, 24, 24), (4, 4, 4), LANES)
    assert network.sizes == [seen]
    np.testing.assert_array_equal(logits[0], image[0])


def test_networks_are_averaged():
    image = np.ones((1, 4, 4, 4), dtype=np.float32)
    logits = full_volume_logits([Counting(1.0), Counting(3.0)], image, (4, 4, 4), (4, 4, 4), LANES)
    np.testing.assert_array_equal(logits[0], 2 * image[0])
