"""How long a training will take."""

import pytest

from autoseg.core.training_spec import TrainingSpec
from autoseg.training import forecast
from autoseg.training.forecast import Forecast

SPEC = TrainingSpec(epochs=10, steps_per_epoch=20, validation_steps=6)  # as long as 10 (20 + 6 / 3) = 220 steps


@pytest.fixture
def clock(monkeypatch):
    """Seconds that a test sets."""
    now = [100.0]
    monkeypatch.setattr(forecast.time, "monotonic", lambda: now[0])
    return now


def steps(one: Forecast, clock, *seconds: float) -> list[str | None]:
    told = []
    for duration in seconds:
        clock[0] += duration
        told.append(one.step())
    return told


def test_it_is_told_once_when_a_step_is_known(clock):
    one = Forecast(SPEC)
    # The first step, which is slow for other reasons, does not count.
    told = steps(one, clock, 30, 1, 1, 1, 1, 2, 1)
    assert told == [None] * 5 + ["a step takes 1.2 s: the training takes about 4m 24s", None]


def test_many_fast_steps_are_needed_and_few_slow_ones(clock):
    assert steps(Forecast(SPEC), clock, *[0.01] * 400) == [None] * 400
    assert steps(Forecast(SPEC), clock, 1, 12) == [None, "a step takes 12 s: the training takes about 44m 00s"]


def test_all_folds_are_told_and_a_remedy_where_it_is_long(clock):
    assert steps(Forecast(SPEC, folds=5), clock, 1, 30)[-1] == (
        "a step takes 30 s: the training takes about 1h 50m, 9h 10m for the 5 folds"
        "; --time-budget 1h fits the training of a fold into an hour, --epochs shortens it"
    )
    assert "--time-budget" in steps(Forecast(SPEC), clock, 1, 60)[-1]
    assert "--time-budget" not in steps(Forecast(SPEC), clock, 1, 30)[-1]


def test_with_a_budget_only_the_sum_of_folds_is_news(clock):
    spec = SPEC.model_copy(update={"time_budget_s": 3600})
    assert steps(Forecast(spec), clock, 1, 30) == [None, None]
    assert steps(Forecast(spec, folds=3), clock, 1, 30)[-1] == (
        "a step takes 30 s: the training takes about 1h 00m, 3h 00m for the 3 folds"
    )
