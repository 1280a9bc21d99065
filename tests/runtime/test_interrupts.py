"""Signals become a question. They are raised in this thread: sent to the process, any other may take them first."""

import signal
import threading

import pytest

from autoseg.runtime.interrupts import interrupts, stop_requests


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_only_raises_the_flag(number):
    before = signal.getsignal(number)
    with stop_requests() as stopping:
        assert not stopping()
        signal.raise_signal(number)
        assert stopping()
    assert signal.getsignal(number) is before


def test_a_second_interrupt_ends_at_once():
    with stop_requests() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_outside_a_loop_a_signal_interrupts_and_is_remembered(number):
    before = signal.getsignal(number)
    with interrupts() as interrupted:
        assert not interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert interrupted()
    assert signal.getsignal(number) is before


def test_a_thread_has_no_handlers_and_is_never_stopped():
    answers = []

    def work():
        with stop_requests() as stopping:
            answers.append(stopping())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [False]
