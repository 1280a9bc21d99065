"""Passes: everything once an epoch, in an order of that epoch."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from autoseg.core.labels import Labels
from autoseg.training.patches import TRAINING_STREAM, VALIDATION_STREAM, PatchSource, batches
from autoseg.training.sampling import (
    Item,
    draw_case,
    members_of_domains,
    passes,
    slice_box,
    with_counted_steps,
)

TINY = Labels(values={"shell": 1, "core": 2})
SLICES_OF_A_CASE = 16


@pytest.fixture
def flat(tiny_pair_plan):
    return tiny_pair_plan.configurations["2d"].model_copy(update={"sampling": "slices", "batch_size": 10})


@pytest.fixture
def cases(tiny_configuration):
    return tiny_configuration.model_copy(update={"sampling": "cases", "whole_case": True, "batch_size": 1})


def shown(found, step):
    return [found.item(step, index) for index in range(found.size(step))]


def test_every_slice_of_every_case_is_seen_once_an_epoch_in_another_order(tiny_cases, flat):
    """3 cases of 16 slices, 10 at a time: 5 steps, the last of which repeats the first two."""
    found = passes(tiny_cases[:3], flat, True, seed=5, stream=0)
    assert (found.num_items, found.num_steps) == (48, 5)
    epochs = [[item for step in range(5 * epoch, 5 * epoch + 5) for item in shown(found, step)] for epoch in range(3)]
    everything = {Item(case, number) for case in range(3) for number in range(SLICES_OF_A_CASE)}
    for order in epochs:
        assert len(order) == 50
        assert set(order[:48]) == everything
        assert order[48:] == order[:2]
    assert epochs[0] != epochs[1] != epochs[2]
    other = passes(tiny_cases[:3], flat, True, seed=6, stream=0)
    assert shown(other, 0) != shown(found, 0)


def test_the_validation_sees_everything_once_and_nothing_twice(tiny_cases, flat):
    found = passes(tiny_cases[:3], flat, False)
    for turn in range(2):
        items = [item for step in range(5 * turn, 5 * turn + 5) for item in shown(found, step)]
        assert items == [Item(case, number) for case in range(3) for number in range(SLICES_OF_A_CASE)]
    assert found.size(4) == found.size(9) == 8


def test_fewer_items_than_a_batch_holds(tiny_cases, cases):
    many = cases.model_copy(update={"batch_size": 5})
    found = passes(tiny_cases[:2], many, True)
    assert found.num_steps == 1
    assert sorted(Counter(item.case for item in shown(found, 3)).values()) == [2, 3]


def test_every_case_once_an_epoch(tiny_cases, cases):
    found = passes(tiny_cases, cases, True)
    assert all({found.item(step, 0).case for step in range(6 * e, 6 * e + 6)} == set(range(6)) for e in range(3))
    assert found.item(0, 0).slice is None
    assert passes(tiny_cases, cases.model_copy(update={"sampling": "patches"}), True) is None


def test_the_steps_of_an_epoch_follow_from_the_data(tiny_cases, flat, cases, tiny_configuration):
    counted = with_counted_steps(flat, tiny_cases[:4], tiny_cases[4:]).training
    assert (counted.steps_per_epoch, counted.validation_steps) == (7, 4)  # 64 and 32 slices by 10
    counted = with_counted_steps(cases, tiny_cases[:4], tiny_cases[4:]).training
    assert (counted.steps_per_epoch, counted.validation_steps) == (4, 2)
    assert with_counted_steps(tiny_configuration, tiny_cases, tiny_cases) is tiny_configuration


def test_a_patch_lies_in_the_middle_of_its_slice(tiny_cases, flat):
    assert slice_box((16, 24, 20), 7, (16, 16)) == ((7, 8), (4, 20), (2, 18))
    assert slice_box((16, 24, 20), 7, (32, 16)) == ((7, 8), (-4, 28), (2, 18))
    source = PatchSource(tiny_cases, flat, TINY, False, VALIDATION_STREAM, seed=0)
    whole, labels = tiny_cases[1].read(tuple((0, size) for size in tiny_cases[1].shape))
    image, target = source.sample(1, 9)  # of 16 slices a case, number 19
    assert torch.equal(image, torch.tensor(whole[:, 3, 4:20, 2:18]))
    assert torch.equal(target, torch.tensor(np.maximum(labels[3, 4:20, 2:18], 0)).long())


@pytest.mark.parametrize("stream", [TRAINING_STREAM, VALIDATION_STREAM])
def test_a_step_sees_the_same_however_it_is_made_and_wherever_one_starts(tiny_cases, flat, stream):
    source = PatchSource(tiny_cases[:3], flat, TINY, stream == TRAINING_STREAM, stream, seed=3)
    alone = [source.batch(step) for step in range(7)]
    assert [len(batch.image) for batch in alone][4] == (10 if stream == TRAINING_STREAM else 8)
    for workers, first in ((2, 0), (3, 3)):
        made = batches(replace(source), first, workers, 1)
        for expected, batch in zip(alone[first:], islice(made, 7 - first), strict=True):
            assert torch.equal(batch.image, expected.image)
            assert torch.equal(batch.target, expected.target)
        made.close()


def test_domains_of_unequal_size_are_drawn_equally_often(tiny_configuration):
    balanced = tiny_configuration.model_copy(update={"balance": "domains"})
    members = members_of_domains(("large",) * 9 + ("small",), balanced)
    assert members == (tuple(range(9)), (9,))
    random = np.random.default_rng(0)
    drawn = Counter(draw_case(10, members, random) for _ in range(4000))
    assert abs(drawn[9] / 4000 - 1 / 2) < 4 * np.sqrt(0.25 / 4000)
    assert all(abs(drawn[case] / 4000 - 1 / 18) < 4 * np.sqrt(0.053 / 4000) for case in range(9))


def test_cases_are_drawn_as_ever_unless_domains_are_balanced(tiny_configuration):
    assert members_of_domains(("large", "small"), tiny_configuration) == ()
    drawn = [draw_case(10, (), np.random.default_rng(seed)) for seed in range(20)]
    assert drawn == [int(np.random.default_rng(seed).integers(10)) for seed in range(20)]


def test_patches_come_from_each_domain_equally_often(tiny_cases, tiny_configuration):
    """Five cases of one domain and one of another; a patch of the whole case tells which it is."""
    balanced = tiny_configuration.model_copy(update={"balance": "domains"})
    domains = ("large",) * 5 + ("small",)
    source = PatchSource(tiny_cases, balanced, TINY, False, TRAINING_STREAM, 0, domains=domains)
    placed = [source._place(step, 0, np.random.default_rng(step))[0] for step in range(400)]
    share = sum(case is tiny_cases[5] for case in placed) / 400
    assert abs(share - 1 / 2) < 0.1
