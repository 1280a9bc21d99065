"""What a training step sees."""

import threading
from collections import Counter
from dataclasses import replace
from itertools import islice
from math import prod

import numpy as np
import pytest
import torch

from autoseg.core.case import Case
from autoseg.core.geometry import box_shape
from autoseg.core.labels import Labels
from autoseg.io.store import DecodedCases, open_case, save_case
from autoseg.training import augmentation
from autoseg.training.patches import (
    TRAINING_STREAM,
    VALIDATION_STREAM,
    PatchSource,
    batches,
    draw_box,
    draw_centre,
    is_foreground_sample,
)

TINY = Labels(values={"shell": 1, "core": 2})


@pytest.fixture
def source(tiny_cases, tiny_configuration):
    return PatchSource(tiny_cases, tiny_configuration, TINY, True, TRAINING_STREAM, seed=3)


class Watched:
    """A case that notes what is read of it, and can be told to wait or to fail."""

    def __init__(self, case):
        self.case = case
        self.shape, self.num_channels, self.foreground = case.shape, case.num_channels, case.foreground
        self.boxes = []
        self.before = lambda: None

    def read(self, box):
        self.boxes.append(box)
        self.before()
        return self.case.read(box)


def same(batch, expected):
    return torch.equal(batch.image, expected.image) and torch.equal(batch.target, expected.target)


def test_batches_have_the_patch_size_and_labels_without_padding_marks(source):
    batch = source.batch(0)
    assert batch.image.shape == (2, 1, 16, 16, 16)
    assert batch.image.dtype == torch.float32
    assert batch.target.shape == (2, 16, 16, 16)
    assert batch.target.dtype == torch.int64
    assert 0 <= int(batch.target.min()) <= int(batch.target.max()) <= 2


@pytest.mark.parametrize(("workers", "ahead"), [(1, 0), (1, 2), (2, 0), (3, 3)])
@pytest.mark.parametrize("first_step", [0, 17])
def test_a_step_sees_the_same_batch_however_it_is_made_and_wherever_one_starts(source, workers, ahead, first_step):
    source = replace(source, configuration=source.configuration.model_copy(update={"batch_size": 15}))
    made = batches(source, first_step, workers, ahead)
    fresh = replace(source, decoded=DecodedCases())
    for step, batch in enumerate(islice(made, 4), first_step):
        assert same(batch, fresh.batch(step))
    made.close()


def test_samples_do_not_depend_on_the_number_of_threads_of_torch(tiny_cases, tiny_configuration):
    """A patch large enough for torch to share out; the sums of each thread would round differently."""
    large = tiny_configuration.model_copy(update={"patch_size": (64, 64, 64)})
    source = PatchSource(tiny_cases, large, TINY, True, TRAINING_STREAM, seed=3)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = [source.sample(step, 1) for step in range(12)]
        torch.set_num_threads(4)
        assert all(torch.equal(source.sample(step, 1)[0], image) for step, (image, _) in enumerate(alone))
    finally:
        torch.set_num_threads(threads)


def test_the_global_generators_are_neither_read_nor_moved(source):
    expected = source.batch(5)
    torch.manual_seed(1)
    np.random.seed(1)
    before = torch.get_rng_state(), np.random.get_state()[1:3]
    assert all(same(one, source.batch(step)) for step, one in enumerate(islice(batches(source, 0, 2, 1), 6)))
    assert same(source.batch(5), expected)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert str(np.random.get_state()[1:3]) == str(before[1])


