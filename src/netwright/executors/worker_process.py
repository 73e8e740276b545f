"""A running worker process as its parent sees it: two pipes, what it last said, its limits, and what it died of.

Whatever the worker has started ends with it, at a limit or otherwise: see `descendants`.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from subprocess import Popen
from typing import Final

import psutil

from netwright.core import memory
from netwright.executors import deaths, descendants, lines
from netwright.executors.post import UP, Post

BAD_ALLOC: Final = "std::bad_alloc"  # what C++ says of memory that cannot be had, and ends the process
CLOSING: Final = 5.0  # seconds for which a worker that has closed its pipe may go on


class WorkerProcess:
    """A running worker process, its two pipes, and what it last said."""

    def __init__(self, post: Post) -> None:
        down, self._down = os.pipe()
        self._up, up = os.pipe()
        self.process = Popen(
            [sys.executable, "-u", "-m", "netwright.executors.child", post.to_json(), str(down), str(up)],
            stdin=subprocess.DEVNULL,
            pass_fds=(down, up),
            env={**os.environ, descendants.MARK: post.mark, **descendants.named()},
            start_new_session=True,  # a process group of its own, killed as a whole
        )
        os.close(down)
        os.close(up)
        self._said = lines.Reader(UP)
        self.has_started = False
        self.trial: int | None = None
        self.log_start = 0  # where what the trial prints begins
        self.activity = "starting"
        self.heard = time.monotonic()
        self.begun: float | None = None  # when the trial itself began; None: it has not
        self.done = 0  # trials that it has finished
        self.left: int | None = None  # exit code with which it leaves unasked; None: it does not
        self._kills, self._sizes = memory.kills(), ""

    @property
    def up(self) -> int:
        """File descriptor to wait on for news."""
        return self._up

    def listen(self) -> bool:
        """Take in what the worker said; False at the end of the pipe."""
        piece = os.read(self._up, 65536)
        for message in self._said.take(piece):
            self.has_started, self.heard = True, time.monotonic()
            if message["say"] == "start":
                self.trial, self.begun, self.activity = message["trial"], self.heard, ""
                self.log_start = message["log"]
            elif message["say"] == "making":
                self.begun = None
            elif message["say"] == "report":
                self.activity = lines.shown(message["text"])
            elif message["say"] == "leave":
                self.left = message["code"]
            else:
                self.trial, self.activity = None, ""
                self.done += message.get("done", 0)
        return bool(piece)

    def overdue(self, post: Post) -> str:
        """Which limit the trial has passed, in words; "" when none."""
        now = time.monotonic()
        if self.trial is None:
            return ""
        if post.trial_seconds and self.begun is not None and now - self.begun > post.trial_seconds:
            return f"stopped after its limit of {post.trial_seconds:g} s"
        if post.silent_seconds and now - self.heard > post.silent_seconds:
            return f"stopped after {post.silent_seconds:g} s without a report"
        return ""

    def tell(self, order: str) -> None:
        """Tell the worker to "drain" or to "stop"."""
        with suppress(BrokenPipeError):  # it has just died: that is seen elsewhere
            os.write(self._down, lines.encode(order))

    def kill(self) -> None:
        """End the worker and whatever it has started, and close the pipes."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if left := descendants.end_all():
            print(f"netwright: these processes of the worker could not be ended: {left}", file=sys.stderr, flush=True)
        os.close(self._down)
        os.close(self._up)

    def look(self) -> None:
        """Take note of how many processes the kernel has killed so far, of what is free and what the worker holds."""
        self._kills = memory.kills()
        with suppress(psutil.Error):
            held, free = psutil.Process(self.process.pid).memory_info().rss, memory.free()
            self._sizes = (
                f", at the last look with {memory.size_text(free)} free and {memory.size_text(held)} held by it"
            )

    def out_of_memory(self, words: str) -> str:
        """What is known of that where a worker that has died did so for want of memory, in words; "": it did not.

        Args:
            words: What it died of, behind what its trial printed last.
        """
        if self.process.returncode == -signal.SIGKILL and memory.kills() > self._kills:
            return f"the kernel killed its worker, as memory ran out{self._sizes}"
        if self.process.returncode == -signal.SIGABRT and BAD_ALLOC in words:
            return f"its worker gave up, as it got no more memory{self._sizes}"
        return ""

    def cause_of_death(self, log: str) -> str:
        """What the worker died of, once it has; before that, what its trial printed last."""
        try:
            what = deaths.cause(self.process.wait(CLOSING))
        except subprocess.TimeoutExpired:
            what = "closed its line to the process that watches over it"
        words = deaths.last_words(Path(log), self.log_start) if log and self.log_start >= 0 else ""
        return f"{words}\nits worker {what}".lstrip("\n")
