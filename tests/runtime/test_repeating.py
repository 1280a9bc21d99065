"""Something done every so often while something else goes on."""

import threading
from contextlib import suppress

from autoseg.runtime.repeating import repeatedly


def test_it_is_called_again_and_again_and_never_after_the_block():
    called, times = threading.Event(), []

    def call():
        times.append(threading.current_thread())
        if len(times) == 3:
            called.set()

    with repeatedly(call, 0.001):
        assert called.wait(10)
    assert all(thread is not threading.current_thread() for thread in times)
    assert not any(thread.is_alive() for thread in times)


def test_the_thread_ends_with_a_block_that_fails():
    called, threads = threading.Event(), []

    def call():
        threads.append(threading.current_thread())
        called.set()

    with suppress(KeyError), repeatedly(call, 0.001):
        assert called.wait(10)
        raise KeyError
    assert not threads[0].is_alive()