def test_only_what_a_sample_needs_is_read(tiny_cases, tiny_configuration):
    """The patch itself; where it is rotated or scaled, the box of its points, never more than the padded case."""
    small = tiny_configuration.model_copy(update={"patch_size": (8, 8, 8)})
    watched = Watched(tiny_cases[0])
    source = PatchSource([watched], small, TINY, True, TRAINING_STREAM, 0, decoded=DecodedCases(0))
    plain, moved = [], []
    for step in range(100):
        watched.boxes.clear()
        source.sample(step, 0)
        (box,) = watched.boxes
        random = np.random.default_rng((0, TRAINING_STREAM, step, 0))
        random.integers(1)
        centre = draw_centre(watched, TINY, is_foreground_sample(small, 0, random), random)
        draw_box(watched, small, augmentation.initial_patch_size((8, 8, 8), small.augmentation), centre, random)
        matrix = augmentation.draw(small, 1, random).matrix
        (plain if matrix is None else moved).append(box)
        if matrix is not None:
            extent = np.abs(matrix) @ np.full(3, 7)
            assert (np.array(box_shape(box)) <= np.floor(extent) + 3).all()
    assert {box_shape(box) for box in plain} == {(8, 8, 8)}
    assert len(plain) / 100 == pytest.approx(0.64, abs=0.15)
    assert 8**3 / 4 < np.mean([prod(box_shape(box)) for box in moved]) < 3 * 8**3
    assert max(prod(box_shape(box)) for box in moved) <= prod(size + 4 for size in watched.shape)


def test_small_cases_are_read_once(tiny_cases, tiny_configuration):
    watched = [Watched(case) for case in tiny_cases]
    source = PatchSource(watched, tiny_configuration, TINY, True, TRAINING_STREAM, seed=3)
    for step in range(40):
        source.batch(step)
    assert [len(case.boxes) for case in watched] == [1] * 6


def test_no_more_than_asked_for_is_made_in_advance_and_closing_leaves_nothing_behind(tiny_cases, tiny_configuration):
    watched, hold = Watched(tiny_cases[0]), threading.Event()
    hold.set()
    watched.before = hold.wait
    source = PatchSource([watched], tiny_configuration, TINY, True, TRAINING_STREAM, 3, decoded=DecodedCases(0))
    made = batches(source, 0, workers=2, ahead=3)
    next(made)
    hold.clear()
    threading.Timer(0.2, hold.set).start()
    made.close()  # waits for the two samples at work, not for those that have not begun
    finished = len(watched.boxes)
    assert 2 <= finished <= 2 * (1 + 3)
    threading.Event().wait(0.05)
    assert len(watched.boxes) == finished


def test_what_goes_wrong_in_a_thread_is_raised_where_the_batch_is_asked_for(tiny_cases, tiny_configuration):
    watched = Watched(tiny_cases[0])
    source = PatchSource([watched], tiny_configuration, TINY, True, TRAINING_STREAM, 3, decoded=DecodedCases(0))
    made = batches(source, 0, workers=2, ahead=2)
    next(made)

    def fail():
        raise OSError("disk gone")

    watched.before = fail
    with pytest.raises(OSError, match="disk gone"):
        list(islice(made, 5))


def test_steps_samples_and_streams_differ(source, tiny_cases, tiny_configuration):
    validation = PatchSource(tiny_cases, tiny_configuration, TINY, False, VALIDATION_STREAM, seed=3)
    images = [*source.batch(0).image, *source.batch(1).image, *validation.batch(0).image]
    assert len({image.numpy().tobytes() for image in images}) == len(images)


def test_an_unaugmented_patch_is_a_cut_of_the_stored_case(tiny_cases, tiny_configuration):
    source = PatchSource(tiny_cases[:1], tiny_configuration, TINY, False, VALIDATION_STREAM, seed=0)
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
        centre = draw_centre(tiny_cases[0], TINY, True, random)
        box = draw_box(tiny_cases[0], small, (4, 4, 4), centre, random)
        _, labels = tiny_cases[0].read(box)
        centres[int(labels[2, 2, 2])] += 1
    assert set(centres) == {1, 2}
    assert centres[2] == pytest.approx(100, abs=30)  # the core has a quarter of the voxels of the shell


def test_regions_are_drawn_evenly_and_may_share_voxels(tiny_cases):
    """The core is also in the larger region, of which it is a part of about a quarter."""
    regions = Labels(values={"ball": (1, 2), "core": (2,)}, region_order=(1, 2))
    random = np.random.default_rng(0)
    case = tiny_cases[0]
    share = len(case.foreground[2]) / (len(case.foreground[1]) + len(case.foreground[2]))
    centres = [draw_centre(case, regions, True, random) for _ in range(400)]
    labels = case.read(tuple((0, size) for size in case.shape))[1]
    in_core = sum(labels[centre] == 2 for centre in centres)
    assert in_core / 400 == pytest.approx(0.5 + 0.5 * share, abs=0.08)


