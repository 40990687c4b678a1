from __future__ import annotations

import os
import signal
import time

import pytest

from cluster.job.interrupt import SIGNALS, Interrupts


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_sets_the_flag_and_nothing_else(number):
    with Interrupts() as interrupts:
        assert interrupts.cause is None
        os.kill(os.getpid(), number)
        assert interrupts.cause == number.name
        assert interrupts.time == pytest.approx(time.time(), abs=5)


def test_first_signal_is_the_cause():
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)
        assert interrupts.cause == "SIGUSR1"


def test_second_press_of_ctrl_c_does_not_wait():
    with Interrupts() as interrupts:
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
        assert interrupts.cause == "SIGINT"


def test_handlers_of_a_launcher_are_replaced_and_come_back():
    def launcher(number, frame):
        raise AssertionError

    before = signal.signal(signal.SIGUSR2, launcher)
    try:
        with Interrupts() as interrupts:
            os.kill(os.getpid(), signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGCONT)
            assert interrupts.cause == "SIGUSR2"
        assert signal.getsignal(signal.SIGUSR2) is launcher
    finally:
        signal.signal(signal.SIGUSR2, before)
