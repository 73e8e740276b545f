"""A process that has imported all of the command and plays it in forks: so commands begin at the same instant.

`python -m netwright.testing.faults.warm` reads lines of JSON. {"plays": [{"words": [...], "environment": {...}, "said":
path}, ...]} forks one process for each, which wait until all are there. The answer is {"pids": [...]} and later, for
each, {"ended": pid, "code": code}.
"""

from __future__ import annotations

import importlib
import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import Queue
from typing import Any, Final

LOOK_EVERY: Final = 0.01  # seconds
COMMAND: Final = "netwright.cli.main"
IMPORTED: Final = ("netwright.cli.app", "netwright.runs.run", "netwright.runs.timed.play", "netwright.report.page")


@dataclass
class Forked:
    """A play of the command in a fork."""

    pid: int
    code: int | None = None

    def poll(self) -> int | None:
        """Its exit code, negative for a signal; None: it runs."""
        return self.code


@dataclass
class Warm:
    """The process and its forks, for any number of searches and threads; it starts when first asked.

    Use as a context manager; a call starts one command, as `searching.command` does.
    """

    _process: subprocess.Popen[bytes] | None = None
    _plays: dict[int, Forked] = field(default_factory=dict)
    _answers: Queue[list[int]] = field(default_factory=Queue)
    _ended: dict[int, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Warm:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.close()
            self._process.wait()

    def kill(self) -> None:
        """Kill it and its forks, for a program that cannot wait."""
        for play in self._plays.values():
            if play.poll() is None:
                with suppress(OSError):
                    os.kill(play.pid, signal.SIGKILL)
        if self._process is not None:
            self._process.kill()

    def __call__(self, words: list[str], environment: Mapping[str, str], said: Path) -> Forked:
        """Start one command."""
        return self.at_once([(words, environment, said)])[0]

    def at_once(self, plays: Sequence[tuple[list[str], Mapping[str, str], Path]]) -> list[Forked]:
        """Start several commands at the same instant."""
        told = [{"words": words, "environment": dict(each), "said": str(said)} for words, each, said in plays]
        with self._turn:
            process = self._process = self._process or self._begun()
            assert process.stdin is not None
            process.stdin.write(json.dumps({"plays": told}).encode() + b"\n")
            process.stdin.flush()
            made = [Forked(pid) for pid in self._answers.get(timeout=300)]
        with self._lock:
            for each in made:
                each.code = self._ended.pop(each.pid, None)
                self._plays[each.pid] = each
        return made

    def _begun(self) -> subprocess.Popen[bytes]:
        words, pipe = [sys.executable, "-m", __name__], subprocess.PIPE
        process = subprocess.Popen(words, stdin=pipe, stdout=pipe, start_new_session=True)
        threading.Thread(target=self._hear, args=(process,), daemon=True).start()
        return process

    def _hear(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            heard = json.loads(line)
            if "pids" in heard:
                self._answers.put(heard["pids"])
                continue
            with self._lock:
                play = self._plays.get(heard["ended"])
                if play is not None and play.code is None:
                    play.code = heard["code"]
                else:
                    self._ended[heard["ended"]] = heard["code"]


def _forked(play: Mapping[str, Any], gate: int, end: int) -> int:
    """Fork a process that plays a command once the gate is closed."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.close(end)
    nothing = os.open(os.devnull, os.O_RDONLY)
    said = os.open(play["said"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for number, descriptor in ((nothing, 0), (said, 1), (said, 2)):
        os.dup2(number, descriptor)
    os.environ.clear()
    os.environ.update(play["environment"])
    tempfile.tempdir = None  # which another environment names
    sys.argv = ["netwright", *play["words"]]
    os.read(gate, 1)  # ends when all are there
    os.close(gate)
    code = 0
    try:
        importlib.import_module(COMMAND).main()
    except SystemExit as error:
        code = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        code = 1
    with suppress(Exception):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def main() -> None:
    """Entry point of the warm process."""
    for name in IMPORTED:
        importlib.import_module(name)
    known: set[int] = set()
    line = b""
    while True:
        if select.select([0], [], [], LOOK_EVERY)[0]:
            piece = os.read(0, 65536)
            if not piece:
                return
            line += piece
            while b"\n" in line:
                order, _, line = line.partition(b"\n")
                gate, end = os.pipe()
                pids = [_forked(play, gate, end) for play in json.loads(order)["plays"]]
                known.update(pids)
                os.close(gate)
                os.close(end)
                _say({"pids": pids})
        for pid in tuple(known):
            found, status = os.waitpid(pid, os.WNOHANG)
            if found:
                known.discard(pid)
                _say({"ended": pid, "code": os.waitstatus_to_exitcode(status)})


def _say(what: Mapping[str, Any]) -> None:
    os.write(1, json.dumps(what).encode() + b"\n")


if __name__ == "__main__":
    main()
