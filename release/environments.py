"""Pythons that are to be had, clean environments made of them, and commands run there."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

QUIET = ("--quiet", "--disable-pip-version-check", "--no-warn-script-location")


class Failed(Exception):
    """A check did not hold; the message says what is wrong."""


def said(command: Sequence[str | Path], where: Path, **environment: str) -> str:
    """What a command prints, run in folder `where` without this project's environment.

    Raises:
        Failed: It did not end with 0, or took more than 20 minutes; with the end of what it printed.
    """
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("NETWRIGHT", "PYTHON", "VIRTUAL_"))
    }
    try:
        done = subprocess.run(
            [str(word) for word in command],
            cwd=where,
            env={**kept, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=1200,
        )
    except subprocess.TimeoutExpired:
        raise Failed(f"'{' '.join(map(str, command))}' took more than 20 minutes") from None
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-12:])
        raise Failed(f"'{' '.join(map(str, command))}' ended with {done.returncode}:\n{last}")
    return done.stdout


@dataclass(frozen=True)
class Environment:
    """A virtual environment in a folder of its own."""

    folder: Path

    def script(self, name: str) -> Path:
        """A program that was installed in it."""
        return self.folder / ("Scripts" if os.name == "nt" else "bin") / name

    def pip(self, *words: str | Path) -> str:
        """Runs its pip with these words; answers what that printed."""
        return said([self.script("python"), "-m", "pip", *words], self.folder)

    def install(self, *words: str | Path) -> None:
        """Installs wheels only, but for what is given as a source archive."""
        self.pip("install", *QUIET, *words)

    def netwright(self, words: str, where: Path) -> str:
        """Runs the command netwright, with a cache of its own, in folder `where`."""
        return said([self.script("netwright"), *words.split()], where, XDG_CACHE_HOME=str(where / "cache"))

    def inspected(self, where: Path) -> dict[str, Any]:
        """What `release/inspect_installed.py` says there."""
        program = Path(__file__).with_name("inspect_installed.py")
        lines = said([self.script("python"), "-I", program], where).splitlines()
        return dict(json.loads(lines[-1]))


def made(python: Path, folder: Path) -> Environment:
    """A new environment with nothing in it but pip."""
    said([python, "-m", "venv", folder], folder.parent)
    return Environment(folder)


def python_of(release: str, given: Sequence[Path]) -> Path | None:
    """An interpreter of a Python release, as "3.12": this one, one that was given, one on the path, one of pyenv's."""
    return next((each for each in _candidates(release, given) if _release(each) == release), None)


def _candidates(release: str, given: Sequence[Path]) -> Iterator[Path]:
    yield Path(sys.executable)
    yield from given
    if found := shutil.which(f"python{release}"):
        yield Path(found)
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(root.glob(f"versions/{release}*/bin/python3"), reverse=True)


def _release(python: Path) -> str:
    try:
        return said([python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"], Path.cwd()).strip()
    except (Failed, OSError):
        return ""
