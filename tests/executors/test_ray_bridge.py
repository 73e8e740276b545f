"""What can be said of a connection to Ray without Ray."""

import socket

import pytest

from netwright.core.errors import NetwrightError
from netwright.executors import ray_bridge
from netwright.executors.ray_actors import Happening
from netwright.executors.ray_bridge import Duty, Terms


def test_where_nothing_listens_that_is_said_at_once():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        with pytest.raises(NetwrightError, match=r"nothing listens there \(Connection refused\)"):
            ray_bridge.connect(Terms(address, "names", "run", 1))


def test_what_was_told_otherwise_has_another_key():
    duty = Duty(("-m", "netwright", "worker", "tcp://a:1", "--name"), {"NETWRIGHT_TOKEN": "secret"})
    assert duty.key == Duty(**vars(duty)).key
    assert duty.key != Duty(duty.arguments, {"NETWRIGHT_TOKEN": "other"}).key
    errand = duty.errand("w0-1", "run-0")
    assert errand.arguments == (*duty.arguments, "w0-1")
    assert (errand.seat, errand.worker) == ("run-0", "w0-1")


@pytest.mark.parametrize(
    ("happening", "line"),
    [
        (Happening("here", 0, "w0-1", "10.0.0.3"), "w0-1 is on 10.0.0.3"),
        (Happening("left", 0, "w0-1", code=3), "w0-1 has left, exit code 3"),
        (Happening("lost", 0, "w0-1", "its node has died"), "w0-1 lost: its node has died"),
        (Happening("waiting"), "waiting"),
    ],
)
def test_what_happens_is_a_line_of_the_log(happening, line):
    assert ray_bridge._said(happening) == line


def test_of_what_ray_says_the_sentences_are_kept():
    error = ValueError(
        "The actor died unexpectedly before finishing this task.\n\tclass_name: Outpost\nIts node has died."
    )
    assert ray_bridge._sentence(error) == "The actor died unexpectedly before finishing this task. Its node has died."
