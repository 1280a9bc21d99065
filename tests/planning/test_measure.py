"""Measurements against numpy on whole arrays, in every orientation."""

from __future__ import annotations

import itertools
import tracemalloc
import weakref
from dataclasses import replace
from pathlib import Path

import nibabel
import numpy as np
import pytest

from autoseg.core.case import Image
from autoseg.core.labels import Labels
from autoseg.planning import measure
from autoseg.planning.measure import (
    Joined,
    combine,
    concatenated,
    fingerprint_of,
    halved,
    measure_case,
    merge,
    pool,
    sample_intensities,
    summarize,
)

LABELS = Labels(values={"background": 0, "a": 1, "b": 2})


def pooled(*samples):
    whole = concatenated(samples)
    return pool(whole, np.arange(len(whole.mean)))


def made_case(rng: np.random.Generator, channels: int = 2) -> tuple[Image, np.ndarray]:
    """A canonical image with a nonzero box [(2, 9), (1, 12), (3, 11)] and two labels in it."""
    voxels = np.zeros((channels, 10, 14, 12), np.float32)
    voxels[:, 2:9, 1:12, 3:11] = rng.uniform(1, 100, (channels, 7, 11, 8))
    labels = np.zeros(voxels.shape[1:], np.int32)
    labels[3:6, 4:9, 5:8] = 1
    labels[6:8, 4:9, 5:8] = 2
    return Image(voxels, np.diag([1.0, 2.0, 3.0, 1.0])), labels


@pytest.mark.parametrize("order", list(itertools.permutations("RAS")))
@pytest.mark.parametrize("flips", [(False, False, False), (True, False, True), (True, True, True)])
def test_measurement_does_not_depend_on_the_stored_orientation(order, flips) -> None:
    image, labels = made_case(np.random.default_rng(0))
    code = "".join("LPI"["RAS".index(letter)] if flip else letter for letter, flip in zip(order, flips, strict=True))
    canonical = nibabel.orientations.axcodes2ornt("RAS")
    to_stored = nibabel.orientations.ornt_transform(canonical, nibabel.orientations.axcodes2ornt(code))
    volumes = [
        nibabel.Nifti1Image(volume, image.affine).as_reoriented(to_stored)
        for volume in (*image.voxels, labels.astype(np.int16))
    ]
    stored = Image(np.stack([np.asarray(v.dataobj) for v in volumes[:-1]]), volumes[0].affine)
    stored_labels = np.asarray(volumes[-1].dataobj).astype(np.int32)
    case, _ = measure_case("c", "d", "s", stored, stored_labels, LABELS)
    assert case.orientation == code
    assert case.shape == (10, 14, 12)
    assert case.spacing_mm == (1, 2, 3)
    assert case.box == ((2, 9), (1, 12), (3, 11))
    assert case.label_volumes_mm3 == pytest.approx({"a": 45 * 6, "b": 30 * 6})


def test_box_is_the_union_over_channels_and_the_whole_of_a_zero_image() -> None:
    voxels = np.zeros((2, 6, 6, 6), np.float32)
    labels = np.zeros((6, 6, 6), np.int32)
    zero, _ = measure_case("c", "d", "s", Image(voxels, np.eye(4)), labels, LABELS)
    assert zero.box == ((0, 6),) * 3
    voxels[0, 1, 2, 3] = voxels[1, 4, 2, 3] = -1
    case, _ = measure_case("c", "d", "s", Image(voxels, np.eye(4)), labels, LABELS)
    assert case.box == ((1, 5), (2, 3), (3, 4))


def test_labels_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match="labels have shape"):
        measure_case("c", "d", "s", Image(np.zeros((1, 3, 3, 3)), np.eye(4)), np.zeros((3, 3, 4), np.int32), LABELS)


def test_statistics_of_one_case_are_those_of_numpy() -> None:
    values = np.random.default_rng(1).gamma(2, 5e5, (2, 50_000)).astype(np.float32)  # intensities like hippocampus-c
    for channel, statistics in zip(
        values.astype(np.float64), pooled(sample_intensities(values, True, values)), strict=True
    ):
        low, median, high = np.percentile(channel, (0.5, 50, 99.5))
        assert statistics.mean == pytest.approx(channel.mean(), rel=1e-6)
        assert statistics.std == pytest.approx(channel.std(), rel=1e-5)
        assert (statistics.minimum, statistics.maximum) == (channel.min(), channel.max())
        assert statistics.median == pytest.approx(median, rel=1e-3)
        assert statistics.percentile_00_5 == pytest.approx(low, rel=5e-3)
        assert statistics.percentile_99_5 == pytest.approx(high, rel=5e-3)


