"""What Slurm is asked and told, by its own commands: sbatch, squeue, scancel, scontrol. Lists of words, never a shell.

A run's jobs are known by their name, which no other run of the user has, so that none is lost between its submission
and the note of its number. The queue is read as text: `squeue --json` of Slurm 22.05 ignores what it is asked for and
gives the jobs of all users, and later releases write its states and numbers in other ways.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from netwright.core.errors import WorkerError

PROGRAMS: Final = ("sbatch", "squeue", "scancel", "scontrol", "sinfo")
LOOK_SECONDS, SUBMIT_SECONDS = 45.0, 150.0  # after which a command is given up; sbatch itself tries again for a while
FORMAT: Final = "%F|%K|%T|%M|%N|%r"  # array, index, state, time used, nodes, reason
MAX_ARRAY: Final = 1001  # tasks of an array where Slurm does not say; its own default
WAITING: Final = frozenset(("PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"))
RUNNING: Final = frozenset(
    ("RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "RESIZING", "SIGNALING", "STAGE_OUT")
)
# Slurm gave up on a job that it could not start, and keeps it until somebody cancels it
GIVEN_UP: Final = ("launch failed", "launch_failed", "JobHoldMaxRequeue")


UNTOLD: Final = "Requested node configuration is not available"  # said of options, and where all nodes are drained
SILENCE: Final = ("unable to contact slurm", "socket timed out", "connection refused", "communication", "zero bytes")


class SlurmError(WorkerError):
    """Slurm refused something, or does not answer; says so in its own words."""


class SlurmSilent(SlurmError):
    """Slurm does not answer now: its controller restarts, say."""


@dataclass(frozen=True)
class ArrayTask:
    """One task of an array, as the queue has it.

    Args:
        array: Number of the array.
        index: Number of the task in it.
        state: State in Slurm's words.
        seconds: For how long it has run, since it was last started, in seconds.
        node: Where it runs or ran; "": nowhere yet.
        reason: Why it waits or ended, in Slurm's words.
    """

    array: int
    index: int
    state: str
    seconds: float = 0.0
    node: str = ""
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.array}_{self.index}"

    @property
    def is_waiting(self) -> bool:
        """Whether it has yet to start, or to start again."""
        return self.state in WAITING and not self.is_given_up

    @property
    def is_running(self) -> bool:
        """Whether it has processes, or may have some."""
        return self.state in RUNNING

    @property
    def is_given_up(self) -> bool:
        """Whether it waits and will never start."""
        return self.state in WAITING and any(text in self.reason for text in GIVEN_UP)

    @property
    def is_live(self) -> bool:
        """Whether it runs, or will."""
        return self.is_waiting or self.is_running


def tasks(text: str) -> tuple[ArrayTask, ...]:
    """The tasks of arrays that `squeue` listed by FORMAT; lines that are none are left out."""
    found = []
    for line in text.splitlines():
        parts = line.strip().split("|", 5)
        if len(parts) == 6 and parts[0].isdecimal() and parts[1].isdecimal():
            array, index, state, used, node, reason = parts
            word = state.split()[0] if state else ""  # "CANCELLED by 1000" in some releases
            found.append(ArrayTask(int(array), int(index), word, duration(used) or 0.0, node, reason))
    return tuple(found)


def duration(text: str) -> float | None:
    """Seconds of a time as Slurm writes it: [days-][hours:]minutes:seconds; None: it is no limited time."""
    match = re.fullmatch(r"(?:(\d+)-)?(?:(\d+):)?(\d+):(\d+)", text.strip())
    if match is None:
        return None
    days, hours, minutes, seconds = (int(each or 0) for each in match.groups())
    return float(((days * 24 + hours) * 60 + minutes) * 60 + seconds)


def said(text: str) -> str:
    """What a command of Slurm complains of, as one line without the names of programs."""
    names = r"^(sbatch|squeue|scancel|scontrol|sinfo|allocation failure): *((error|fatal): *)?"
    lines = [re.sub(names, "", line.strip()) for line in text.splitlines()]
    return "; ".join(dict.fromkeys(line for line in lines if line))


def environment(of: Mapping[str, str]) -> dict[str, str]:
    """Variables for Slurm's commands: within a job, those that describe that job must not describe others."""
    is_in_job = "SLURM_JOB_ID" in of
    return {name: text for name, text in of.items() if not (is_in_job and _describes_job(name))}


def _describes_job(name: str) -> bool:
    return name.startswith(("SLURM_", "SLURMD_")) and name not in ("SLURM_CONF", "SLURM_CLUSTERS")


