"""What is submitted to Slurm: the words of sbatch and the script of a job, made of text alone."""

from __future__ import annotations

import hashlib
import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

EARLY: Final = 10.0  # seconds before a job's end for whatever comes after a trial has written down where it stands
OWN: Final = (  # options of sbatch that an array of workers needs as they are
    *("array", "job-name", "output", "error", "open-mode", "input", "parsable", "wrap", "wait", "test-only"),
    *("requeue", "no-requeue", "signal", "ntasks", "nodes"),
)
SHORT: Final = ("-a", "-J", "-o", "-e", "-i", "-W", "-n", "-N")  # the same, in short
NAMED: Final = {  # options of sbatch that have an option of the executor
    "partition": "partition",
    "-p": "partition",
    "time": "minutes",
    "-t": "minutes",
    "gres": "gres",
    "cpus-per-task": "cpus",
    "-c": "cpus",
    "mem": "memory_mb",
    "account": "account",
    "-A": "account",
}
SIGN: Final = 5.0  # seconds between the signs of life that a controller gives on the disk
KEPT: Final = ("PYTHONPATH", "NETWRIGHT_DATA")  # variables of the controller that jobs get whatever sbatch exports


@dataclass(frozen=True)
class JobSpec:
    """A job of one worker.

    Args:
        folder: Folder of the run, which all nodes see.
        python: The interpreter, which all nodes see.
        partition: Partition; "": Slurm's default one.
        minutes: Time limit in minutes; 0: that of the partition.
        gres: Generic resources, as in "gpu:1"; "": none.
        cpus: Processors.
        memory_mb: Memory in 2**20 bytes; 0: what the partition gives.
        account: Account; "": the user's default one.
        stop_seconds: Seconds that a trial has for writing down where it stands.
        extra: Further options of sbatch.
        setup: Lines of shell before the worker.
        patience: Seconds for which a worker waits for a controller that does not answer.
        variables: Variables that jobs get whatever sbatch exports.
    """

    folder: Path
    python: str
    partition: str = ""
    minutes: int = 0
    gres: str = ""
    cpus: int = 1
    memory_mb: int = 0
    account: str = ""
    stop_seconds: float = 20.0
    extra: tuple[str, ...] = ()
    setup: tuple[str, ...] = ()
    patience: float = 600.0
    variables: tuple[tuple[str, str], ...] = ()

    @property
    def log(self) -> str:
        """Pattern of the path of a task's log, as sbatch reads it."""
        return f"{self.folder / 'logs'}/".replace("%", "%%") + "slurm-%A_%a.log"

    @property
    def watch_log(self) -> Path:
        """Path of the controller's log of the jobs."""
        return watch_log(self.folder)

    def log_of(self, array: int, index: int) -> Path:
        """Path of the log of a task."""
        return self.folder / "logs" / f"slurm-{array}_{index}.log"

    @property
    def warning(self) -> int:
        """Seconds before the end of a job at which Slurm tells the worker; never most of a short job."""
        asked = round(self.stop_seconds + EARLY)
        return asked if not self.minutes else max(1, min(asked, 15 * self.minutes))

    def arguments(self) -> list[str]:
        """The words behind sbatch, but for the name and the size of the array."""
        return [
            *("--requeue", "--open-mode=append", "--nodes=1", "--ntasks=1"),
            f"--signal=B:USR1@{self.warning}",  # to the process of the script alone, which becomes the worker
            f"--output={self.log}",
            f"--cpus-per-task={self.cpus}",
            *([f"--partition={self.partition}"] if self.partition else []),
            *([f"--time={self.minutes}"] if self.minutes else []),
            *([f"--gres={self.gres}"] if self.gres else []),
            *([f"--mem={self.memory_mb}M"] if self.memory_mb else []),
            *([f"--account={self.account}"] if self.account else []),
            *self.extra,
        ]

    def script(self) -> str:
        """The job's script; the worker takes its place, so that signals reach it."""
        exports = [f"export {name}={shlex.quote(text)}" for name, text in self.variables]
        steps = [f"{{ {line}\n}} || failed {shlex.quote(line)}" for line in self.setup]
        failed = 'failed() { echo "netwright: this line of executor.setup failed: $1" >&2; exit 1; }'
        command = [self.python, "-m", "netwright.cli.slurm_worker", str(self.folder), f"{self.patience:g}"]
        lines = ["#!/bin/bash", *exports, *([failed, *steps] if steps else []), f"exec {shlex.join(command)}"]
        return "\n".join(lines) + "\n"

    def name(self) -> str:
        """The name of such jobs of this run: another one where anything but their number differs."""
        text = "\0".join([*self.arguments(), self.script()])
        return f"netwright-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def is_name(text: str) -> bool:
    """Whether a text is a name that `JobSpec.name` gives."""
    return re.fullmatch("netwright-[0-9a-f]{12}", text) is not None


def watch_log(folder: Path) -> Path:
    """Path of the log that a controller keeps of the jobs of the run in a folder, whose time is its sign of life."""
    return folder / "logs" / "slurm.log"


def worker_name(array: int, index: int) -> str:
    """What the name of a task's worker begins with in the table; a dash and its process follow."""
    return f"slurm-{array}_{index}"


def task_of(worker: str) -> tuple[int, int] | None:
    """Array and index of the task whose worker has a name; None: it is no worker of a job."""
    match = re.match(r"slurm-(\d+)_(\d+)-", worker)
    return None if match is None else (int(match[1]), int(match[2]))


def kept(variables: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """The variables of this process that a job needs."""
    return tuple((name, variables[name]) for name in KEPT if name in variables)


def refusal(extra: Sequence[str]) -> str:
    """Why further options of sbatch cannot be given, in words; "" where they can."""
    for word in extra:
        name = word.removeprefix("--").partition("=")[0]
        short = word[:2]
        if not word.startswith("-") or word in ("-", "--"):
            return f"has {word!r}, which is no option of sbatch; write each as one word, as in '--qos=long'"
        if not word.isprintable():
            return f"has {word!r}; write options in printable characters"
        if (word.startswith("--") and name in OWN) or short in SHORT:
            return f"has {word!r}, which workers need as it is; leave it out"
        own = NAMED.get(name if word.startswith("--") else short)
        if own is not None:
            return f"has {word!r}; give executor.{own} in its place"
    return ""
