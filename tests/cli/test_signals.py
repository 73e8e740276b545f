"""What a signal does to the process that it comes to: nothing but notes."""

import os
import signal
import threading
import time

import pytest
from rich.console import Console

from netwright.cli import signals
from netwright.core.errors import Terminated


class Controller:
    """Notes what it was told."""

    def __init__(self, stop_seconds=60.0):
        self.stop_seconds, self.told = stop_seconds, []

    def drain(self):
        self.told.append("drain")

    def stop(self):
        self.told.append("stop")


def come(number, times=1, sleep=0.01):
    for _ in range(times):
        os.kill(os.getpid(), number)
        time.sleep(0.01)  # a handler runs between two steps of the program
    time.sleep(sleep)


def attended(controller, say, act):
    with signals.attended(controller, say):
        act()


def test_a_signal_that_comes_while_a_line_is_printed_does_not_print_within_it():
    controller, printing, said = Controller(), threading.Lock(), []

    def say(text):
        assert printing.acquire(timeout=10), "a line is printed within another"
        said.append(text)
        printing.release()

    def act():
        with printing:
            come(signal.SIGTERM, times=3)
            assert said == []

    with pytest.raises(Terminated):
        attended(controller, say, act)
    assert controller.told == ["stop"]
    assert said[0] == signals.STOPPING and said[1].startswith("stopped after") and len(said) == 2


def test_ctrl_c_drains_then_stops_then_interrupts():
    controller, said = Controller(), []
    with pytest.raises(KeyboardInterrupt):
        attended(controller, said.append, lambda: come(signal.SIGINT, times=3))
    assert controller.told == ["drain", "stop"]
    assert ["finish first" in said[0], "loses that" in said[1], said[2].startswith("stopped after")] == [True] * 3


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_what_takes_longer_than_it_may_is_ended(monkeypatch, number, error):
    monkeypatch.setattr(signals, "MARGIN", 0.05)
    with pytest.raises(error):
        attended(Controller(0.05), lambda _text: None, lambda: come(number, times=2, sleep=30))


def test_where_no_signal_comes_nothing_is_said():
    said = []
    with signals.attended(Controller(), said.append):
        pass
    assert said == []


def test_whoever_listens_no_more_does_not_keep_a_signal_from_ending_it(monkeypatch):
    monkeypatch.setattr(signals, "MARGIN", 0.05)
    heard, spoken = os.pipe()
    os.close(heard)
    console = Console(file=os.fdopen(spoken, "w"))

    def say(text):
        if text.startswith("stopping"):
            console.print(text)

    with pytest.raises(Terminated):
        attended(Controller(0.05), say, lambda: come(signal.SIGTERM, sleep=30))


def test_a_sentence_that_cannot_be_said_keeps_nothing_from_ending(monkeypatch):
    monkeypatch.setattr(signals, "MARGIN", 0.05)
    monkeypatch.setattr(signals, "SPEAKING", 0.05)
    stands_still = threading.Event()

    def say(text):
        if text.startswith("stopping"):
            stands_still.wait()

    with pytest.raises(KeyboardInterrupt):
        attended(Controller(0.05), say, lambda: come(signal.SIGINT, times=2, sleep=30))
    stands_still.set()


def test_it_gives_back_what_it_took_wherever_a_third_ctrl_c_comes(monkeypatch):
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    monkeypatch.setattr(signals.threading.Thread, "join", lambda _thread, _seconds: come(signal.SIGINT, times=3))
    with pytest.raises(KeyboardInterrupt):
        attended(Controller(), lambda _text: None, lambda: None)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