@dataclass(frozen=True)
class Queue:
    """The jobs of one name of this user.

    Args:
        name: Their name.
        variables: The environment of Slurm's commands.
    """

    name: str
    variables: Mapping[str, str] = field(default_factory=lambda: environment(os.environ), repr=False)

    def submit(self, words: Sequence[str], script: str, number: int) -> int:
        """Submit an array of so many tasks; returns its number.

        Raises:
            SlurmError: It was refused, or Slurm does not answer.
        """
        text = self._run(self._submission(words, number), SUBMIT_SECONDS, script)
        array = text.strip().partition(";")[0]  # behind a semicolon stands the cluster
        if not array.isdecimal():
            raise SlurmError(f"sbatch gave {text.strip()[:200]!r} in place of a job's number")
        return int(array)

    def try_out(self, words: Sequence[str], script: str) -> None:
        """Raise SlurmError for options that `submit` would refuse, as far as can be told; nothing is submitted."""
        try:
            self._run([*self._submission(words, 1), "--test-only"], SUBMIT_SECONDS, script)
        except SlurmError as error:
            if UNTOLD not in str(error):
                raise

    def look(self) -> tuple[ArrayTask, ...]:
        """All tasks that Slurm still knows, those that ended a few minutes ago among them. Raises SlurmError."""
        words = ["squeue", f"--user={os.getuid()}", f"--name={self.name}", "--array", "--states=all", "--noheader"]
        return tasks(self._run([*words, f"--format={FORMAT}"], LOOK_SECONDS))

    def cancel(self, *words: str) -> None:
        """Cancel jobs, or tell them something: `words` are those of scancel, such as a state. Raises SlurmError."""
        self._run(["scancel", "--quiet", f"--user={os.getuid()}", f"--name={self.name}", *words], LOOK_SECONDS)

    def cancel_tasks(self, those: Sequence[ArrayTask]) -> None:
        """Cancel some tasks. Raises SlurmError."""
        if those:
            self._run(["scancel", "--quiet", *map(str, those)], LOOK_SECONDS)

    def addresses(self, partition: str = "") -> list[str]:
        """Addresses of nodes, each once, in the queue's order. Raises SlurmError."""
        words = [f"--partition={partition}"] if partition else []
        return list(
            dict.fromkeys(self._run(["sinfo", "--noheader", "--Node", "--format=%o", *words], LOOK_SECONDS).split())
        )

    def max_array(self) -> int:
        """How many tasks an array may have. Raises SlurmError."""
        found = re.search(r"^MaxArraySize\s*=\s*(\d+)", self._run(["scontrol", "show", "config"], LOOK_SECONDS), re.M)
        return max(1, int(found[1])) if found else MAX_ARRAY

    def _submission(self, words: Sequence[str], number: int) -> list[str]:
        return ["sbatch", "--parsable", f"--job-name={self.name}", f"--array=0-{number - 1}", *words]

    def _run(self, words: Sequence[str], seconds: float, given: str = "") -> str:
        return said_by(words, seconds, self.variables, given)


def seconds_left(job: str, variables: Mapping[str, str]) -> float | None:
    """How many seconds a job still has; None: it has no limit of time. Raises SlurmError."""
    return duration(said_by(["squeue", "--noheader", f"--jobs={job}", "--format=%L"], LOOK_SECONDS, variables))


def said_by(words: Sequence[str], seconds: float, variables: Mapping[str, str], given: str = "") -> str:
    """What one of Slurm's commands prints.

    Args:
        words: The command.
        seconds: Time after which it is given up.
        variables: Its environment.
        given: Its standard input.

    Raises:
        SlurmError: It is not there, failed, or took too long.
    """
    try:
        ran = subprocess.run(
            words,
            input=given,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=seconds,
            env=dict(variables),
            start_new_session=True,  # Ctrl-C reaches the controller alone
            check=False,
        )
    except FileNotFoundError:
        raise SlurmError(absent(words[0])) from None
    except OSError as error:
        raise SlurmError(f"{words[0]} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise SlurmSilent(f"{words[0]} has not answered for {seconds:.0f} s; is slurmctld up?") from None
    if ran.returncode:
        raise complaint(words[0], ran.stderr, ran.returncode)
    return ran.stdout


def complaint(program: str, text: str, code: int) -> SlurmError:
    """What a command that failed has said, as an error: whether it was refused, or Slurm is not there."""
    kind = SlurmSilent if any(each in text.lower() for each in SILENCE) else SlurmError
    return kind(f"{program}: {said(text) or f'exit code {code}'}")


def absent(program: str) -> str:
    """A sentence on a program of Slurm that is not there."""
    return (
        f"there is no Slurm on this machine ({program} is not found); start the search where its commands are, such as "
        "a login node, or give another --executor"
    )


def check_programs() -> None:
    """Raise SlurmError where a command of Slurm is missing."""
    for program in PROGRAMS:
        if shutil.which(program) is None:
            raise SlurmError(absent(program))
