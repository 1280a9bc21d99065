"""Sweeps ask for the right steps and say what they found; the measuring itself has its own tests."""

import json
from math import prod

import numpy as np
import pytest

from autoseg.pipeline import memory_sweeps
from autoseg.pipeline.memory_sweeps import fit_line, largest_that_fits, largest_volume, memory_by_classes
from autoseg.runtime.devices import Execution
from autoseg.training import step_memory
from autoseg.training.step_memory import StepMemory

CPU = Execution("cpu", "fp32", channels_last=True)


@pytest.fixture
def asked(monkeypatch):
    """A step that takes 0.5 GB, 1 kB a voxel and 10 MB a class; what was asked for."""
    calls = []

    def measure(configuration, num_classes, num_channels, execution, limit_gb):
        calls.append((configuration.patch_size, configuration.batch_size, num_classes, num_channels))
        peak = 0.5 + 1e-6 * configuration.batch_size * prod(configuration.patch_size) + 0.01 * num_classes
        return StepMemory(0.3, peak if peak <= limit_gb else None, 0.1)

    monkeypatch.setattr(step_memory, "measure", measure)
    return calls


def test_memory_by_classes_is_that_of_the_configuration_as_planned(asked, tiny_plan):
    configuration = tiny_plan.configurations["3d_fullres"]
    sweep = memory_by_classes(tiny_plan, configuration, [2, 8, 32, 118], CPU, limit_gb=1.0)
    assert asked == [((16, 16, 16), 2, number, 1) for number in (2, 8, 32, 118)]
    assert sweep.peak_gb[3] is None
    assert sweep.slope_gb == pytest.approx(0.01)
    assert sweep.intercept_gb == pytest.approx(0.5 + 2 * 16**3 * 1e-6)
    assert sweep.r_squared == pytest.approx(1)
    assert "10.00 MB more for each class" in memory_sweeps.line_sentence(sweep)


def test_the_largest_volume_is_the_largest_multiple_of_the_strides(asked, tiny_plan):
    configuration = tiny_plan.configurations["3d_fullres"]
    found = largest_volume(tiny_plan, configuration, CPU, limit_gb=2.0)
    assert found.multiple == 4
    assert found.size == 112  # 0.53 + 112**3 / 1e6 = 1.93; 116**3 / 1e6 would be 1.56
    assert found.peak_gb == pytest.approx(0.53 + 112**3 * 1e-6)
    assert {batch for _, batch, _, _ in asked} == {1}
    assert {classes for _, _, classes, _ in asked} == {3}
    assert len(asked) == len(set(asked))
    assert found.tried[116] is None


def test_the_largest_volume_of_what_never_fits_is_nothing(asked, tiny_plan):
    found = largest_volume(tiny_plan, tiny_plan.configurations["3d_fullres"], CPU, limit_gb=0.1)
    assert (found.size, found.peak_gb, len(asked)) == (0, None, 1)


@pytest.mark.parametrize("largest", [0, 1, 2, 3, 7, 8, 100])
def test_bisection_finds_the_border_in_few_questions(largest):
    asked = []
    assert largest_that_fits(lambda number: asked.append(number) or number <= largest, 2) == (
        largest if largest >= 2 else 0
    )
    assert min(asked) == 2
    assert len(asked) <= 2 * (largest.bit_length() + 1)
    assert len(set(asked)) == len(asked)


def test_the_line_is_that_of_numpy():
    random = np.random.default_rng(0)
    x, y = np.arange(6.0), random.normal(size=6)
    slope, intercept, r_squared = fit_line(list(zip(x, y, strict=True)))
    assert (slope, intercept) == pytest.approx(tuple(np.polyfit(x, y, 1)))
    assert r_squared == pytest.approx(np.corrcoef(x, y)[0, 1] ** 2)
    assert fit_line([(1, 2), (2, 3)]) == (None, None, None)


def test_the_limit_is_what_was_asked_for_or_the_default():
    assert memory_sweeps.memory_limit_gb("cpu", None, 8.0) == 8.0
    assert memory_sweeps.memory_limit_gb("cuda", 3.0, 8.0) == 3.0


def test_what_was_found_is_written(asked, tiny_plan, tmp_path):
    configuration = tiny_plan.configurations["3d_fullres"]
    sweep = memory_by_classes(tiny_plan, configuration, [2, 8, 118], CPU, limit_gb=1.0)
    rows = memory_sweeps.write_class_sweeps(tmp_path, [sweep])
    assert [row[1:] for row in rows] == [("2", "0.53"), ("8", "0.59"), ("118", "does not fit")]
    assert json.loads((tmp_path / "classes.json").read_text())[0]["peak_gb"][2] is None
    assert "too few points" in (tmp_path / "classes.md").read_text()
    assert (tmp_path / "classes.png").is_file()
    volume = largest_volume(tiny_plan, configuration, CPU, limit_gb=0.6)
    rows = memory_sweeps.write_largest_volumes(tmp_path, [volume])
    assert rows == [("3d_fullres", "fp32", "40", "4", "0.59", "0.6")]
    assert json.loads((tmp_path / "largest_volume.json").read_text())[0]["size"] == 40
