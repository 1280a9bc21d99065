"""How far a training is, and the learning rate there."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

from autoseg.core.training_spec import TrainingSpec
from autoseg.runtime import ranks

POLYNOMIAL_EXPONENT = 0.9
ANNEALING_SHARE = 0.1  # of the epochs before a plateau: as many more end the training


@dataclass
class Clock:
    """Progress from 0 to 1: by elapsed time with a time budget, else by epochs.

    After a plateau a training does not stop at once, which would leave the rate high and the weights restless:
    the schedule is shortened, and the rate falls to 0 over what is left of it.
    """

    spec: TrainingSpec
    elapsed_before_s: float = 0.0  # by earlier runs of this training
    folds: int = 1  # that are still to be trained as this one, itself included
    started: float = field(default_factory=time.monotonic)
    plateau: float | None = None  # the share of the planned schedule at which the training stopped to improve
    reached: bool = False  # the loss at which the training ends
    agreed_s: float | None = None  # elapsed seconds on the clock of the first of several processes, as of this step
    begun: tuple[float, float] | None = None  # when this run took its first step, and the fraction that was done then

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, those of interrupted runs included."""
        return self._own_elapsed_s if self.agreed_s is None else self.agreed_s

    def agree(self) -> None:
        """Where several processes share the training: until the next call all have the time of the first."""
        if ranks.count() > 1:
            self.agreed_s = ranks.of_first(self._own_elapsed_s)

    @property
    def _own_elapsed_s(self) -> float:
        return self.elapsed_before_s + time.monotonic() - self.started

    def fraction(self, step: int) -> float:
        """The share of the training that is done before ``step`` (counted from 0)."""
        return 1.0 if self.reached else min(1.0, self.planned_fraction(step) / self.end)

    def planned_fraction(self, step: int) -> float:
        """The same of the planned schedule, which a plateau does not shorten."""
        if self.spec.time_budget_s is not None:
            return min(1.0, self.elapsed_s / self.spec.time_budget_s)
        return step / (self.spec.epochs * self.spec.steps_per_epoch)

    @property
    def end(self) -> float:
        """The share of the planned schedule at which the training ends: 1 unless a plateau ends it sooner."""
        if self.plateau is None:
            return 1.0
        done = round(self.plateau * self.spec.epochs)
        return min(1.0, (done + max(1, math.ceil(ANNEALING_SHARE * done))) / self.spec.epochs)

    @property
    def left_s(self) -> float | None:
        """Seconds left of a time budget; None without one."""
        budget = self.spec.time_budget_s
        return None if budget is None else max(0.0, self.end * budget - self.elapsed_s)

    def expected_left_s(self, step: int) -> float | None:
        """The same; without a budget as long as this run has taken for its share of the steps. None before that."""
        now, done = time.monotonic(), self.fraction(step)
        if self.spec.time_budget_s is not None or self.begun is None:
            self.begun = self.begun or (now, done)
            return self.left_s
        started, before = self.begun
        return (now - started) * (1 - done) / (done - before) if done > before else None

    def learning_rate(self, step: int) -> float:
        """By the schedule of the plan: per step over elapsed time, per epoch otherwise (nnU-Net).

        After a plateau: polynomial decay of the rate there, per step, over the rest of the shortened schedule.
        """
        spec, done = self.spec, self.planned_fraction(step)
        left = 1.0
        if self.plateau is not None:
            left = max(0.0, self.end - done) / (self.end - self.plateau)
            done = self.plateau
        elif spec.time_budget_s is None:
            done = step // spec.steps_per_epoch / spec.epochs
        rising = min(1.0, (step + 1) / (spec.warmup_steps + 1))
        if spec.schedule == "polynomial":
            return float(rising * spec.initial_learning_rate * ((1 - done) * left) ** POLYNOMIAL_EXPONENT)
        falling = 1.0 if spec.schedule == "constant" else (1 + math.cos(math.pi * done)) / 2
        return float(rising * spec.initial_learning_rate * falling * left**POLYNOMIAL_EXPONENT)
