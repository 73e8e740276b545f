"""The driver's multi-process service (MPS), by which kernels of several processes run on a card at once.

Without it, processes take turns on a card, each for a slice of time. It may be missing or not allowed: then trials go
on without it. A daemon is started in a folder of its own, so that one of somebody else's is left alone, and one that is
there already is used. Nothing of the card's settings is changed.

The daemon runs under a process that watches it, as workers do: its standard input ends with the controller, however
that ends, and the daemon with it. Usage: `python -m netwright.executors.card_service CONTROL FOLDER MARK`.

Source: NVIDIA, Multi-Process Service, which also says that a client that is killed in a kernel may take the others on
its card along; these are then lost workers, whose rows go back.
"""

from __future__ import annotations

import os
import select
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
ENDS_IN: Final = 15.0  # seconds that the watcher has for ending the daemon: 5, 2 and those of `descendants`
BEAT: Final = 1.0  # seconds between looks at whether the daemon is alive
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
        watcher: The process that watches over the daemon; None: it is not ours.
        folder: Folder of its pipes; None: it is not ours.
        mark: Mark in the environment of the watcher, the daemon and of what it starts.
    """

    environment: Mapping[str, str]
    watcher: Popen[bytes] | None = None
    folder: Path | None = None
    mark: str = ""

    def stop(self) -> None:
        """End the daemon, if it is ours, and what it has started; its clients should have ended."""
        if self.watcher is None or self.folder is None:
            return
        assert self.watcher.stdin is not None
        self.watcher.stdin.close()
        with suppress(subprocess.TimeoutExpired):
            self.watcher.wait(timeout=ENDS_IN)
        self.watcher.kill()
        self.watcher.wait()
        _remove(self.folder, self.mark)  # what is left where the watcher was killed


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
        mark: How what stands in the environment of the daemon begins, by which `descendants.end_marked` finds it. It
            ends with what no other service has, so that one that is still ending takes none along that came after it.
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
    mark = f"{mark}{folder.name}|"
    own = {PIPES: str(folder / "pipe"), LOGS: str(folder / "log")}
    for path in own.values():
        Path(path).mkdir()
    # it would number the cards of its clients anew
    seen = {name: value for name, value in environment.items() if name != VISIBLE}
    try:
        watcher = Popen(
            [sys.executable, "-m", "netwright.executors.card_service", program, str(folder), mark],
            env={**seen, **own, descendants.MARK: mark},
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError:
        shutil.rmtree(folder, ignore_errors=True)
        return None
    service = Service(own, watcher, folder, mark)
    until = clock() + STARTS_IN
    while watcher.poll() is None and not (folder / "pipe" / "control").exists() and clock() < until:
        time.sleep(0.02)
    is_there = watcher.poll() is None and (folder / "pipe" / "control").exists()
    if is_there and _gets_through(client, {**environment, **own}):
        return service
    service.stop()
    return None


def watch(program: str, folder: Path, mark: str, line: int) -> None:
    """Run the daemon until it ends, or a line does; nothing of it is left then.

    Args:
        program: The program that controls it.
        folder: Folder of its pipes, which the environment names, and which is removed.
        mark: Mark in the environment of this process.
        line: Descriptor of a pipe that somebody holds open as long as the daemon is wanted.
    """
    nothing = subprocess.DEVNULL
    try:
        daemon = Popen([program, "-f"], stdin=nothing, stdout=nothing, stderr=nothing, start_new_session=True)
        while daemon.poll() is None:
            if select.select([line], [], [], BEAT)[0] and not os.read(line, 1024):
                with suppress(OSError, subprocess.TimeoutExpired):
                    subprocess.run([program], input=b"quit -t 2\n", timeout=5, check=False, capture_output=True)
                    daemon.wait(timeout=2)
                daemon.kill()
                daemon.wait()
    finally:
        _remove(folder, mark)


def _remove(folder: Path, mark: str) -> None:
    descendants.end_marked(mark)
    shutil.rmtree(folder, ignore_errors=True)


def _gets_through(client: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Whether a process can use a card in this environment."""
    try:
        found = subprocess.run(client, env=environment, timeout=CLIENT_IN, check=False, capture_output=True, input=b"")
        return found.returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def main() -> None:
    """Entry point of the process that watches over the daemon."""
    program, folder, mark = sys.argv[1:]
    watch(program, Path(folder), mark, sys.stdin.fileno())


if __name__ == "__main__":
    main()
