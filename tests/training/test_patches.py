"""What a training step sees."""

from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from autoseg.training.augmentation import build_augmentation, initial_patch_size
from autoseg.training.patches import (
    TRAINING_STREAM,
    VALIDATION_STREAM,
    PatchSource,
    batches,
    draw_box,
    is_foreground_sample,
)


@pytest.fixture
def source(tiny_cases, tiny_configuration):
    enlarged = initial_patch_size(tiny_configuration.patch_size, tiny_configuration.augmentation)
    transform = build_augmentation(tiny_configuration)
    return PatchSource(tiny_cases, tiny_configuration, enlarged, transform, TRAINING_STREAM, seed=3)


def test_batches_have_the_patch_size_and_labels_without_padding_marks(source):
    batch = source.batch(0)
    assert batch.image.shape == (2, 1, 16, 16, 16)
    assert batch.target.shape == (2, 16, 16, 16)
    assert batch.target.dtype == torch.int64
    assert 0 <= int(batch.target.min()) <= int(batch.target.max()) <= 2


@pytest.mark.parametrize("workers", [0, 1, 2])
def test_a_step_sees_the_same_batch_however_it_is_read_and_wherever_one_starts(source, workers):
    expected = source.batch(5)
    torch.manual_seed(workers)
    np.random.seed(workers)
    batch = next(islice(batches(source, 4, workers), 1, None))
    assert torch.equal(batch.image, expected.image)
    assert torch.equal(batch.target, expected.target)


def test_steps_samples_and_streams_differ(source, tiny_cases, tiny_configuration):
    validation = PatchSource(tiny_cases, tiny_configuration, (16, 16, 16), None, VALIDATION_STREAM, seed=3)
    images = [*source.batch(0).image, *source.batch(1).image, *validation.batch(0).image]
    assert len({image.numpy().tobytes() for image in images}) == len(images)


def test_an_unaugmented_patch_is_a_cut_of_the_stored_case(tiny_cases, tiny_configuration):
    source = PatchSource(tiny_cases[:1], tiny_configuration, (16, 16, 16), None, VALIDATION_STREAM, seed=0)
    case = tiny_cases[0]
    whole, _ = case.read(tuple((0, size) for size in case.shape))
    windows = np.lib.stride_tricks.sliding_window_view(whole[0], (16, 16, 16)).reshape(-1, 16**3)
    for patch in source.batch(0).image.numpy():
        assert (windows == patch.reshape(-1)).all(axis=1).any()


def test_a_third_of_a_batch_is_foreground(tiny_configuration):
    random = np.random.default_rng(0)
    counts = {}
    for size in (2, 3, 7, 12):
        configuration = tiny_configuration.model_copy(update={"batch_size": size})
        counts[size] = sum(is_foreground_sample(configuration, index, random) for index in range(size))
    assert counts == {2: 1, 3: 1, 7: 2, 12: 4}
    alone = tiny_configuration.model_copy(update={"batch_size": 1})
    assert sum(is_foreground_sample(alone, 0, random) for _ in range(3000)) == pytest.approx(1000, abs=100)


def test_a_foreground_box_contains_the_label_and_labels_are_drawn_evenly(tiny_cases, tiny_configuration):
    small = tiny_configuration.model_copy(update={"patch_size": (4, 4, 4)})
    random = np.random.default_rng(0)
    centres = Counter()
    for _ in range(200):
        box = draw_box(tiny_cases[0], small, (4, 4, 4), True, random)
        _, labels = tiny_cases[0].read(box)
        centres[int(labels[2, 2, 2])] += 1
    assert set(centres) == {1, 2}
    assert centres[2] == pytest.approx(100, abs=30)  # the core has a quarter of the voxels of the shell


def test_random_boxes_reach_every_edge_and_no_further_than_needed(tiny_cases, tiny_configuration):
    random = np.random.default_rng(0)
    case = tiny_cases[0]
    assert case.shape == (16, 24, 20)
    boxes = [draw_box(case, tiny_configuration, (20, 20, 20), False, random) for _ in range(400)]
    starts = np.array([[start for start, _ in box] for box in boxes])
    assert starts.min(axis=0).tolist() == [-2, -2, -2]
    assert starts.max(axis=0).tolist() == [16 + 2 - 20, 24 + 2 - 20, 20 + 2 - 20]


def test_whole_cases_are_centred(tiny_cases, tiny_configuration):
    whole = tiny_configuration.model_copy(update={"whole_case": True, "patch_size": (24, 24, 24)})
    box = draw_box(tiny_cases[0], whole, (24, 24, 24), True, np.random.default_rng(0))
    assert box == ((-4, 20), (0, 24), (-2, 22))


def test_a_2d_patch_is_a_slice_across_axis_0(tiny_cases, tiny_configuration):
    network = tiny_configuration.network.model_copy(update={"dimensions": 2})
    flat = tiny_configuration.model_copy(update={"patch_size": (16, 16), "network": network})
    source = PatchSource(tiny_cases[:1], flat, (16, 16), None, VALIDATION_STREAM, seed=0)
    whole, _ = tiny_cases[0].read(tuple((0, size) for size in tiny_cases[0].shape))
    patch = source.batch(0).image[0, 0].numpy()
    assert patch.shape == (16, 16)
    windows = np.lib.stride_tricks.sliding_window_view(whole[0], (1, 16, 16)).reshape(-1, 16**2)
    assert (windows == patch.reshape(-1)).all(axis=1).any()
