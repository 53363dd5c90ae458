"""The runner's signals: the first one is an exception, the ones after it change nothing."""

import _thread
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from action_src.interrupt import SIGNALS, Interrupted, Interruption


@pytest.fixture
def listening() -> Iterator[Interruption]:
    before = {number: signal.getsignal(number) for number in SIGNALS}
    interruption = Interruption()
    interruption.listen()
    yield interruption
    signal.set_wakeup_fd(-1)
    for number, action in before.items():
        signal.signal(number, action)


@pytest.mark.parametrize("number", SIGNALS)
def test_only_the_first_signal_interrupts(listening: Interruption, number: signal.Signals) -> None:
    with pytest.raises(Interrupted):
        signal.raise_signal(number)
    for later in SIGNALS:
        signal.raise_signal(later)  # raises nothing: what is being cleaned up goes on


def test_a_signal_that_arrives_just_before_a_wait_ends_it(listening: Interruption) -> None:
    """`interrupt_main` leaves things as such a signal does: Python knows of it, and the wait goes on."""
    threading.Timer(0.2, _thread.interrupt_main, (signal.SIGTERM,)).start()
    waiting, silent = socket.socketpair()
    with waiting, silent, pytest.raises(Interrupted):
        waiting.settimeout(10)
        waiting.recv(1)


def test_a_lost_interruption_is_raised_at_the_next_sleep(listening: Interruption) -> None:
    listening.sleep(0)
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)
    with pytest.raises(Interrupted):
        listening.sleep(60)


def test_what_cleans_up_in_another_thread_may_sleep(listening: Interruption) -> None:
    with pytest.raises(Interrupted):
        signal.raise_signal(signal.SIGTERM)
    with ThreadPoolExecutor(1) as threads:
        assert threads.submit(listening.sleep, 0).exception(5) is None
