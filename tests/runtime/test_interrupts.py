"""Signals become a question. They are raised in this thread: sent to the process, any other may take them first."""

import signal
import threading

import pytest

from autoseg.runtime.interrupts import deferred_interrupts, interrupts

SIGNALS = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@SIGNALS
def test_a_deferred_signal_raises_the_flag_and_interrupts_at_the_end(number):
    before, answers = signal.getsignal(number), []

    def loop():
        with deferred_interrupts() as stopping:
            answers.append(stopping())
            signal.raise_signal(number)
            answers.append(stopping())
            answers.append(interrupted())

    with interrupts() as interrupted:
        with pytest.raises(KeyboardInterrupt):
            loop()
        assert interrupted() == number
    assert answers == [0, number, None]
    assert signal.getsignal(number) is before


def test_a_second_interrupt_ends_at_once():
    reached = []

    def loop():
        with deferred_interrupts() as stopping:
            signal.raise_signal(signal.SIGINT)
            reached.append(stopping())
            signal.raise_signal(signal.SIGINT)
            reached.append("the line after the second")

    with pytest.raises(KeyboardInterrupt):
        loop()
    assert reached == [signal.SIGINT]


def test_without_a_signal_nothing_happens_at_the_end():
    with deferred_interrupts() as stopping:
        pass
    assert not stopping()


@SIGNALS
def test_outside_a_loop_a_signal_interrupts_and_is_remembered(number):
    before = signal.getsignal(number)
    with interrupts() as interrupted:
        assert interrupted() is None
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
        assert interrupted() == number
    assert signal.getsignal(number) is before


def test_a_thread_has_no_handlers_and_is_never_stopped():
    answers = []

    def work():
        with deferred_interrupts() as stopping:
            answers.append(stopping())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert answers == [0]
