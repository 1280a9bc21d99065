"""Overlap counts against masks counted one by one."""

import numpy as np
import pytest
import torch

from autoseg.core.labels import Labels
from autoseg.training.overlap import MEASURES, dice_from_counts, measures_from_counts, overlap_counts

TWO = Labels(values={"one": 1, "two": 2})
IGNORING = Labels(values={"one": 1, "two": 2, "ignore": 3})
REGIONS = Labels(values={"both": (1, 2), "two": (2,), "ignore": 3}, region_order=(1, 2))


@pytest.mark.parametrize("labels", [IGNORING, REGIONS])
def test_overlap_counts_of_regions_and_without_ignored_voxels(labels):
    random = np.random.default_rng(4)
    logits = torch.tensor(random.normal(size=(2, labels.num_outputs, 6, 7)))
    target = torch.tensor(random.integers(0, 4, size=(2, 6, 7)))
    counts = overlap_counts(logits, target, labels)
    for number, members in enumerate(labels.region_indices):
        p = logits[:, number] > 0 if labels.has_regions else logits.argmax(1) == members[0]
        t, known = torch.isin(target, torch.tensor(members)), target != 3
        expected = [(p & t & known).sum(), (p & ~t & known).sum(), (~p & t & known).sum(), (~p & ~t & known).sum()]
        assert counts[:, number].tolist() == [int(count) for count in expected]


def test_overlap_counts_equal_masks_counted_one_by_one():
    random = np.random.default_rng(2)
    logits = torch.tensor(random.normal(size=(2, 4, 6, 7)))
    target = torch.tensor(random.integers(0, 3, size=(2, 6, 7)))  # class 3 is never present
    prediction = logits.argmax(1)
    counts = overlap_counts(logits, target, TWO)
    for label in (1, 2, 3):
        p, t = prediction == label, target == label
        expected = [(p & t).sum(), (p & ~t).sum(), (~p & t).sum(), (~p & ~t).sum()]
        assert counts[:, label - 1].tolist() == [int(count) for count in expected]


def test_dice_of_a_class_that_is_nowhere_is_not_a_number_but_none():
    assert dice_from_counts(torch.tensor([[3, 0], [1, 0], [2, 0], [4, 10]])) == [pytest.approx(2 * 3 / 9), None]


def test_measures_by_hand():
    """6 hits, 2 false alarms, 3 misses, 9 rightly left out; and an output that is nowhere."""
    measures = measures_from_counts(torch.tensor([[6, 0], [2, 0], [3, 0], [9, 20]]))
    assert tuple(measures) == MEASURES
    assert [of_output[0] for of_output in measures.values()] == [6 / 8, 6 / 9, 9 / 11, 6 / 11, 15 / 20, 12 / 17]
    assert [of_output[1] for of_output in measures.values()] == [None, None, 1.0, None, 1.0, None]