def test_where_voxels_are_ignored_every_patch_is_around_a_known_one(tiny_cases, tiny_configuration, tmp_path):
    sparse = Labels(values={"shell": 1, "ignore": 2})
    case = tiny_cases[0]
    image, labels = case.read(tuple((0, size) for size in case.shape))
    labels[:, :, 10:] = 2  # half of the volume, and the core
    save_case(tmp_path, Case("sparse", image, labels, case.trace), "key", ignored=sparse.ignore_index)
    stored = open_case(tmp_path, "sparse")
    assert set(stored.foreground) == {-1, 1}
    random = np.random.default_rng(0)
    anywhere = [draw_centre(stored, sparse, False, random) for _ in range(300)]
    assert {int(labels[centre]) for centre in anywhere} == {0, 1}
    assert {int(labels[draw_centre(stored, sparse, True, random)]) for _ in range(50)} == {1}
    assert draw_centre(case, TINY, False, random) is None


def test_random_boxes_reach_every_edge_and_no_further_than_needed(tiny_cases, tiny_configuration):
    random = np.random.default_rng(0)
    case = tiny_cases[0]
    assert case.shape == (16, 24, 20)
    boxes = [draw_box(case, tiny_configuration, (20, 20, 20), None, random) for _ in range(400)]
    starts = np.array([[start for start, _ in box] for box in boxes])
    assert starts.min(axis=0).tolist() == [-2, -2, -2]
    assert starts.max(axis=0).tolist() == [16 + 2 - 20, 24 + 2 - 20, 20 + 2 - 20]


def test_whole_cases_are_centred(tiny_cases, tiny_configuration):
    whole = tiny_configuration.model_copy(update={"whole_case": True, "patch_size": (24, 24, 24)})
    box = draw_box(tiny_cases[0], whole, (24, 24, 24), (3, 3, 3), np.random.default_rng(0))
    assert box == ((-4, 20), (0, 24), (-2, 22))


def test_a_2d_patch_is_a_slice_across_axis_0(tiny_cases, tiny_configuration):
    network = tiny_configuration.network.model_copy(update={"dimensions": 2})
    flat = tiny_configuration.model_copy(update={"patch_size": (16, 16), "network": network})
    source = PatchSource(tiny_cases[:1], flat, TINY, False, VALIDATION_STREAM, seed=0)
    whole, _ = tiny_cases[0].read(tuple((0, size) for size in tiny_cases[0].shape))
    patch = source.batch(0).image[0, 0].numpy()
    assert patch.shape == (16, 16)
    windows = np.lib.stride_tricks.sliding_window_view(whole[0], (1, 16, 16)).reshape(-1, 16**2)
    assert (windows == patch.reshape(-1)).all(axis=1).any()


@pytest.mark.parametrize("workers", [1, 2])
def test_2d_patches_are_augmented_in_their_slice(tiny_cases, tiny_configuration, workers):
    network = tiny_configuration.network.model_copy(update={"dimensions": 2})
    spec = tiny_configuration.augmentation.model_copy(update={"rotation_degrees": 180.0, "mirror_axes": (0, 1)})
    flat = tiny_configuration.model_copy(update={"patch_size": (16, 16), "network": network, "augmentation": spec})
    watched = [Watched(case) for case in tiny_cases]
    source = PatchSource(watched, flat, TINY, True, TRAINING_STREAM, seed=0, decoded=DecodedCases(0))
    made = batches(source, 0, workers, 0)
    for _ in range(20):
        batch = next(made)
        assert batch.image.shape == (2, 1, 16, 16)
        assert batch.target.shape == (2, 16, 16)
    shapes = [box_shape(box) for case in watched for box in case.boxes]
    assert {first for first, *_ in shapes} == {1}
    assert (1, 16, 16) in shapes
    assert len(set(shapes)) > 5
