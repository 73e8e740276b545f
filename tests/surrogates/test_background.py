import gc
import subprocess
import sys
import threading

import pytest
import torch

from netwright.surrogates.background import Background


def test_the_result_comes_from_another_thread_and_can_be_asked_twice():
    background = Background(lambda _: threading.current_thread())
    assert background.result() is background.result()
    assert background.result() is not threading.current_thread()


def test_an_error_reaches_who_asks():
    def work(is_stopped):
        raise ValueError("nothing to learn from")

    with pytest.raises(ValueError, match="nothing to learn from"):
        Background(work).result()


def test_the_thread_computes_alone_and_leaves_the_number_of_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert Background(lambda _: torch.get_num_threads()).result() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_threads_to_come_compute_as_the_creator_does():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        go_on, later = threading.Event(), []

        def work(is_stopped):
            assert go_on.wait(60)
            torch.ones(400, 400) @ torch.ones(400, 400)
            return torch.get_num_threads()

        background = Background(work)
        thread = threading.Thread(target=lambda: later.append(torch.get_num_threads()))
        thread.start()
        thread.join()
        go_on.set()
        assert later == [2]
        assert background.result() == 1, "what the creator sets again is not taken over"
    finally:
        torch.set_num_threads(before)


def test_it_says_whether_it_is_done():
    go_on = threading.Event()
    background = Background(lambda _: go_on.wait(60))
    assert not background.is_done
    go_on.set()
    assert background.result()
    assert background.is_done


def test_it_may_be_dropped_in_its_own_thread():
    """A thread cannot wait for itself: the attempt would print an error."""
    program = """
import threading
from netwright.surrogates.background import Background
kept, ready = [], threading.Event()
def work(is_stopped):
    ready.wait()
    kept.clear()
    print(is_stopped())
kept.append(Background(work))
thread = kept[0]._thread
ready.set()
thread.join()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_who_drops_it_stops_it():
    started, ended = threading.Event(), threading.Event()

    def work(is_stopped):
        started.set()
        while not is_stopped():
            pass
        ended.set()

    background = Background(work)
    assert started.wait(60)
    del background
    gc.collect()
    assert ended.is_set()


def test_a_program_ends_while_it_computes():
    program = """
from netwright.surrogates.background import Background
import torch
def work(is_stopped):
    while not is_stopped():
        torch.ones(9) @ torch.ones(9)
kept = Background(work)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (0, "")
