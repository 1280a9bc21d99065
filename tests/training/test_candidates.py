"""The voxels that train a classifier: how many of which, and the patches around them."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from autoseg.core.augmentation_spec import AugmentationSpec, HalfTurns
from autoseg.core.case import Case
from autoseg.core.labels import Labels
from autoseg.core.network_spec import PublishedNetwork
from autoseg.core.plan import CandidateSpec
from autoseg.io.store import open_case, save_case
from autoseg.preprocessing import prepare
from autoseg.training.candidates import (
    CandidateSource,
    Drawn,
    Voxels,
    all_voxels,
    draw_voxels,
    not_too_many,
    shared_out,
)
from autoseg.training.patches import TRAINING_STREAM, VALIDATION_STREAM, batches

LABELS = Labels(values={"background": 0, "lesion": 1})
SPEC = CandidateSpec(channel=1, threshold=0.5, previous_training=0.5, fallback_threshold=1.5)
SHAPE = (14, 15, 16)


@pytest.fixture(scope="module")
def stored(tmp_path_factory, tiny_plan, tiny_configuration):
    """Stores an image ``(2, 14, 15, 16)`` and labels under a name."""
    from autoseg.core.case import Image

    folder = tmp_path_factory.mktemp("cases")
    voxels = np.zeros((1, *SHAPE), np.float32)
    trace = prepare.apply("any", Image(voxels, np.eye(4)), None, tiny_plan, tiny_configuration).trace

    def store(name, image, labels, ignored=None):
        save_case(folder, Case(name, image, labels.astype(np.int16), trace), "key", ignored=ignored)
        return open_case(folder, name)

    return store


@pytest.fixture(scope="module")
def brain():
    """Noise in two channels, and a lesion of 60 voxels, some of which are no candidates."""
    random = np.random.default_rng(3)
    image = random.normal(size=(2, *SHAPE)).astype(np.float32)
    labels = np.zeros(SHAPE, np.int16)
    labels[:3, 5:9, 2:7] = 1
    labels[10:, 12:] = -1
    return image, labels


@pytest.fixture(scope="module")
def case(stored, brain):
    return stored("sub-01", *brain)


def test_as_many_candidates_as_lesion_voxels(case, brain):
    image, labels = brain
    drawn = draw_voxels(case, SPEC, LABELS, seed=5)
    np.testing.assert_array_equal(drawn.positives, np.flatnonzero(labels == 1))
    assert (image[1].flat[drawn.positives] <= 0.5).any()
    assert len(drawn.negatives) == len(set(drawn.negatives.tolist())) == 60
    assert (image[1].flat[drawn.negatives] > 0.5).all()
    assert (labels.flat[drawn.negatives] <= 0).all()
    assert drawn.shortage is None


def test_a_draw_follows_from_the_seed_and_the_case(case, stored, brain):
    drawn = [draw_voxels(case, SPEC, LABELS, seed).negatives for seed in (5, 5, 6)]
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert set(drawn[0].tolist()) != set(drawn[2].tolist())
    other = draw_voxels(stored("sub-02", *brain), SPEC, LABELS, 5).negatives
    assert set(drawn[0].tolist()) != set(other.tolist())


def test_the_second_stage_sees_what_the_first_one_took_for_lesion(case, brain):
    image, labels = brain
    mistakes = np.zeros(SHAPE, np.float32)
    mistakes[4:10, 2:9, 3:15] = 0.51
    mistakes[labels == 1] = 0.9
    mistakes[11] = 0.5  # not more than the threshold
    drawn = draw_voxels(case, SPEC, LABELS, 5, mistakes)
    assert len(drawn.negatives) == len(drawn.positives) == 60
    assert (mistakes.flat[drawn.negatives] == np.float32(0.51)).all()
    assert (image[1].flat[drawn.negatives] > 0.5).all()


def test_where_the_first_stage_finds_nothing_bright_voxels_stand_in(case, brain):
    drawn = draw_voxels(case, SPEC, LABELS, 5, np.zeros(SHAPE, np.float32))
    assert len(drawn.negatives) == 60
    assert (brain[0][1].flat[drawn.negatives] > 1.5).all()


def test_few_candidates_are_all_taken(case, brain):
    image, labels = brain
    spec = SPEC.model_copy(update={"threshold": 2.3})
    drawn = draw_voxels(case, spec, LABELS, 5)
    np.testing.assert_array_equal(drawn.negatives, np.flatnonzero((image[1] > 2.3) & (labels <= 0)))
    assert 0 < len(drawn.negatives) < 60
    assert drawn.shortage == f"has {len(drawn.negatives)} candidates besides 60 lesion voxels; all are taken"


def test_a_case_without_a_lesion_gives_nothing(stored, brain):
    drawn = draw_voxels(stored("healthy", brain[0], np.zeros(SHAPE)), SPEC, LABELS, 5)
    assert len(drawn.positives) == len(drawn.negatives) == 0
    assert "has no lesion" in drawn.shortage


def test_voxels_without_a_reference_are_of_neither_kind(stored, brain):
    image, labels = brain
    labels = np.where(np.indices(SHAPE)[2] > 4, 2, np.maximum(labels, 0))
    ignoring = Labels(values={"background": 0, "lesion": 1, "ignore": 2})
    drawn = draw_voxels(stored("partial", image, labels, ignored=2), SPEC, ignoring, 5)
    places = np.concatenate((drawn.positives, drawn.negatives))
    assert len(drawn.positives) == len(drawn.negatives) == 36
    assert (labels.flat[places] < 2).all()


def test_a_quarter_of_the_voxels_of_each_case_and_kind_validates():
    drawn = [Drawn(np.arange(40), 100 + np.arange(20)), Drawn(np.arange(8), np.arange(0))]
    training, validation = shared_out(drawn, seed=1)
    everything = all_voxels(drawn)
    both = np.concatenate((training.places, validation.places))
    assert sorted(map(tuple, both)) == sorted(map(tuple, everything.places))
    numbers, flat = validation.places.T
    assert [(numbers == 0).sum(), (numbers == 1).sum()] == [15, 2]
    assert ((numbers == 0) & (flat < 100)).sum() == 10
    np.testing.assert_array_equal(shared_out(drawn, seed=1)[1].places, validation.places)
    assert not np.array_equal(shared_out(drawn, seed=2)[1].places, validation.places)
    np.testing.assert_array_equal(all_voxels(drawn, first=3).places[:, 0], everything.places[:, 0] + 3)


def test_no_more_than_a_quarter_of_all_voxels_validates():
    training, validation = Voxels(np.zeros((30, 2), np.int64)), Voxels(np.arange(60).reshape(30, 2))
    chosen = not_too_many(validation, training, seed=1)
    assert len(chosen.places) == 10
    assert set(map(tuple, chosen.places)) < set(map(tuple, validation.places))
    np.testing.assert_array_equal(not_too_many(validation, training, seed=1).places, chosen.places)
    few = Voxels(validation.places[:10])
    assert not_too_many(few, training, seed=1) is few


@pytest.fixture(scope="module")
def configuration(tiny_configuration):
    changes = {
        "patch_size": (11, 11, 11),
        "batch_size": 7,
        "sampling": "candidates",
        "candidates": SPEC,
        "network": PublishedNetwork(name="valverde2017", dimensions=3, size_multiple=(1, 1, 1)),
    }
    augmentation = tiny_configuration.augmentation.model_copy(update={"mirror_axes": (), "operations": ()})
    return tiny_configuration.model_copy(update={**changes, "augmentation": augmentation})


@pytest.fixture
def source(case, configuration):
    drawn = draw_voxels(case, SPEC, LABELS, seed=5)
    return CandidateSource([case], all_voxels([drawn]), configuration, True, TRAINING_STREAM, 9)


def test_a_sample_is_the_patch_around_a_voxel_and_the_class_of_the_voxel(case, configuration, brain):
    image, labels = brain
    padded = np.pad(image, ((0, 0), *((5, 5),) * 3))
    places = [(0, 0, 0), (1, 6, 3), (13, 14, 15), (6, 7, 8)]
    flat = np.ravel_multi_index(np.transpose(places), SHAPE)
    voxels = Voxels(np.stack((np.zeros(4, np.int64), flat), 1))
    plain = CandidateSource([case], voxels, configuration, False, VALIDATION_STREAM, 9)
    batch = plain.batch(0)
    assert batch.image.shape == (4, 2, 11, 11, 11)
    assert batch.target.shape == (4, 1, 1, 1)
    for (x, y, z), patch, target in zip(places, batch.image.numpy(), batch.target.numpy(), strict=True):
        np.testing.assert_array_equal(patch, padded[:, x : x + 11, y : y + 11, z : z + 11])
        assert target.item() == max(labels[x, y, z], 0)


def test_an_epoch_shows_every_voxel_once_in_an_order_of_its_own(source):
    assert source.voxels.num_batches(7) == 18  # of 120 voxels: 17 x 7 + 1
    assert [source.size(step) for step in (0, 16, 17, 18)] == [7, 7, 1, 7]
    epochs = [[source.sample(step, 0)[0][0, 5, 5, 5].item() for step in range(n, n + 18)] for n in (0, 18)]
    assert epochs[0] != epochs[1]
    seen = np.concatenate([source.batch(step).image[:, 1, 5, 5, 5].numpy() for step in range(18, 36)])
    case = source.cases[0]
    image, _ = case.read(tuple((0, size) for size in SHAPE))
    np.testing.assert_array_equal(np.sort(seen), np.sort(image[1].flat[source.voxels.places[:, 1]]))
    targets = np.concatenate([source.batch(step).target.numpy().ravel() for step in range(18)])
    assert targets.sum() == 60


def test_batches_do_not_depend_on_the_threads(source):
    alone, shared = batches(source, 15, 1, 0), batches(source, 15, 3, 2)
    for step in range(15, 21):
        one, other = next(alone), next(shared)
        assert len(one.image) == source.size(step)
        np.testing.assert_array_equal(one.image, other.image)
        np.testing.assert_array_equal(one.target, other.target)
    shared.close()


def test_the_patch_around_a_training_voxel_is_turned_by_half(source):
    """A half turn, a reversed axis or both, of half of the samples; of validation voxels never."""
    turning = AugmentationSpec(
        rotation_degrees=0, dummy_2d=False, mirror_axes=(), operations=(HalfTurns(op="half_turns", p=0.5),)
    )
    turned = replace(source, configuration=source.configuration.model_copy(update={"augmentation": turning}))
    still = replace(turned, augmented=False)
    kinds = Counter()
    for step in range(30):
        image, target = source.sample(step, 0)
        other, same = turned.sample(step, 0)
        flips = {"no": (), "turn": (2, 3), "last": (3,), "both": (2,)}
        kinds[next(name for name, axes in flips.items() if torch.equal(other, image.flip(axes)))] += 1
        assert torch.equal(target, same)
    assert set(kinds) == {"no", "turn", "last", "both"}
    assert kinds["no"] == pytest.approx(15, abs=7)
    assert torch.equal(still.sample(1, 0)[0], replace(source, augmented=False).sample(1, 0)[0])
