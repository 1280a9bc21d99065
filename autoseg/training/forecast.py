"""How long a training will take, from the steps that are done."""

from __future__ import annotations

import time
from dataclasses import dataclass

from autoseg.core.training_spec import TrainingSpec
from autoseg.runtime.progress import duration

ENOUGH_STEPS, ENOUGH_S, LONG_WAIT_S = 5, 5.0, 10.0  # a step is known: after these two, or after the last
LONG_S = 2 * 3600.0  # from here on the sentence names the remedy
COST_OF_VALIDATING = 1 / 3  # of a training step: the forward pass alone


@dataclass
class Forecast:
    """Counts the steps after the first, which also allocates memory and picks kernels.

    ``folds`` is how many folds are still to be trained in the same way, this one included.
    """

    spec: TrainingSpec
    folds: int = 1
    begun: float | None = None
    steps: int = 0
    told: bool = False

    def step(self) -> str | None:
        """To be called after each step: once, when a step is known, the sentence about the whole training."""
        now = time.monotonic()
        if self.begun is None:
            self.begun = now
            return None
        self.steps += 1
        elapsed = now - self.begun
        if self.told or not ((self.steps >= ENOUGH_STEPS and elapsed >= ENOUGH_S) or elapsed >= LONG_WAIT_S):
            return None
        self.told = True
        return self.sentence(elapsed / self.steps)

    def sentence(self, step_s: float) -> str | None:
        """Such as ``a step takes 0.42 s: the training takes about 29h 10m, 145h 50m for the 5 folds``."""
        spec = self.spec
        if spec.time_budget_s is not None and self.folds == 1:
            return None  # nobody needs to be told
        fold_s = spec.time_budget_s
        if fold_s is None:
            fold_s = spec.epochs * step_s * (spec.steps_per_epoch + COST_OF_VALIDATING * spec.validation_steps)
        several = f", {duration(self.folds * fold_s)} for the {self.folds} folds" if self.folds > 1 else ""
        remedy = ""
        if spec.time_budget_s is None and self.folds * fold_s > LONG_S:
            remedy = "; --time-budget 1h fits the training of a fold into an hour, --epochs shortens it"
        return f"a step takes {step_s:.2g} s: the training takes about {duration(fold_s)}{several}{remedy}"
