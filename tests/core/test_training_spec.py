"""What a plan may say about the optimisation."""

import pytest
from pydantic import ValidationError

from autoseg.core.training_spec import TrainingSpec


def test_the_defaults_are_those_of_nnunet():
    spec = TrainingSpec()
    assert (spec.epochs, spec.steps_per_epoch, spec.validation_steps) == (1000, 250, 50)
    assert (spec.optimizer, spec.initial_learning_rate, spec.momentum, spec.weight_decay) == ("sgd", 0.01, 0.99, 3e-5)
    assert (spec.loss, spec.schedule, spec.gradient_clip) == ("dice_and_cross_entropy", "polynomial", 12)


@pytest.mark.parametrize(
    "change", [{"loss": "hinge"}, {"optimizer": "lion"}, {"epochs": 0}, {"betas": (0.9, 1.5)}, {"gradient_clip": 0}]
)
def test_nonsense_is_refused(change):
    with pytest.raises(ValidationError):
        TrainingSpec(**change)
