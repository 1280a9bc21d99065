"""What of a plan fits into a time budget: batch, width of the network, steps, momentum.

nnU-Net's schedule (250,000 steps) takes hours to days. In minutes, many small steps of a narrower
network end far above few large ones (docs/decisions/0003), so a budget shrinks the batch first and takes
the widest network that still gets enough steps; what time is left over goes back into the batch.
"""

from __future__ import annotations

from collections.abc import Callable

from autoseg.core.network_spec import NetworkSpec
from autoseg.core.plan import Configuration, Decision
from autoseg.core.training_spec import TrainingSpec

ENOUGH_STEPS = {2: 2500, 3: 1000}  # a batch of slices holds fewer voxels than one of volumes
AMPLE_STEPS = 4000
NARROWEST = 16  # features at full resolution; below, CPU convolutions lose their vector width
SMALLEST_BATCH = {2: 16, 3: 2}
LEAST_COST_OF_DOUBLING = 1.5  # of a step, when the width is doubled; between 2 and 4 where convolutions take the time
EPOCHS = 40
FORGETTING_STEPS_SHARE = 100
FASTEST_FORGETTING = 0.1
WARMUP = 2  # in spans of the momentum
VALIDATION_SHARE = 8  # one validation batch for every so many steps: a few per cent of the time


def fit_to_budget(
    configuration: Configuration,
    budget_s: float,
    seconds_per_step: Callable[[Configuration], float],
    width_is_given: bool = False,
) -> tuple[Configuration, list[Decision]]:
    """The configuration that a training of ``budget_s`` seconds uses, and why.

    ``seconds_per_step`` measures a training step of a configuration on the machine at hand. A network that
    begins with the weights of another keeps its width (``width_is_given``): narrower, it could use none of them.
    """
    full = configuration
    if not isinstance(full.network, NetworkSpec):
        return _as_published(full, budget_s, seconds_per_step(full))
    fitted = _with_smallest_batch(full)
    smallest = fitted.batch_size
    enough = ENOUGH_STEPS[full.network.dimensions]
    # From the narrowest on: measuring a network that is far too slow would cost much of a short budget.
    narrowest, *wider = [fitted] if width_is_given else _of_all_widths(fitted, full.network)
    fitted, step_s = narrowest, seconds_per_step(narrowest)
    for candidate in wider:
        if budget_s / (LEAST_COST_OF_DOUBLING * step_s) < enough:
            break
        candidate_s = seconds_per_step(candidate)
        if budget_s / candidate_s < enough:
            break
        fitted, step_s = candidate, candidate_s
    # Time grows with the batch at most proportionally; whole multiples keep the cores evenly busy.
    multiple = max(1, int(budget_s / step_s / AMPLE_STEPS))
    batch = min(full.batch_size, smallest * multiple)
    if batch > smallest:
        fitted = fitted.model_copy(update={"batch_size": batch})
        step_s = seconds_per_step(fitted)
    steps = max(1, int(budget_s / step_s))
    training = _paced(full.training, steps, budget_s)
    fitted = fitted.model_copy(update={"training": training})
    widths = [one.features_per_stage[0] for one in (full.network, fitted.network) if isinstance(one, NetworkSpec)]
    return fitted, _decisions(full, fitted, steps, step_s, *widths)


def smallest_of_budget(configuration: Configuration, width_is_given: bool = False) -> Configuration:
    """What ``fit_to_budget`` measures first: it never takes less, however short the time."""
    if not isinstance(configuration.network, NetworkSpec):
        return configuration
    fitted = _with_smallest_batch(configuration)
    return fitted if width_is_given else _of_all_widths(fitted, configuration.network)[0]


def _with_smallest_batch(configuration: Configuration) -> Configuration:
    smallest = 1 if configuration.whole_case else SMALLEST_BATCH[configuration.network.dimensions]
    return configuration.model_copy(update={"batch_size": min(configuration.batch_size, smallest)})


def _as_published(configuration: Configuration, budget_s: float, step_s: float) -> tuple[Configuration, list[Decision]]:
    """A published network keeps its batch, its width and its rates: only the number of steps follows from the time."""
    spec, steps = configuration.training, max(1, int(budget_s / step_s))
    per_epoch = spec.steps_per_epoch
    if configuration.sampling == "patches":
        per_epoch = min(per_epoch, max(1, steps // EPOCHS))
    training = spec.model_copy(
        update={"time_budget_s": budget_s, "epochs": max(1, steps // per_epoch), "steps_per_epoch": per_epoch}
    )
    reason = f"a step takes {step_s:.3g} s here, so about {steps} fit into {budget_s:g} s; the rest is as published"
    decision = Decision(what="time budget", choice=f"about {steps} steps", reason=reason)
    return configuration.model_copy(update={"training": training}), [decision]


def _of_all_widths(configuration: Configuration, network: NetworkSpec) -> list[Configuration]:
    """With the planned features and with their halves, down to ``NARROWEST`` at full resolution, ascending."""
    planned = network.features_per_stage
    widths = [planned[0]]
    while widths[0] > NARROWEST:
        widths.insert(0, max(NARROWEST, widths[0] // 2))
    networks = [
        network.model_copy(update={"features_per_stage": tuple(width * base // planned[0] for width in planned)})
        for base in widths
    ]
    return [configuration.model_copy(update={"network": one}) for one in networks]


def _paced(spec: TrainingSpec, steps: int, budget_s: float) -> TrainingSpec:
    """Epochs only pace the validation. Momentum forgets within a hundredth of the schedule.

    The learning rate follows, so that rate / (1 - momentum), the size of a settled step, stays the plan's; it
    rises over the first steps, or the network learns background so thoroughly that it takes long to unlearn.
    """
    forgetting = min(FASTEST_FORGETTING, max(1 - spec.momentum, FORGETTING_STEPS_SHARE / steps))
    per_epoch = min(spec.steps_per_epoch, max(1, steps // EPOCHS))
    return spec.model_copy(
        update={
            "time_budget_s": budget_s,
            "momentum": 1 - forgetting,
            "warmup_steps": min(round(WARMUP / forgetting), steps // 10),
            "initial_learning_rate": spec.initial_learning_rate * forgetting / (1 - spec.momentum),
            "epochs": max(1, steps // per_epoch),
            "steps_per_epoch": per_epoch,
            "validation_steps": max(1, per_epoch // VALIDATION_SHARE),
        }
    )


def _decisions(
    full: Configuration, fitted: Configuration, steps: int, step_s: float, planned: int, width: int
) -> list[Decision]:
    pace = f"a step takes {step_s:.3g} s here, so about {steps} fit into {fitted.training.time_budget_s:g} s"
    return [
        Decision(what="time budget", choice=f"about {steps} steps", reason=pace),
        Decision(
            what="batch in the budget",
            choice=str(fitted.batch_size),
            reason=f"the plan's {full.batch_size} would leave fewer, larger steps, which end lower"
            if fitted.batch_size < full.batch_size
            else "as planned",
        ),
        Decision(
            what="width in the budget",
            choice=f"{width} features at full resolution",
            reason=f"with the plan's {planned} fewer than {ENOUGH_STEPS[full.network.dimensions]} steps would fit"
            if width < planned
            else "as planned",
        ),
    ]
