"""The learning rate over epochs and over time."""

import math
import time

import pytest

from autoseg.core.training_spec import TrainingSpec
from autoseg.training import schedule
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


@pytest.mark.parametrize(("epochs_done", "more"), [(1, 1), (10, 1), (11, 2), (30, 3), (45, 5)])
def test_a_plateau_ends_the_training_after_a_tenth_as_many_epochs(epochs_done, more):
    clock = Clock(TrainingSpec(epochs=100, steps_per_epoch=7))
    clock.plateau = clock.planned_fraction(epochs_done * 7)
    last = (epochs_done + more) * 7
    assert clock.fraction(last - 1) < 1 == clock.fraction(last)


def test_after_a_plateau_the_rate_falls_from_where_it_was_to_0():
    clock = Clock(TrainingSpec(epochs=100, steps_per_epoch=10))
    before = clock.learning_rate(300)
    clock.plateau = clock.planned_fraction(300)
    rates = [clock.learning_rate(step) for step in range(300, 331)]
    assert rates[0] == pytest.approx(before) == pytest.approx(0.01 * 0.7**0.9)
    assert rates[15] == pytest.approx(before * 0.5**0.9)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] == 0


def test_a_plateau_near_the_end_changes_only_that_the_rate_falls_per_step():
    clock = Clock(TrainingSpec(epochs=10, steps_per_epoch=10), plateau=0.95)
    assert clock.end == 1
    assert clock.learning_rate(97) == pytest.approx(0.01 * 0.03**0.9)


def test_with_a_budget_a_plateau_leaves_less_time():
    clock = Clock(TrainingSpec(epochs=40, time_budget_s=1000), elapsed_before_s=500, plateau=0.5)
    assert clock.end == 22 / 40
    assert clock.left_s == pytest.approx(50, abs=0.1)
    assert clock.learning_rate(0) == pytest.approx(0.01 * 0.5**0.9, rel=1e-2)
    assert Clock(TrainingSpec(epochs=40, time_budget_s=1000), elapsed_before_s=550, plateau=0.5).fraction(0) == 1


def test_the_other_schedules():
    cosine = Clock(TrainingSpec(epochs=10, steps_per_epoch=5, schedule="cosine", initial_learning_rate=0.1))
    assert [cosine.learning_rate(step) for step in (0, 4, 25, 49)] == pytest.approx(
        [0.1, 0.1, 0.05, 0.1 * (1 + math.cos(0.9 * math.pi)) / 2]
    )
    constant = Clock(TrainingSpec(epochs=10, steps_per_epoch=5, schedule="constant", initial_learning_rate=0.1))
    assert {constant.learning_rate(step) for step in range(50)} == {0.1}
    constant.plateau = 0.5
    assert constant.learning_rate(25) == pytest.approx(0.1)
    assert constant.learning_rate(30) == 0


def test_a_training_that_has_reached_its_loss_is_over():
    clock = Clock(TrainingSpec(epochs=10, steps_per_epoch=5))
    clock.reached = True
    assert clock.fraction(7) == 1


def test_the_time_left_is_that_of_this_run(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(schedule.time, "monotonic", lambda: now[0])
    clock = Clock(TrainingSpec(epochs=10, steps_per_epoch=10))
    assert clock.expected_left_s(40) is None  # a resumed training: what was done before took another time
    now[0] = 20.0
    assert clock.expected_left_s(50) == pytest.approx(100)  # 10 steps in 20 s, 50 are left
    budget = Clock(TrainingSpec(time_budget_s=100), started=20.0)
    now[0] = 50.0
    assert budget.expected_left_s(1) == 70
