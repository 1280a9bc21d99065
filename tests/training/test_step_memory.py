"""The peak of a step is measured: it grows with what is computed, and what does not fit is told."""

import numpy as np
import pytest

from autoseg.runtime.devices import Execution
from autoseg.training import step_memory
from autoseg.training.step_memory import StepMemory, measure

CPU = Execution("cpu", "fp32", channels_last=False)


@pytest.fixture(scope="module")
def configuration(tiny_configuration):
    return tiny_configuration.model_copy(update={"patch_size": (48, 48, 48)})


@pytest.fixture(scope="module")
def small(configuration):
    """With a large block of memory in this process, which does not count."""
    block = np.ones(4 * 10**8, np.uint8)
    found = measure(configuration, 2, 1, CPU, limit_gb=4.0)
    assert block[-1] == 1
    return found


def test_the_peak_is_that_of_the_step_alone(small):
    assert 0.1 < small.baseline_gb < 0.5
    assert small.baseline_gb + 0.02 < small.peak_gb < small.baseline_gb + 0.5
    assert small.step_s > 0


def test_more_classes_take_the_memory_of_their_maps(configuration, small):
    many = measure(configuration, 34, 1, CPU, limit_gb=4.0)
    map_gb = 2 * 48**3 * 4 / 1e9  # of one class, in float32, of both patches
    assert 32 * 2 * map_gb < many.peak_gb - small.peak_gb < 32 * 9 * map_gb


def test_a_process_that_asks_for_much_more_is_refused_it(configuration):
    huge = configuration.model_copy(update={"patch_size": (1024, 1024, 1024)})
    found = measure(huge, 2, 1, CPU, limit_gb=1.0)
    assert found.peak_gb is None


def test_a_process_that_the_system_stopped_had_too_little(configuration, monkeypatch):
    monkeypatch.setattr(step_memory, "run_module", lambda module, request: step_memory.STOPPED)
    assert measure(configuration, 2, 1, CPU, 1.0) == StepMemory(0.0, None, None)


@pytest.fixture
def here(configuration, monkeypatch):
    """``here(limit_gb, step)`` measures in this process, whose memory stays as it was."""
    monkeypatch.setattr(step_memory, "_limit_addresses", lambda more: None)
    monkeypatch.setattr(step_memory, "keep_freed_memory", lambda: True)

    def run(limit_gb, step):
        monkeypatch.setattr(step_memory, "rehearsal", lambda assignment, execution: step)
        document = configuration.model_dump(mode="json")
        request = {"configuration": document, "num_classes": 2, "num_channels": 1, "execution": vars(CPU)}
        return step_memory.measure_here(request | {"limit_gb": limit_gb})

    return run


def test_a_peak_above_the_limit_does_not_fit(here):
    assert here(100.0, lambda: 0.0).peak_gb > 0.05
    assert here(0.01, lambda: 0.0).peak_gb is None


def test_an_allocator_that_gets_nothing_is_no_failure_but_another_error_is(here):
    def fail(text):
        raise RuntimeError(text)

    assert here(100.0, lambda: fail("DefaultCPUAllocator: can't allocate memory")).peak_gb is None
    with pytest.raises(RuntimeError, match="sizes"):
        here(100.0, lambda: fail("sizes do not match"))
