"""What fits into a time budget, with a machine that is a formula."""

from math import prod

import pytest

from autoseg.training.budget import ENOUGH_STEPS, NARROWEST, fit_to_budget


@pytest.fixture
def planned(tiny_configuration):
    network = tiny_configuration.network.model_copy(update={"features_per_stage": (32, 64, 128)})
    return tiny_configuration.model_copy(update={"network": network, "batch_size": 8})


def machine(seconds_of_full_sample):
    """A step costs time by sample, and four times less at half the width."""

    def measure(configuration):
        width = configuration.network.features_per_stage[0] / 32
        return seconds_of_full_sample * configuration.batch_size * width**2

    return measure


def test_ample_time_keeps_the_plan(planned):
    fitted, _ = fit_to_budget(planned, 100_000, machine(0.1))
    assert (fitted.batch_size, fitted.network) == (planned.batch_size, planned.network)
    assert fitted.training.momentum == pytest.approx(planned.training.momentum)
    assert fitted.training.initial_learning_rate == pytest.approx(planned.training.initial_learning_rate)


def test_little_time_first_shrinks_the_batch_then_the_network(planned):
    hour, _ = fit_to_budget(planned, 3600, machine(1.0))
    assert (hour.batch_size, hour.network.features_per_stage[0]) == (2, 32)
    minutes, decisions = fit_to_budget(planned, 600, machine(1.0))
    assert (minutes.batch_size, minutes.network.features_per_stage) == (2, (16, 32, 64))
    assert [decision.what for decision in decisions] == ["time budget", "batch in the budget", "width in the budget"]
    assert "16 features" in decisions[2].choice


def test_a_width_that_is_given_is_kept(planned):
    fitted, decisions = fit_to_budget(planned, 600, machine(1.0), width_is_given=True)
    assert fitted.network == planned.network
    assert (decisions[2].choice, decisions[2].reason) == ("32 features at full resolution", "as planned")


def test_the_network_never_gets_narrower_than_vectors(planned):
    fitted, _ = fit_to_budget(planned, 1, machine(1.0))
    assert fitted.network.features_per_stage[0] == NARROWEST


def test_networks_that_cannot_be_fast_enough_are_not_measured(planned):
    measured = []

    def measure(configuration):
        measured.append(configuration.network.features_per_stage[0])
        return machine(1.0)(configuration)

    network = planned.network.model_copy(update={"features_per_stage": (64, 128, 256)})
    wide = planned.model_copy(update={"network": network})
    fit_to_budget(wide, 60, measure)
    assert measured == [16]
    measured.clear()
    fitted, _ = fit_to_budget(wide, 3600, measure)
    assert measured == [16, 32, 64]
    assert fitted.network.features_per_stage[0] == 32


def test_a_width_between_is_narrowed_to_the_narrowest(planned):
    network = planned.network.model_copy(update={"features_per_stage": (24, 48, 96)})
    fitted, _ = fit_to_budget(planned.model_copy(update={"network": network}), 1, machine(1.0))
    assert fitted.network.features_per_stage == (16, 32, 64)


def test_spare_time_goes_into_the_batch(planned):
    fitted, _ = fit_to_budget(planned, 4000, machine(0.1))
    assert 2 < fitted.batch_size <= 8
    assert 4000 / machine(0.1)(fitted) >= ENOUGH_STEPS[3]


def test_settled_step_size_is_kept_and_momentum_forgets_within_the_schedule(planned):
    fitted, _ = fit_to_budget(planned, 600, machine(1.0))
    before, after = planned.training, fitted.training
    settled = [spec.initial_learning_rate / (1 - spec.momentum) for spec in (before, after)]
    assert settled[0] == pytest.approx(settled[1])
    assert after.warmup_steps == round(2 / (1 - after.momentum))
    assert 1 / (1 - after.momentum) <= 1200 / 100 + 1e-9
    assert prod((after.epochs, after.steps_per_epoch)) == pytest.approx(1200, rel=0.1)
