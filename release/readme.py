"""`python -m release.readme`: every command of the README in its order, on a fresh clone, with time and exit status.

Commands are the lines of its shell blocks, its Python blocks, and what stands between backticks as a whole command, as
`netwright show zoo:hierarchical --space.channels 64`. They are played as one shell would: a folder that one goes into
and an environment that one activates hold for the next. Data of the reader's own is stood in for: `photos/` and `new/`
are scikit-learn's digits as JPEG files, `my.csv` is made up, `my.txt` is the package's novel. All of it takes hours;
`--list` numbers the commands, and `--only 1,4` plays some. What is not committed is not in the clone.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from release.environments import QUIET, Failed, made

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"^```(?P<language>\w*)\n(?P<block>.*?)^```|`(?P<inline>netwright\s[^`]+)`", re.DOTALL | re.MULTILINE
)
PLACEHOLDER = re.compile(r"[A-Z]+|\|")  # a word that stands for another, or between several
THEIRS = "<this repository>"
STATE = re.compile(r"git clone |\. |source |cd |export ")  # how such commands begin: those after them need them
CLASSES, IMAGES, NEW = 10, 60, 3  # of the photos: classes, images of each; and images in new/
SIDE = 32  # pixels
NOVEL = ROOT / "src" / "netwright" / "data" / "alice.txt"


@dataclass(frozen=True)
class Command:
    """One command of the text: `words` as they stand there, for Python the whole block."""

    words: str
    is_python: bool = False

    @property
    def shown(self) -> str:
        """In one line, without its comment."""
        if self.is_python:
            return f"Python, {len(self.words.splitlines())} lines: {self.words.splitlines()[-1]}"
        return " ".join(re.sub(r"\s#\s.*$", "", self.words, flags=re.MULTILINE).split())

    @property
    def keeps_state(self) -> bool:
        """Whether the commands behind it need it."""
        return bool(STATE.match(self.words))


@dataclass(frozen=True)
class Shell:
    """Where the next command runs, and with which variables."""

    folder: Path
    variables: Mapping[str, str]


@dataclass(frozen=True)
class Played:
    """What became of a command: its seconds, its exit status (None: it was not run) and what is to be said of it."""

    command: Command
    seconds: float
    status: int | None
    remark: str = ""


def commands(text: str) -> list[Command]:
    """The commands of a Markdown text, in its order; one that stands there twice is listed once."""
    return list(dict.fromkeys(_commands(text)))


def _commands(text: str) -> Iterator[Command]:
    for found in BLOCK.finditer(text):
        if inline := found["inline"]:
            words = " ".join(inline.split())
            if len(words.split()) > 2 and not any(PLACEHOLDER.fullmatch(word) for word in words.split()):
                yield Command(words)
        elif found["language"] == "python":
            yield Command(found["block"].strip(), is_python=True)
        elif found["language"] == "sh":
            for line in re.sub(r"\\\n\s*", "", found["block"]).splitlines():
                if line.strip() and not line.startswith("#"):
                    yield Command(line.strip())


def stand_ins(words: str, folder: Path, tables: Path | None) -> None:
    """Makes what a command reads and a clone lacks.

    Args:
        words: The command.
        folder: Where it runs.
        tables: Folder with nats-tss/nats_tss.csv, which nothing stands in for.

    Raises:
        Failed: The command needs that table, and there is none.
    """
    if re.search(r"\bphotos\b", words) and not (folder / "photos").exists():
        _digits(folder / "photos", folder / "new")
    if re.search(r"\bmy\.csv\b", words) and not (folder / "my.csv").exists():
        rows = [(depth, width, kind) for depth in range(1, 6) for width in (8, 16, 32) for kind in range(3)]
        measured = (f"{d},{w},{kind},{d * 10 + w % 13 + kind},{d * 10 + w % 11}" for d, w, kind in rows)
        (folder / "my.csv").write_text("\n".join(("depth,width,activation,val,test", *measured)) + "\n")
    if re.search(r"\bmy\.txt\b", words) and not (folder / "my.txt").exists():
        shutil.copy(NOVEL, folder / "my.txt")
    if "nats_tss.csv" in words and not (folder / "nats_tss.csv").exists():
        table = (tables or Path("nowhere")) / "nats-tss" / "nats_tss.csv"
        if not table.is_file():
            raise Failed("needs nats-tss/nats_tss.csv in the folder NETWRIGHT_DATA")
        (folder / "nats_tss.csv").symlink_to(table.resolve())


def _digits(photos: Path, new: Path) -> None:
    """Folders of one class each, and a few images that are in none."""
    from PIL import Image
    from sklearn.datasets import load_digits

    digits = load_digits()
    new.mkdir(parents=True)
    for label in range(CLASSES):
        (photos / f"digit {label}").mkdir(parents=True)
        for place, pixels in enumerate(digits.images[digits.target == label][: IMAGES + 1]):
            image = Image.fromarray((pixels * 15.9).astype("uint8")).convert("RGB").resize((SIDE, SIDE))
            if place < IMAGES:
                image.save(photos / f"digit {label}" / f"{place}.jpg", quality=95)
            elif label < NEW:
                image.save(new / f"{label}.jpg", quality=95)


def played(command: Command, shell: Shell, log: Path, seconds: float) -> tuple[Played, Shell]:
    """Runs a command as the next of a shell; answers what became of it, and the shell behind it.

    Args:
        command: The command; `log` gets what it prints.
        shell: Where it runs.
        log: A file, beside which the state of the shell is left.
        seconds: The most it may take; then it is ended with all that it started, and its status is 124.
    """
    folder, variables = log.with_suffix(".folder"), log.with_suffix(".variables")
    line = command.words.replace(THEIRS, shlex.quote(str(ROOT)))
    if command.is_python:
        log.with_suffix(".py").write_text(command.words + "\n")
        line = f"python {shlex.quote(str(log.with_suffix('.py')))}"
    left = f"pwd > {shlex.quote(str(folder))}; env -0 > {shlex.quote(str(variables))}"
    start = time.perf_counter()
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", f"{line}\nstatus=$?\n{left}\nexit $status"],
            cwd=shell.folder,
            env=dict(shell.variables),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = process.wait(seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            status = 124
    took = time.perf_counter() - start
    remark = "" if status == 0 else " / ".join(log.read_text(errors="replace").strip().splitlines()[-3:])
    if variables.is_file():
        pairs = (pair.partition("=") for pair in variables.read_text(errors="replace").split("\0") if pair)
        shell = Shell(Path(folder.read_text().strip()), {name: value for name, _, value in pairs})
    return Played(command, took, status, remark), shell


def furnished(clone: Path, environment: Path) -> None:
    """Gives a clone the `.venv` that its Makefile would make, with the packages of another environment."""
    here = made(environment / "bin" / "python", clone / ".venv")
    [packages] = (here.folder / "lib").glob("python*/site-packages")
    theirs = environment / packages.relative_to(here.folder)
    (packages / "environment.pth").write_text(f"{theirs.resolve()}\n")
    here.pip("install", *QUIET, "--no-deps", "--no-build-isolation", "-e", clone)
    (here.folder / "ready").touch()


def play(
    listed: Sequence[Command], chosen: Sequence[int], place: Path, environment: Path | None, seconds: float
) -> Iterator[Played]:
    """Plays commands one after the other in a folder that holds nothing else, each as soon as it is asked for.

    Args:
        listed: All commands of the text.
        chosen: Numbers of those to play, from 1; of the others, those that the next ones need are played as well.
        place: The folder.
        environment: A virtual environment with the locked packages, which the clone then uses; None: the clone's own
            Makefile installs them.
        seconds: The most that one command may take.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("NETWRIGHT", "PYTHON", "VIRTUAL_"))
    }
    work, logs = place / "work", place / "logs"
    work.mkdir()
    logs.mkdir()
    shell = Shell(work, {**kept, "XDG_CACHE_HOME": str(place / "cache")})
    tables = os.environ.get("NETWRIGHT_DATA")
    for number, command in enumerate(listed, 1):
        if number not in chosen and not command.keeps_state:
            yield Played(command, 0.0, None, "not chosen")
            continue
        try:
            stand_ins(command.words, shell.folder, Path(tables) if tables else None)
        except Failed as reason:
            yield Played(command, 0.0, None, str(reason))
            continue
        found, shell = played(command, shell, logs / f"{number:02}.txt", seconds)
        if THEIRS in command.words and found.status == 0 and environment:
            furnished(shell.folder, environment)
            found = replace(found, remark="its packages are those of the environment that was given")
        yield found


