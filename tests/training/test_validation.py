"""Figures of whole batches, however they were computed."""

import pytest
import torch
from torch import nn

from autoseg.core.labels import Labels
from autoseg.runtime.devices import Execution
from autoseg.training.frozen import freeze
from autoseg.training.losses import one_loss
from autoseg.training.overlap import overlap_counts
from autoseg.training.patches import Batch
from autoseg.training.validation import validate

CPU = Execution("cpu", "fp32", channels_last=False)
LABELS = Labels(values={"shell": 1, "core": 2})


@pytest.mark.parametrize("threads", [1, 2])
def test_counts_and_loss_are_those_of_whole_batches_in_evaluation(tiny_configuration, threads):
    """Batch Dice and a network that behaves otherwise in training."""
    configuration = tiny_configuration.model_copy(update={"batch_dice": True})
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.BatchNorm3d(3), nn.Dropout3d(0.5))
    network(torch.randn(4, 1, 8, 8, 8))
    batches = [Batch(torch.randn(4, 1, 8, 8, 8), torch.randint(0, 3, (4, 8, 8, 8))) for _ in range(3)]
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        found = validate(network, iter(batches), CPU, configuration, LABELS, 2)
    finally:
        torch.set_num_threads(before)
    assert network.training
    network.eval()
    with torch.no_grad():
        logits = [network(batch.image) for batch in batches[:2]]
    pairs = list(zip(logits, [batch.target for batch in batches[:2]], strict=True))
    assert torch.equal(found.counts, sum(overlap_counts(*pair, LABELS) for pair in pairs))
    losses = [float(one_loss(*pair, LABELS, True, "dice_and_cross_entropy")) for pair in pairs]
    assert found.loss == pytest.approx(sum(losses) / 2, abs=1e-6)
    torch.testing.assert_close(found.sample.logits, logits[0][0])
    assert torch.equal(found.sample.image, batches[0].image[0])


def test_a_frozen_batch_norm_stays_in_evaluation_after_it(tiny_configuration):
    network = nn.Sequential(nn.Conv3d(1, 3, 3, padding=1), nn.BatchNorm3d(3), nn.Conv3d(3, 3, 1), nn.BatchNorm3d(3))
    freeze(network, ["0", "1"])
    batch = Batch(torch.randn(2, 1, 8, 8, 8), torch.randint(0, 3, (2, 8, 8, 8)))
    validate(network, iter([batch]), CPU, tiny_configuration, LABELS, 1)
    assert [module.training for module in network] == [True, False, True, True]
