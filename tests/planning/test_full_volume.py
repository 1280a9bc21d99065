"""Whole-case configurations: what they hold, and what memory does to them."""

from __future__ import annotations

import math

from autoseg.core.plan import Configuration
from autoseg.planning.full_volume import BASE_FEATURES, LARGEST_BATCH, full_volume
from autoseg.planning.memory import BYTES_OF_PROCESS, training_bytes
from autoseg.planning.planner import make_plan


def fullres_of(make_fingerprint, shape, spacing_mm=(1, 1, 1)) -> Configuration:
    return make_plan(make_fingerprint(shape=shape, spacing_mm=spacing_mm)).configurations["3d_fullres"]


def test_patch_holds_the_largest_case_in_the_spacing_of_fullres(make_fingerprint) -> None:
    fullres = fullres_of(make_fingerprint, (36, 50, 35))
    configuration, decision = full_volume(fullres, (44, 59, 47), 1e9, 3, 8)
    assert configuration is not None
    assert configuration.patch_size == (48, 64, 48)
    assert configuration.whole_case
    assert configuration.spacing_mm == fullres.spacing_mm
    assert configuration.batch_size == LARGEST_BATCH
    assert "48 x 64 x 48" in decision.reason


def test_batch_covers_at_most_five_percent_of_the_dataset(make_fingerprint) -> None:
    fullres = fullres_of(make_fingerprint, (36, 50, 35))
    for cases, batch in ((1, 1), (60, 3)):
        configuration, _ = full_volume(fullres, (48, 64, 48), 48 * 64 * 48 * cases, 3, 8)
        assert configuration is not None
        assert configuration.batch_size == batch


def test_features_shrink_with_the_memory_until_nothing_fits(make_fingerprint) -> None:
    fullres, shape = fullres_of(make_fingerprint, (130, 156, 124)), (124, 156, 130)
    bases = []
    for memory_gb in (64, 8, 5, 4, 3.5, 2):
        configuration, decision = full_volume(fullres, shape, 1e6, 2, memory_gb)
        if configuration is None:
            bases.append(0)
            assert decision.choice == "left out"
            assert f"{memory_gb:g} GB are given" in decision.reason
            continue
        bases.append(configuration.network.features_per_stage[0])
        need = training_bytes(configuration.network, configuration.patch_size, configuration.batch_size, 1, 2)
        assert need + BYTES_OF_PROCESS <= memory_gb * 1e9
    assert bases[0] == BASE_FEATURES[0]
    assert bases == sorted(bases, reverse=True)
    assert bases[-1] == 0
    assert len(set(bases)) >= 4


def test_flat_volumes_are_augmented_in_the_plane(make_fingerprint) -> None:
    fullres = fullres_of(make_fingerprint, (54, 49, 9), (0.5, 0.5, 7.5))
    configuration, _ = full_volume(fullres, (9, 54, 49), 1e6, 2, 8)
    assert configuration is not None
    assert configuration.augmentation.dummy_2d
    assert math.isclose(configuration.augmentation.rotation_degrees, 180)
