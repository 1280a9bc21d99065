"""How far a training is, the learning rate there, and what fits into a time budget."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from autoseg.core.plan import TrainingSpec

POLYNOMIAL_EXPONENT = 0.9


@dataclass
class Clock:
    """Progress from 0 to 1: by elapsed time with a time budget, else by epochs."""

    spec: TrainingSpec
    elapsed_before_s: float = 0.0  # by earlier runs of this training
    started: float = field(default_factory=time.monotonic)

    @property
    def elapsed_s(self) -> float:
        """Seconds of training, those of interrupted runs included."""
        return self.elapsed_before_s + time.monotonic() - self.started

    def fraction(self, step: int) -> float:
        """The share of the training that is done before ``step`` (counted from 0)."""
        if self.spec.time_budget_s is not None:
            return min(1.0, self.elapsed_s / self.spec.time_budget_s)
        return step / (self.spec.epochs * self.spec.steps_per_epoch)

    @property
    def left_s(self) -> float | None:
        """Seconds left of a time budget; None without one."""
        budget = self.spec.time_budget_s
        return None if budget is None else max(0.0, budget - self.elapsed_s)

    def learning_rate(self, step: int) -> float:
        """Polynomial decay to 0: per step over elapsed time, per epoch otherwise (nnU-Net)."""
        spec = self.spec
        done = self.fraction(step) if spec.time_budget_s is not None else step // spec.steps_per_epoch / spec.epochs
        rising = min(1.0, (step + 1) / (spec.warmup_steps + 1))
        return float(rising * spec.initial_learning_rate * (1 - done) ** POLYNOMIAL_EXPONENT)
