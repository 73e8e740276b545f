"""The driver's multi-process service (MPS), by which kernels of several processes run on a card at once.

Without it, processes take turns on a card, each for a slice of time. It may be missing or not allowed: then trials go
on without it. A daemon is started in a folder of its own, so that one of somebody else's is left alone, and one that is
there already is used. Nothing of the card's settings is changed.

Source: NVIDIA, Multi-Process Service, which also says that a client that is killed in a kernel may take the others on
its card along; these are then lost workers, whose rows go back.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from typing import Final

from netwright.executors import descendants

CONTROL: Final = "nvidia-cuda-mps-control"
PIPES, LOGS, VISIBLE = "CUDA_MPS_PIPE_DIRECTORY", "CUDA_MPS_LOG_DIRECTORY", "CUDA_VISIBLE_DEVICES"
STARTS_IN: Final = 5.0  # seconds
CLIENT_IN: Final = 60.0  # seconds in which a process must get at the card
_USES_CARD: Final = """
import ctypes, sys
cuda, device, context = ctypes.CDLL("libcuda.so.1"), ctypes.c_int(), ctypes.c_void_p()
fault = cuda.cuInit(0) or cuda.cuDeviceGet(ctypes.byref(device), 0)
sys.exit(bool(fault or cuda.cuDevicePrimaryCtxRetain(ctypes.byref(context), device)))
"""
CLIENT: Final = (sys.executable, "-c", _USES_CARD)  # within a fraction of a second, as it needs no torch


@dataclass(frozen=True)
class Service:
    """A service that runs, and what a process needs to use it.

    Args:
        environment: Variables of the environment of its clients.
        process: The daemon; None: it is not ours.
        folder: Folder of its pipes; None: it is not ours.
        mark: Mark in the environment of the daemon and of what it starts.
        control: The program by which it is told to end.
    """

    environment: Mapping[str, str]
    process: Popen[bytes] | None = None
    folder: Path | None = None
    mark: str = ""
    control: str = CONTROL

    def stop(self) -> None:
        """End the daemon, if it is ours, and what it has started; its clients should have ended."""
        if self.process is None or self.folder is None:
            return
        with suppress(OSError, subprocess.TimeoutExpired):
            environment = {**os.environ, **self.environment}
            order = b"quit -t 2\n"
            subprocess.run([self.control], input=order, env=environment, timeout=5, check=False, capture_output=True)
            self.process.wait(timeout=2)
        self.process.kill()
        self.process.wait()
        descendants.end_marked(self.mark)
        shutil.rmtree(self.folder, ignore_errors=True)


def start(
    mark: str,
    *,
    control: str | None = None,
    client: Sequence[str] = CLIENT,
    environment: Mapping[str, str] = os.environ,
    clock: Callable[[], float] = time.monotonic,
) -> Service | None:
    """Start the service, and see whether a process gets at a card by it; None: it cannot be had here.

    Args:
        mark: What stands in the environment of the daemon, by which `descendants.end_marked` finds it.
        control: The program that controls it; None: the one on the path.
        client: Command of a process that uses a card.
        environment: Variables of the environment.
        clock: Gives the seconds.
    """
    if environment.get(PIPES):
        return Service({})  # one that somebody has started for this process, who answers for it
    program = control or shutil.which(CONTROL)
    if program is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="netwright-cards-"))  # paths of sockets are short
    own = {PIPES: str(folder / "pipe"), LOGS: str(folder / "log")}
    for path in own.values():
        Path(path).mkdir()
    # it would number the cards of its clients anew
    seen = {name: value for name, value in environment.items() if name != VISIBLE}
    try:
        process = Popen(
            [program, "-f"],
            env={**seen, **own, descendants.MARK: mark},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    service = Service(own, process, folder, mark, program)
    until = clock() + STARTS_IN
    while process.poll() is None and not (folder / "pipe" / "control").exists() and clock() < until:
        time.sleep(0.02)
    is_there = process.poll() is None and (folder / "pipe" / "control").exists()
    if is_there and _gets_through(client, {**environment, **own}):
        return service
    service.stop()
    return None


def _gets_through(client: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a process can use a card in this environment."""
    try:
        found = subprocess.run(client, env=environment, timeout=CLIENT_IN, check=False, capture_output=True, input=b"")
        return found.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False
