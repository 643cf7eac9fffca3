import multiprocessing
import os
import signal
import threading

import pytest

from mapsearch.controller.interrupt import Interrupt


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1])
def test_the_first_signal_waits_until_it_is_asked_for(number):
    with Interrupt() as interrupt:
        interrupt.raise_if_asked()
        os.kill(os.getpid(), number)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            interrupt.raise_if_asked()


def test_the_second_signal_strikes_at_once():
    with Interrupt():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt, match=r"^$"):
            os.kill(os.getpid(), signal.SIGTERM)


def test_where_nothing_is_worth_waiting_for_the_first_strikes_at_once():
    with Interrupt() as interrupt:
        with pytest.raises(KeyboardInterrupt, match=r"^$"), interrupt.at_once():
            os.kill(os.getpid(), signal.SIGUSR1)
        assert interrupt.is_asked


def stand_still(begun):
    begun.send(None)
    threading.Event().wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1])
def test_a_process_that_is_forked_meanwhile_ends_as_if_it_were_not_there(number):
    with Interrupt() as interrupt:
        forked, (here, there) = multiprocessing.get_context("fork"), multiprocessing.Pipe()
        child = forked.Process(target=stand_still, args=(there,))
        child.start()
        here.recv()
        os.kill(child.pid, number)
        child.join(timeout=30)
        code, _ = child.exitcode, child.kill()
        assert code == -number
        assert not interrupt.is_asked


def test_afterwards_signals_are_what_they_were():
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Interrupt():
        assert signal.getsignal(signal.SIGTERM) != before[1]
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_in_another_thread_it_leaves_signals_alone():
    before, seen = signal.getsignal(signal.SIGINT), []

    def look():
        with Interrupt() as interrupt:
            interrupt.raise_if_asked()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [before]
