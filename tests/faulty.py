"""Evaluators that go wrong in every way we know of; workers find them as `tests.faulty:Evaluator`."""

import errno
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from typing import Literal

from netwright.core.errors import DeviceLost
from netwright.core.protocols import SearchSpace, Task
from netwright.core.records import Result
from netwright.testing.toys import ToySpace


class OutOfMemoryError(RuntimeError):
    """Called as torch's own is."""


SURVIVED = ("raise", "nan", "none", "text", "quit", "names", "reports")  # faults that cost no worker


SLEEP = "import time; time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
DAEMON = "import os, time; os.fork() and os._exit(0); os.setsid(); os.fork() and os._exit(0); time.sleep(600)"
FORKING = "import os, time\nwhile True:\n    if os.fork():\n        os._exit(0)\n    time.sleep(0.002)"


@dataclass(frozen=True)
class Evaluator:
    """Goes wrong at every trial whose id is a multiple of `every`; else answers 1."""

    space: SearchSpace
    task: Task
    fault: Literal[
        *(
            "raise",
            "die",
            "die_once",
            "deaths",
            "quit",
            "hang",
            "leave",
            "fork",
            "silent",
            "nan",
            "none",
            "text",
            "memory",
        ),
        *("print", "gate", "names", "reports", "babble", "card", "kernel", "room", "in_turn"),
    ] = "raise"
    every: int = 2

    def evaluate(self, trial, context):
        good = Result({"valid_accuracy": 1.0, "pid": os.getpid()})
        if trial.id % self.every:
            return good
        return getattr(self, f"_{self.fault}")(trial, context) or good

    def _in_turn(self, trial, context):
        """The next of those that cost no worker."""
        return getattr(self, f"_{SURVIVED[trial.id // self.every - 1]}")(trial, context)

    def _raise(self, trial, context):
        raise ValueError(f"no good: {trial.id}")

    def _die(self, trial, context):
        os.kill(os.getpid(), signal.SIGKILL)

    def _die_once(self, trial, context):
        mark = context.folder / "died"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _deaths(self, trial, context):
        """Another death at each attempt; the last one in native code."""
        mark = context.folder / "deaths"
        number = len(mark.read_text()) if mark.exists() else 0
        mark.write_text("x" * (number + 1))
        print(f"words of attempt {number}")
        if number == 0:
            os._exit(0)
        os.kill(os.getpid(), (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)[number - 1])

    def _quit(self, trial, context):
        sys.exit("enough")

    def _leave(self, trial, context):
        """Leaves processes behind in every way we know of, and hangs."""
        for code, env in ((SLEEP, None), (DEAF, None), (DAEMON, None), (DAEMON, {"PATH": os.environ["PATH"]})):
            subprocess.Popen([sys.executable, "-c", f"{code}  # {context.folder}"], env=env, start_new_session=True)
        while context.report(1, {}):
            time.sleep(0.01)

    def _fork(self, trial, context):
        """Leaves one more that is always another process."""
        subprocess.Popen([sys.executable, "-c", f"{FORKING}  # {context.folder}"], start_new_session=True)
        self._leave(trial, context)

    def _gate(self, trial, context):
        """Waits until there is a file `open` in the folder of the run."""
        while not (context.trials_folder.parent / "open").exists():
            time.sleep(0.02)

    def _names(self, trial, context):
        return Result({f"line\nbreak{trial.id}": 1.0})

    def _reports(self, trial, context):
        context.report(1, {"a\n" + "x" * 100_000: 1.0})
        context.report(2, {7: 1.0})

    def _babble(self, trial, context):
        """Writes to every file that is open, as careless programs do, and goes on."""
        for number in range(3, 64):
            try:
                if os.isatty(number) or not os.path.realpath(f"/proc/self/fd/{number}").startswith("/proc"):
                    continue
                os.write(number, b'end\n{"say": "stop"}\nreport\n[1]\n')
            except OSError:
                continue
        while context.report(1, {}):
            time.sleep(0.01)

    def _hang(self, trial, context):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen([sys.executable, "-c", f"import time; time.sleep(600)  # {context.folder}"])
        while context.report(1, {}):
            time.sleep(0.01)

    def _silent(self, trial, context):
        context.report(1, {})
        time.sleep(600)

    def _nan(self, trial, context):
        return Result({"valid_accuracy": float("nan")}, ((1, float("inf")),))

    def _none(self, trial, context):
        return Result({"valid_accuracy": None})

    def _text(self, trial, context):
        return "0.9"

    def _memory(self, trial, context):
        raise OutOfMemoryError("tried to allocate 80 GiB")

    def _room(self, trial, context):
        """Finds the disk full once."""
        mark = context.folder / "full"
        if not mark.exists():
            mark.touch()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def _card(self, trial, context):
        """Loses its device once."""
        mark = context.folder / "lost"
        if not mark.exists():
            mark.touch()
            raise DeviceLost("the card is gone")

    def _kernel(self, trial, context):
        """Takes a gigabyte of a GPU and keeps it busy for minutes."""
        import torch

        taken = torch.ones(10**9, dtype=torch.uint8, device="cuda")
        torch.cuda.synchronize()
        torch.cuda._sleep(10**12)  # cycles
        (context.trials_folder.parent / "taken").touch()
        return Result({"valid_accuracy": float(taken[0])})  # which waits for the kernel

    def _print(self, trial, context):
        print("x" * 5_000_000)


class Refusing(ToySpace):
    """A plug-in that cannot be constructed."""

    def __init__(self):
        raise ValueError("never")


@dataclass(frozen=True)
class Making(Evaluator):
    """Goes wrong while it makes something ready, for as long as its file is not there; evaluates nothing but 1."""

    fault: Literal["hang", "slow", "die"] = "hang"

    def make_ready(self, trial, context):
        made = context.shared / f"{trial.id}"
        if trial.id % self.every or made.exists():
            return
        made.touch()
        if self.fault == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        until = time.monotonic() + (600 if self.fault == "hang" else 1.5)
        while time.monotonic() < until:
            if self.fault == "slow":
                context.report(0, {})
            time.sleep(0.02)

    def evaluate(self, trial, context):
        return Result({"valid_accuracy": 1.0, "pid": os.getpid()})