def test_every_case_weighs_the_same() -> None:
    rng = np.random.default_rng(2)
    # 0.5 % of both is 1 % of the small case: in the middle of its third voxel, not on a step between two
    small, large = rng.normal(10, 1, (1, 250)), rng.normal(50, 3, (1, 90_000))
    (both,) = pooled(sample_intensities(small, True, small), sample_intensities(large, True, large))
    drawn = np.concatenate([rng.choice(small[0], 400_000), rng.choice(large[0], 400_000)])  # as nnU-Net does
    assert both.mean == pytest.approx(drawn.mean(), rel=2e-3)
    assert both.std == pytest.approx(drawn.std(), rel=2e-3)
    assert both.percentile_00_5 == pytest.approx(np.percentile(drawn, 0.5), rel=5e-3)
    assert both.percentile_99_5 == pytest.approx(np.percentile(drawn, 99.5), rel=5e-3)


def test_cases_without_foreground_count_only_among_themselves() -> None:
    seven, three = np.full((1, 9), 7.0), np.full((1, 9), 3.0)
    empty, full = sample_intensities(seven, False, seven), sample_intensities(three, True, three)
    assert pooled(empty, full)[0].mean == 3
    assert pooled(empty)[0].mean == 7
    assert pooled(sample_intensities(np.zeros((1, 0)), False, np.zeros((1, 1))))[0].maximum == 0


def test_all_voxels_of_all_cases_are_pooled_too() -> None:
    rng = np.random.default_rng(4)
    cases = [rng.normal(level, 2, (2, 500)).astype(np.float32) for level in (3, 9, 20)]
    samples = [sample_intensities(case[:, :10], number > 0, case) for number, case in enumerate(cases)]
    found = pooled(*samples)
    for channel, statistics in zip(np.concatenate(cases, axis=1).astype(np.float64), found, strict=True):
        assert statistics.whole_mean == pytest.approx(channel.mean(), rel=1e-6)
        assert statistics.whole_std == pytest.approx(channel.std(), rel=1e-6)


def test_foreground_only_is_sampled() -> None:
    image, labels = made_case(np.random.default_rng(3))
    _, sample = measure_case("c", "d", "s", image, labels, LABELS)
    assert sample.of_foreground
    assert sample.mean[0] == pytest.approx(image.voxels[:, labels > 0].mean(axis=1), rel=1e-5)


def measured_cases(num_cases: int) -> list:
    rng = np.random.default_rng(4)
    cases = [made_case(rng, 1) for _ in range(num_cases)]
    return [
        measure_case(
            f"case{i:03}", f"site{i % 2}", f"s{i}", Image(image.voxels * (1 + i % 2), image.affine), labels, LABELS
        )
        for i, (image, labels) in enumerate(cases)
    ]


def test_fingerprint_does_not_depend_on_the_order_of_cases() -> None:
    measured = measured_cases(6)
    fingerprint = combine("D", ["T1w"], LABELS, measured)
    assert combine("D", ["T1w"], LABELS, reversed(measured)) == fingerprint
    assert [case.name for case in fingerprint.cases] == sorted(case.name for case in fingerprint.cases)
    of_site = [statistics[0].mean for statistics in fingerprint.domain_intensities.values()]
    assert np.mean(of_site) == pytest.approx(fingerprint.intensities[0].mean)
    assert of_site[1] > 1.5 * of_site[0]


