"""A small Ray of a head and virtual nodes on this machine, to be broken and mended.

Everything is at addresses of this machine's own from 127.0.0.2 on, since Ray makes its outward address of 127.0.0.1.
"""

import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import searching
from tests.cluster.searching import ROOT

HERE = Path(__file__).resolve().parent
NODES = 3
STORE_BYTES = 80_000_000
PATIENCE = 200.0  # seconds for a node to come up


def missing() -> str:
    """Why there can be no Ray here; "" where there can."""
    if not sys.platform.startswith("linux"):
        return "addresses from 127.0.0.2 on are Linux's"
    return "" if importlib.util.find_spec("ray") else "the package ray is missing; make cluster-test installs it"


@dataclass(frozen=True)
class RayNodes:
    """A Ray whose head has no CPU, and whose nodes, numbers 1 to NODES, have one each.

    Args:
        folder: Its files; a short path.
        port: Port of the head; the next thousand are used too.
    """

    folder: Path
    port: int

    @property
    def address(self) -> str:
        """For `executor.address`."""
        return f"127.0.0.2:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment of nodes, and of programs that use them."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith("RAY_")}
        return kept | {
            "RAY_AUTH_MODE": "disabled",  # it would take up, or leave, a token in the home directory
            "RAY_USAGE_STATS_ENABLED": "0",
            "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)]),
            "OMP_NUM_THREADS": "1",
        }

    def start_head(self) -> None:
        """Start the head."""
        words = [f"--port={self.port}", "--head", "--num-cpus=0", "--include-dashboard=false"]
        self._start(0, [*words, f"--temp-dir={self.folder}"]).wait(PATIENCE)
        assert self.raylet(0) is not None, (self.folder / "0.log").read_text()

    def start(self, number: int) -> "subprocess.Popen[bytes]":
        """Begin to start a node; the process that does ends when it is there."""
        return self._start(number, [f"--address={self.address}", "--num-cpus=1"])

    def kill(self, number: int) -> None:
        """A power cut of a node, but for what its raylet takes along by itself."""
        if (pid := self.raylet(number)) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def mend(self) -> None:
        """Start all nodes that are not there."""
        for number in range(1, NODES + 1):
            if self.raylet(number) is None:
                assert self.start(number).wait(PATIENCE) == 0, (self.folder / f"{number}.log").read_text()[-2000:]

    def raylet(self, number: int) -> int | None:
        """The process of a node; None: it is not there."""
        wanted = f"--node_ip_address=127.0.0.{number + 2}".encode()
        for pid in self.processes():
            with suppress(OSError):
                words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                if words[0].endswith(b"/raylet") and wanted in words:
                    return pid
        return None

    def processes(self) -> list[int]:
        """All processes of it: those that have a file of its folder open."""
        found = []
        for place in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                links = [os.readlink(file) for file in (place / "fd").iterdir()]
                if any(link.startswith(f"{self.folder}/") for link in links):
                    found.append(int(place.name))
        return [pid for pid in found if pid != os.getpid()]

    def stop(self) -> None:
        """End all of it, and nothing else."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            until = time.monotonic() + 10
            while (found := self.processes()) and time.monotonic() < until:
                for pid in found:
                    with suppress(ProcessLookupError):
                        os.kill(pid, number)
                time.sleep(0.2)

    def _start(self, number: int, words: list[str]) -> "subprocess.Popen[bytes]":
        first = self.port + 100 * (number + 1)  # two raylets of one host must not share ports
        names = ("dashboard-agent-grpc", "dashboard-agent-listen", "metrics-export", "runtime-env-agent")
        ports = [f"--{name}-port={self.port + 10 * (number + 1) + place}" for place, name in enumerate(names)]
        workers = [f"--min-worker-port={first}", f"--max-worker-port={first + 99}"]
        with (self.folder / f"{number}.log").open("ab") as log:
            return subprocess.Popen(
                [
                    *(sys.executable, str(HERE / "ray_node.py"), "start", f"--node-ip-address=127.0.0.{number + 2}"),
                    *(*words, *ports, *workers, f"--object-store-memory={STORE_BYTES}", "--disable-usage-stats"),
                ],
                stdout=log,
                stderr=log,
                env=self.variables,
            )


@contextmanager
def started(nodes: int = NODES) -> Iterator[RayNodes]:
    """A head and so many nodes, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="nw-ray-", ignore_cleanup_errors=True) as folder:
        cluster = RayNodes(Path(folder), free_port())
        try:
            cluster.start_head()
            for number in range(1, nodes + 1):  # one after the other, as each takes a core
                cluster.start(number).wait(PATIENCE)
            yield cluster
        finally:
            cluster.stop()


def free_port() -> int:
    """The first of a few hundred ports below those that systems give away."""
    for port in range(21_000, 31_000, 1000):
        with socket.socket() as tried:
            if tried.connect_ex(("127.0.0.2", port)):
                return port
    raise AssertionError("no port is free")


def search(cluster: RayNodes, folder: Path, trials: int = 60, seconds: float = 1.0, **options: object) -> list[str]:
    """The words of a search by actors in a folder, whose recipe is written there; options of its executor."""
    return searching.search(folder, "ray", {"address": cluster.address, "workers": NODES, **options}, trials, seconds)
