"""The learning rate over epochs and over time."""

import time

import pytest

from autoseg.core.plan import TrainingSpec
from autoseg.training.schedule import Clock


def test_by_epochs_the_rate_falls_as_nnunet_per_epoch():
    clock = Clock(TrainingSpec(epochs=10, steps_per_epoch=5))
    assert clock.fraction(25) == 0.5
    assert clock.learning_rate(0) == clock.learning_rate(4) == 0.01
    assert clock.learning_rate(27) == pytest.approx(0.01 * (1 - 5 / 10) ** 0.9)


def test_with_a_budget_everything_follows_elapsed_time():
    clock = Clock(TrainingSpec(time_budget_s=1000), elapsed_before_s=600, started=time.monotonic() - 150)
    assert clock.fraction(3) == pytest.approx(0.75, abs=1e-3)
    assert clock.learning_rate(3) == pytest.approx(0.01 * 0.25**0.9, rel=1e-2)


def test_the_rate_rises_first_where_the_plan_says_so():
    clock = Clock(TrainingSpec(epochs=1, steps_per_epoch=100, warmup_steps=4))
    assert [clock.learning_rate(step) for step in (0, 2, 4, 50)] == pytest.approx([0.002, 0.006, 0.01, 0.01])


def test_time_after_the_budget_does_not_count():
    assert Clock(TrainingSpec(time_budget_s=1), elapsed_before_s=5).fraction(0) == 1
    assert Clock(TrainingSpec(time_budget_s=1), elapsed_before_s=5).learning_rate(0) == 0
