"""A network that drops, doubles and delays messages, and cuts connections in the middle of one, by a schedule."""

import random
import socket
import threading
import time
from collections import Counter
from contextlib import suppress

DELAY = 0.03  # seconds


class Unreliable:
    """Stands between clients and a server of lines at a port of this machine, from `with` to its end.

    Args:
        port: Where the server listens.
        seed: Seed of the schedule.
        rate: Share of the messages that suffer each of the faults.
    """

    def __init__(self, port, seed, rate=0.04):
        self.port, self._seed, self._rate = port, seed, rate
        self.suffered = Counter()

    def __enter__(self):
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"tcp://127.0.0.1:{self._listening.getsockname()[1]}"
        self._sockets, self._threads = [], []
        self._start(self._accept)
        return self

    def __exit__(self, *fault):
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for each in list(self._sockets):
            _cut(each)
        for thread in list(self._threads):
            thread.join()

    def _start(self, work, *arguments):
        thread = threading.Thread(target=work, args=arguments)
        self._threads.append(thread)
        thread.start()

    def _accept(self):
        number = 0
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(("127.0.0.1", self.port))
            except OSError:  # the server is away
                near.close()
                continue
            self._sockets += [near, far]
            for way, (come, go) in enumerate(((near, far), (far, near))):
                number += 1
                self._start(self._carry, come, go, random.Random(f"{self._seed} {number} {way}"))

    def _carry(self, come, go, rng):
        with suppress(OSError), come.makefile("rb") as lines:
            for line in lines:
                fault = int(rng.random() / self._rate)
                self.suffered[fault if fault < 4 else 4] += 1
                if fault == 0:
                    continue  # dropped
                if fault == 1:
                    go.sendall(line)
                if fault == 2:  # those behind it overtake it, and its sender may have a new connection by then
                    self._start(_send_later, go, line)
                    continue
                if fault == 3:
                    go.sendall(line[: len(line) // 2])
                    _cut(come)
                    break
                go.sendall(line)
        time.sleep(2 * DELAY)
        _cut(go)


def _send_later(go, line):
    time.sleep(DELAY)
    with suppress(OSError):
        go.sendall(line)


def _cut(one):
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