def row(number: int, found: Played) -> str:
    """A line of the table, in Markdown."""
    status = "not run" if found.status is None else str(found.status)
    cells = (str(number), found.command.shown, f"{found.seconds:.1f}", status, found.remark)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def main() -> None:
    """Plays the commands and prints the table as it grows; exit code 1 if one did not end with 0."""
    parser = argparse.ArgumentParser(prog="python -m release.readme", description=__doc__)
    parser.add_argument("--readme", type=Path, default=ROOT / "README.md", help="the text")
    parser.add_argument("--list", action="store_true", help="only number the commands")
    parser.add_argument("--only", default="", help="numbers of the commands to play, as in 1,4")
    parser.add_argument("--environment", type=Path, help="a virtual environment in place of the one that make installs")
    parser.add_argument("--minutes", type=float, default=60.0, help="the most that one command may take")
    parser.add_argument("--keep", action="store_true", help="leave the folder with clone and logs, and say where")
    options = parser.parse_args()
    listed = commands(options.readme.read_text(encoding="utf-8"))
    if options.list:
        for number, command in enumerate(listed, 1):
            print(f"{number:3} {command.shown}")
        return
    chosen = [int(word) for word in options.only.split(",")] if options.only else list(range(1, len(listed) + 1))
    environment = options.environment and options.environment.absolute()
    if environment and not (environment / "bin" / "python").exists():
        parser.error(f"--environment {options.environment} has no bin/python")
    if unknown := sorted(set(chosen) - set(range(1, len(listed) + 1))):
        parser.error(f"--only names {unknown}; there are commands 1 to {len(listed)}, as --list says")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what a command started is ended as well
    place = Path(tempfile.mkdtemp(prefix="netwright-readme-"))
    print("| | command | seconds | exit status | |\n|---|---|---|---|---|", flush=True)
    states = []
    try:
        for number, found in enumerate(play(listed, chosen, place, environment, 60 * options.minutes), 1):
            print(row(number, found), flush=True)
            states.append(found.status)
    finally:
        if options.keep:
            print(f"clone and logs: {place}")
        else:
            shutil.rmtree(place, ignore_errors=True)
    failed = sum(bool(status) for status in states)
    print(f"{states.count(0)} ended with 0, {failed} did not, {states.count(None)} were not run")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
