"""A small Slurm of virtual nodes on this machine, to be broken and mended; `slurm-up.sh` says how it is made."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import searching
from tests.cluster.searching import ROOT

HERE = Path(__file__).resolve().parent
NODES, CPUS = 3, 1
# a partition whose jobs take the place of those of `main`, and small arrays, so that there are several
CONF = """PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
MaxArraySize=5
PartitionName=urgent Nodes=node[1-3] PriorityTier=10
"""


def missing() -> str:
    """Which program of a Slurm is missing here; "" where all are there."""
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    programs = ("slurmctld", "slurmd", "sbatch", "squeue", "scancel", "sinfo", "munged", "mungekey")
    return next((name for name in programs if shutil.which(name, path=path) is None), "")


@dataclass(frozen=True)
class Cluster:
    """A Slurm that runs.

    Args:
        folder: Its files.
    """

    folder: Path

    @property
    def variables(self) -> dict[str, str]:
        """The environment of programs that use it."""
        kept = {name: text for name, text in os.environ.items() if not name.startswith(("SLURM_", "SBATCH_"))}
        return kept | {
            "SLURM_CONF": str(self.folder / "etc" / "slurm.conf"),
            "PYTHONPATH": str(ROOT / "src"),
            "OMP_NUM_THREADS": "1",
        }

    def run(self, *words: str) -> str:
        """What a command prints; it must go well."""
        return subprocess.run(
            words, env=self.variables, check=True, capture_output=True, text=True, timeout=120
        ).stdout.strip()

    def jobs(self, states: str = "PENDING,RUNNING,COMPLETING") -> list[str]:
        """Tasks of arrays and other jobs in these states, as ARRAY_TASK or JOB."""
        found = self.run("squeue", "--noheader", "--array", f"--states={states}", "--format=%i").split()
        return sorted(found)

    def kill_node(self, number: int) -> None:
        """A power cut of a node."""
        self.run(str(self.folder / "kill-node.sh"), f"node{number}")

    def start_node(self, number: int) -> None:
        """The node is there again."""
        self.run(str(self.folder / "start-node.sh"), f"node{number}")

    def kill_controller(self) -> None:
        """Slurm's own controller is gone."""
        self.run("kill", "-KILL", (self.folder / "run" / "slurmctld.pid").read_text().strip())

    def start_controller(self) -> None:
        """Slurm's own controller is there again."""
        self.run("/usr/sbin/slurmctld", "-f", self.variables["SLURM_CONF"])


@contextmanager
def started() -> Iterator[Cluster]:
    """A cluster of NODES nodes with CPUS processors each, until the end of the block."""
    with tempfile.TemporaryDirectory(prefix="nw-slurm-", ignore_cleanup_errors=True) as folder:
        os.chmod(folder, 0o755)  # munged refuses what is less, and what is more
        place = Path(folder) / "c"
        variables = {**os.environ, "SLURM_EXTRA_CONF": CONF}
        subprocess.run(
            [HERE / "slurm-up.sh", place, str(NODES), str(CPUS)],
            env=variables,
            check=True,
            capture_output=True,
            timeout=120,
        )
        try:
            yield Cluster(place)
        finally:
            subprocess.run([HERE / "slurm-down.sh", place], check=False, capture_output=True, timeout=120)


def search(folder: Path, trials: int = 60, seconds: float = 1.0, **options: object) -> list[str]:
    """The words of a search by jobs of Slurm in a folder, whose recipe is written there; options of its executor."""
    return searching.search(
        folder, "slurm", {"partition": "main", "workers": 3, "poll_seconds": 1.0, **options}, trials, seconds
    )