def test_memory_is_bounded_by_halving_the_samples(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = measured_cases(40)
    whole = combine("D", ["T1w"], LABELS, measured).intensities[0]
    monkeypatch.setattr(measure, "LARGEST_SAMPLE", 40 * 512)
    sizes = []
    monkeypatch.setattr(measure, "pool", lambda samples, _: sizes.append(samples.quantiles.shape[2]) or ())
    combine("D", ["T1w"], LABELS, measured)
    assert sizes[0] == 512
    monkeypatch.setattr(measure, "pool", pool)
    halved = combine("D", ["T1w"], LABELS, measured).intensities[0]
    assert halved.mean == whole.mean
    assert halved.median == pytest.approx(whole.median, rel=1e-2)
    assert halved.percentile_99_5 == pytest.approx(whole.percentile_99_5, rel=1e-2)


def test_no_cases_give_an_empty_fingerprint() -> None:
    assert len(combine("D", ["T1w"], LABELS, []).cases) == 0


def test_real_case_equals_a_direct_computation(real_data: Path) -> None:
    folder = real_data / "spinal-cord"
    path = sorted(folder.glob("sub-*/**/*T2star.nii.gz"))[0]
    labels_path = sorted(folder.glob("derivatives/**/*T2star*gmseg-manual.nii.gz"))[0]
    volume, mask = nibabel.load(path), np.asarray(nibabel.load(labels_path).dataobj).round().astype(np.int32)
    image = Image(np.asarray(volume.dataobj, np.float32)[None], volume.affine)
    case, sample = measure_case("c", "d", "s", image, mask, Labels(values={"grey": 1}))
    canonical = nibabel.as_closest_canonical(volume)
    assert case.shape == canonical.shape
    assert case.spacing_mm == pytest.approx(canonical.header.get_zooms(), rel=1e-4)
    assert case.orientation == "".join(nibabel.aff2axcodes(volume.affine))
    assert case.label_volumes_mm3["grey"] == pytest.approx(
        np.prod(volume.header.get_zooms()) * (mask == 1).sum(), rel=1e-3
    )
    assert sample.mean[0, 0] == pytest.approx(np.asarray(volume.dataobj, np.float64)[mask > 0].mean(), rel=1e-6)


@pytest.mark.parametrize("sizes", [(1, 39), (20, 20), (3, 5, 32), (0, 40)])
def test_shards_merged_in_any_grouping_are_one_pass_bit_for_bit(sizes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measure, "LARGEST_SAMPLE", 40 * 512)
    monkeypatch.setattr(measure, "CASES_AT_A_TIME", 7)
    measured = measured_cases(40)
    order = np.random.default_rng(7).permutation(40)
    ends = np.cumsum(sizes)
    shards = [summarize(measured[place] for place in part) for part in np.split(order, ends[:-1])]
    whole = combine("D", ["T1w"], LABELS, measured)
    assert fingerprint_of("D", ["T1w"], LABELS, merge(shards)) == whole
    one_by_one = merge(())
    for shard in reversed(shards):
        one_by_one = merge((one_by_one, shard))
    assert fingerprint_of("D", ["T1w"], LABELS, one_by_one).model_dump_json() == whole.model_dump_json()
    assert merge(shards).samples.quantiles.nbytes <= 4 * measure.LARGEST_SAMPLE


def test_measured_cases_are_not_held_as_they_come() -> None:
    alive: list[weakref.ref] = []

    def measured():
        for case, sample in measured_cases(200):
            copied = replace(sample, quantiles=sample.quantiles.copy())
            alive.append(weakref.ref(copied))
            yield case, copied
            del copied
            assert sum(one() is not None for one in alive) <= measure.CASES_AT_A_TIME + 1

    assert len(summarize(measured()).cases) == len(alive) == 200


@pytest.mark.parametrize("largest", [8192 * 9, 8192, 8])
def test_quantiles_in_one_place_are_those_that_are_halved_case_by_case(
    largest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measure, "LARGEST_SAMPLE", largest)
    monkeypatch.setattr(measure, "PAIRED_AT_A_TIME", 6000)
    rng, values, held = np.random.default_rng(8), [], Joined()
    for number in (1, 3, 5, 8, 3):
        some = [rng.normal(0, 9, (2, 500)).astype(np.float32) for _ in range(number)]
        more = concatenated([sample_intensities(one, True, one) for one in some])
        values += list(more.quantiles)
        held.add(more)
        for place in range(len(values)):
            while values[place].shape[1] > measure.quantiles_of(len(values)):
                values[place] = halved(values[place])
        np.testing.assert_array_equal(held.all().quantiles, values)
        assert held.all().mean.shape == (len(values), 2)


def test_what_is_held_of_a_case_is_small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measured: 27 bytes a case, and 300 on the way; objects take 1000. The quantiles have a bound of their own."""
    (case, sample), *_ = measured_cases(1)
    small = replace(sample, quantiles=sample.quantiles[..., :8])
    monkeypatch.setattr(measure, "QUANTILES_PER_CASE", 8)
    tracemalloc.start()
    try:
        fingerprint = combine(
            "D", ["T1w"], LABELS, ((replace(case, name=f"case{number:05}"), small) for number in range(2000))
        )
        held, highest = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(fingerprint.cases) == 2000
    assert held / 2000 < 60
    assert highest / 2000 < 600
