"""Plays jobs one after another within a time, each a process of its own, and keeps what came of them.

A job's output goes to `NAME.out` and `NAME.err` in the folder. What became of each is a line of `outcomes.jsonl`, from
which the same command goes on: jobs that are done are not played again, those that were stopped are.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

LINES = "outcomes.jsonl"
GRACE = 30.0  # seconds that a job which is told to stop has for writing down where it stands
SHORTEST = 20.0  # seconds below which no job is begun
LARGEST = 16 * 10**6  # bytes of a file, so that it can be carried from one piece to the next


@dataclass(frozen=True)
class Job:
    """One command.

    Args:
        name: Its name, and that of its output.
        about: What it is, for the table.
        command: Gives its words, from the folder; raises LookupError, with the reason, where something that it goes on
            from is missing.
        seconds: The most that it may take, in this piece.
        skipped: Why it is not played here; "" where it is.
        is_resumable: Whether it can be told to stop, and the same command goes on.
        found: Says in a few words what its output came to.
        after: Name of the job that must be done before; "": none.
    """

    name: str
    about: str
    command: Callable[[Path], Sequence[str]]
    seconds: float
    skipped: str = ""
    is_resumable: bool = False
    found: Callable[[str], str] = lambda _output: ""
    after: str = ""


@dataclass(frozen=True)
class Outcome:
    """What became of a job: "done", "failed", "skipped", "stopped" (it can go on) or "cut" (its time was over).

    `seconds` are those of all pieces.
    """

    name: str
    state: str
    seconds: float = 0.0
    found: str = ""


def read(folder: Path) -> dict[str, Outcome]:
    """The last outcome of each job; a line that was cut is left out."""
    found: dict[str, Outcome] = {}
    path = folder / LINES
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        with suppress(ValueError, TypeError):
            outcome = Outcome(**json.loads(line))
            found[outcome.name] = outcome
    return found


def play(
    jobs: Sequence[Job],
    folder: Path,
    seconds: float,
    *,
    environment: Mapping[str, str],
    say: Callable[[str], None],
    shortest: float = SHORTEST,
) -> dict[str, Outcome]:
    """Play the jobs that are not done, as far as the time goes; what became of every one of all pieces.

    Jobs for which no time is left are "skipped"; so are those whose job before was not done.
    """
    folder.mkdir(parents=True, exist_ok=True)
    ends = time.monotonic() + seconds
    outcomes = read(folder)
    for job in jobs:
        before = outcomes.get(job.name)
        if before and before.state == "done":
            continue
        spent = before.seconds if before else 0.0
        why = job.skipped or _why_not(job, outcomes, ends - time.monotonic(), shortest)
        words: Sequence[str] = ()
        if not why:
            try:
                words = job.command(folder)
            except LookupError as error:
                why = str(error.args[0])
        if why:
            was_begun = before is not None and before.state == "stopped" and not job.skipped
            outcome = before if before and was_begun else Outcome(job.name, "skipped", spent, why)
        else:
            say(f"{job.name}: {job.about}")
            outcome = _played(job, words, folder, min(job.seconds, ends - time.monotonic()), spent, environment)
        outcomes[job.name] = outcome
        with (folder / LINES).open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(outcome)) + "\n")
        say(f"{job.name}: {outcome.state}{f': {outcome.found}' if outcome.found else ''}")
    return outcomes


def _why_not(job: Job, outcomes: Mapping[str, Outcome], left: float, shortest: float) -> str:
    """Why a job is not begun now; "" where it is."""
    if job.after and (job.after not in outcomes or outcomes[job.after].state != "done"):
        return f"{job.after} was not done"
    needed = shortest + (GRACE if job.is_resumable else 0.0)
    return f"no time is left ({max(left, 0):.0f} s)" if left < needed else ""


def _played(
    job: Job, words: Sequence[str], folder: Path, seconds: float, spent: float, environment: Mapping[str, str]
) -> Outcome:
    """Play one job; what it is told to stop for is the end of its time."""
    begun = time.monotonic()
    out, err = folder / f"{job.name}.out", folder / f"{job.name}.err"
    with out.open("w") as output, err.open("a") as errors:
        process = subprocess.Popen(
            words, stdout=output, stderr=errors, stdin=subprocess.DEVNULL, env=environment, start_new_session=True
        )
        is_over = False
        try:
            process.wait(max(1.0, seconds - (GRACE if job.is_resumable else 0.0)))
        except subprocess.TimeoutExpired:
            is_over = True
        finally:
            _end(process)
    taken = spent + time.monotonic() - begun
    text = out.read_text(encoding="utf-8", errors="replace")
    if process.returncode == 0:
        return Outcome(job.name, "done", taken, _found(job, text))
    if is_over:
        if job.is_resumable:
            return Outcome(job.name, "stopped", taken, "its time was over; the same command goes on")
        return Outcome(job.name, "cut", taken, _found(job, text) or f"its {seconds:.0f} s were over")
    return Outcome(job.name, "failed", taken, _found(job, text) or last_line(err) or f"exit code {process.returncode}")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Tell a process that still runs to stop, and kill it with all in its group where it does not."""
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(GRACE)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _found(job: Job, text: str) -> str:
    """What the output came to; "" where it holds nothing of the kind."""
    try:
        return job.found(text)
    except (ValueError, KeyError, IndexError, TypeError):
        return ""


def last_line(path: Path) -> str:
    """The last line of a file that is not empty, shortened."""
    lines = path.read_text(encoding="utf-8", errors="replace").split("\n") if path.exists() else []
    return next((line.strip()[:200] for line in reversed(lines) if line.strip()), "")


def large_files(folder: Path) -> list[str]:
    """Files that are too large to be carried to the next piece, with their sizes."""
    found = [(path, path.stat().st_size) for path in sorted(folder.rglob("*")) if path.is_file()]
    return [f"{path.relative_to(folder)} ({size / 1e6:.1f} MB)" for path, size in found if size > LARGEST]


def table(jobs: Sequence[Job], outcomes: Mapping[str, Outcome]) -> str:
    """One line per job."""
    lines = [f"{'job':22}{'':10}{'seconds':>8}  found"]
    for job in jobs:
        outcome = outcomes.get(job.name, Outcome(job.name, "skipped", 0.0, "not reached"))
        lines.append(f"{job.name:22}{outcome.state:10}{outcome.seconds:8.0f}  {outcome.found or job.about}")
    return "\n".join(lines)
