"""Messages on a wire are lost, late, doubled or cut when told so, and else pass as they are."""

import json
import socket
import threading
import time

import pytest

from netwright.testing.faults.wires import Relay


class Running:
    """A session as far as a wire needs one."""

    def sleep(self, seconds, until):
        end = time.monotonic() + seconds
        while not until() and time.monotonic() < end:
            time.sleep(0.005)


@pytest.fixture
def served(tmp_path):
    """A table that answers each line with the number of lines so far; gives the folder that says where it is."""
    heard = []

    def answer(connection):
        with connection, connection.makefile("rb") as lines:
            for line in lines:
                heard.append(line)
                connection.sendall(b"%s %d\n" % (line.strip(), len(heard)))

    def listen(listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=listen, args=(listener,), daemon=True).start()
        port = listener.getsockname()[1]
        (tmp_path / "served.json").write_text(json.dumps({"address": f"tcp://127.0.0.1:{port}"}))
        yield tmp_path
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("what", "heard"),
    [
        ("doubled", [b"one 2\n", b"one 2\n", b"two 3\n"]),
        ("asked twice", [b"one 2\n", b"one 3\n", b"two 4\n"]),
        ("late", [b"one 2\n", b"two 3\n"]),
        ("lost", [b""]),
        ("cut", [b"one"]),
    ],
)
def test_what_is_done_to_one_message(served, what, heard):
    with Relay(served) as wire:
        host, port = wire.address.removeprefix("tcp://").split(":")
        with socket.create_connection((host, int(port)), 10) as client, client.makefile("rb") as lines:
            client.sendall(b"hello\n")
            assert lines.readline() == b"hello 1\n", "greetings pass"
            asked = threading.Timer(0.05, lambda: client.sendall(b"one\n"))
            asked.start()
            assert wire.once(what, 0.2, Running())
            asked.join()
            found = [lines.readline()]
            if what not in ("lost", "cut"):
                client.sendall(b"two\n")
                found += [lines.readline() for _ in heard[1:]]
            assert found == heard
