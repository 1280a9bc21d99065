"""Every case is a point where its measurements are; outliers are ringed, numbered and named."""

from dataclasses import replace

import numpy as np
import pytest
from matplotlib.collections import PathCollection

from autoseg.core.fingerprint import CaseMeasurement, Fingerprint, IntensityStatistics
from autoseg.reporting.data_overview import MOST_POINTS, draw_images, draw_label_volumes
from tests.reporting.figure_texts import assert_texts_have_room

STATISTICS = IntensityStatistics(
    mean=1, median=1, std=1, minimum=0, maximum=2, percentile_00_5=0, percentile_99_5=2
)  # fmt: skip


def fingerprint(number, channels=("T1w",), labels=("core",), domains=("a",), far=None, scale=1.0):
    """``far`` is the case whose spacing, intensity and volumes are ten times those of the others."""
    rng, cases = np.random.default_rng(0), []
    for place in range(number):
        times = 10.0 if place == far else 1.0
        domain = domains[place % len(domains)]
        level = scale ** (place % len(domains))
        cases.append(
            CaseMeasurement(
                name=f"sub-{place:03d}", domain=domain, subject=str(place), orientation="RAS", shape=(100, 120, 90),
                spacing_mm=(1.0, 1.0, times), box=((0, 100), (0, 120), (0, 90)),
                label_volumes_mm3={label: float(times * rng.uniform(900, 1100)) for label in labels},
                intensity_quantiles=tuple(tuple(times * level * np.array([10.0, 50, 90])) for _ in channels),
            )
        )  # fmt: skip
    return Fingerprint(
        dataset="d", channels=channels, cases=cases,
        labels={"values": {"background": 0, **{name: value for value, name in enumerate(labels, start=1)}}},
        intensities=(STATISTICS,) * len(channels),
        domain_intensities={domain: (STATISTICS,) * len(channels) for domain in domains},
    )  # fmt: skip


def points(axes):
    return [collection.get_offsets() for collection in axes.collections if isinstance(collection, PathCollection)]


def rings(axes):
    return [line for line in axes.lines if line.get_marker() == "o" and line.get_markerfacecolor() == "none"]


def test_points_are_the_measurements():
    known = fingerprint(7, domains=("a", "b"))
    spacing, size, intensity = draw_images(known).axes
    assert [axes.get_ylabel() for axes in (spacing, size, intensity)] == [
        "spacing (mm)",
        "size (mm)",
        "median intensity",
    ]
    assert [len(offsets) for offsets in points(size)] == [3 * 4, 3 * 3]  # two domains, three axes
    for offsets in points(size):
        for axis, length in enumerate((100, 120, 90)):
            own = np.abs(offsets[:, 0] - axis) < 0.5  # in the place of the axis
            assert set(offsets[own, 1]) == {length}
    medians = size.collections[1].get_segments()
    assert [segment[0, 1] for segment in medians] == [100, 120, 90]
    (axes,) = draw_label_volumes(known).axes
    drawn = np.sort(np.concatenate([offsets[:, 0] for offsets in points(axes)]))
    np.testing.assert_allclose(drawn, np.sort([case.label_volumes_mm3["core"] / 1000 for case in known.cases]))
    assert axes.get_xlabel() == "volume (ml)"


def test_outliers_are_ringed_and_named():
    figure = draw_images(fingerprint(15, far=4))
    for axes, ringed in zip(figure.axes, (10, 900, 500), strict=True):
        assert [float(line.get_ydata()[0]) for line in rings(axes)] == [ringed]
        assert [text.get_text() for text in axes.texts] == ["1"]
    assert "1\N{NO-BREAK SPACE}sub-004" in figure._supxlabel.get_text()
    (axes,) = draw_label_volumes(fingerprint(15, far=4)).axes
    assert len(rings(axes)) == 1
    assert not [line for axes in draw_images(fingerprint(15)).axes for line in rings(axes)]


def test_a_label_that_is_not_there_has_no_point():
    known = fingerprint(5)
    cases = [replace(known.cases[0], label_volumes_mm3={"core": 0.0}), *known.cases[1:]]
    (axes,) = draw_label_volumes(known.model_copy(update={"cases": tuple(cases)})).axes
    assert [len(offsets) for offsets in points(axes)] == [4]
    nothing = [replace(case, label_volumes_mm3={"core": 0.0}) for case in known.cases]
    assert_texts_have_room(draw_label_volumes(known.model_copy(update={"cases": tuple(nothing)})))


def test_far_intensities_are_logarithmic():
    assert draw_images(fingerprint(6, domains=("a", "b"), scale=2)).axes[2].get_yscale() == "linear"
    assert draw_images(fingerprint(6, domains=("a", "b"), scale=1000)).axes[2].get_yscale() == "log"


def test_fingerprints_without_intensities_of_cases():
    known = fingerprint(3)
    cases = [replace(case, intensity_quantiles=()) for case in known.cases]
    assert len(draw_images(known.model_copy(update={"cases": tuple(cases)})).axes) == 2


def test_of_very_many_points_range_and_quartiles_are_drawn():
    known = fingerprint(MOST_POINTS // 30 + 1, labels=[f"region {place}" for place in range(30)])
    (axes,) = draw_label_volumes(known).axes
    assert not points(axes)
    volumes = np.array([case.label_volumes_mm3["region 0"] / 1000 for case in known.cases])
    thin, thick, median = (lines.get_segments()[0] for lines in axes.collections)
    np.testing.assert_allclose(thin[:, 0], [volumes.min(), volumes.max()])
    np.testing.assert_allclose(thick[:, 0], np.percentile(volumes, (25, 75)))
    np.testing.assert_allclose(median[:, 0], np.median(volumes))


@pytest.mark.parametrize(
    ("number", "channels", "labels", "domains", "far"),
    [(1, 1, 1, 1, None), (30, 2, 3, 2, 7), pytest.param(24, 6, 118, 9, None, marks=pytest.mark.slow)],
)
def test_texts_have_room(number, channels, labels, domains, far):
    names = [f"left superior frontal gyrus {place}" for place in range(labels)]
    known = fingerprint(
        number, tuple(f"channel {place}" for place in range(channels)), names,
        [f"hospital-{place}" for place in range(domains)], far, 3.0,
    )  # fmt: skip
    assert_texts_have_room(draw_images(known))
    assert_texts_have_room(draw_label_volumes(known))
