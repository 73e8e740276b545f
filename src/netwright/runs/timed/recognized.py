"""What a search was given to begin with: data of whatever kind, a task by name, or a run file."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from netwright.core import reading, refs
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.protocols import Recognizes
from netwright.core.reading import shown
from netwright.core.refs import Reference
from netwright.data.tree import first_images
from netwright.runs import run_folder

RUN_FILE: Final = ".toml"
GIVE: Final = (
    "give a folder of one folder of images for each class, an array file (.npz), a folder of CIFAR's parquet files, a "
    "text (.txt), a task by name, such as digits, or a run file (.toml)"
)
_NAME: Final = re.compile(r"[\w.-]+(:[\w.]+)?(\(.*\))?", re.DOTALL)  # a reference, not the path of a file


@dataclass(frozen=True)
class Recognized:
    """What a word was taken for: a run file, or a task.

    Args:
        word: The word as it was given.
        task: The task that it stands for; None: it is the path of a run file.
        sentence: For people: what it was taken for.
    """

    word: str
    task: Reference | None
    sentence: str = ""

    @property
    def name(self) -> str:
        """What a folder for runs on it may be called."""
        word = self.word.partition("(")[0].rpartition(":")[2]
        return Path(os.path.abspath(os.path.expanduser(word))).stem or "search"


def recognized(word: str) -> Recognized:
    """What a search was given to begin with.

    Raises:
        BadRunFile: It is nothing that a search begins with; says what is.
        BadReference: It may be meant as two things.
    """
    path = Path(word).expanduser()
    if path.suffix.lower() == RUN_FILE and not path.is_dir():
        return Recognized(word, None)
    if path.is_dir() and (run_folder.holds_run(path) or run_folder.had_run(path)):
        raise BadRunFile(
            f"{shown(word)} is the folder of a run, which goes on by `netwright search --out {reading.line(word)}`; to "
            f"begin another one {GIVE}"
        )
    tasks = _tasks_of(path)
    known = refs.available("task")
    if word in known and tasks:
        raise BadReference(
            f"{shown(word)} is both a task and what lies here by that name; write {shown('./' + word)} for what lies "
            f"here, or --task {word} for the task"
        )
    if tasks:
        name, options = next(iter(tasks.items()))
        return Recognized(
            word, Reference(name, options), f"{reading.line(word)}: {_first_words(known[name])} (the task {name})"
        )
    if not path.exists() or word in known:
        return _named(word, known)
    if path.is_dir():
        raise BadRunFile(f"{shown(word)} is a folder that {_holds(path)}; {GIVE}")
    raise BadRunFile(f"{shown(word)} is a file of no known kind; {GIVE}")


def named(word: str) -> Reference:
    """The task that a word stands for where only a task can be meant: a name or reference, or the path of data.

    Raises:
        BadReference: It is no name of a task.
        BadRunFile: What lies at that path is no data of a task.
    """
    found = recognized(word).task if is_path(word) else None
    return found or refs.parse(word)


def is_path(word: str) -> bool:
    """Whether a word that stands for a task is the path of data, and neither a reference nor a run file."""
    head = word.partition("(")[0]
    if head.replace("-", "_") in refs.available("task") or head.lower().endswith(RUN_FILE):
        return False
    return "/" in head or os.sep in head or Path(word).expanduser().exists()


def _tasks_of(path: Path) -> Mapping[str, Mapping[str, Any]]:
    """Options of each task that reads what lies at a path, by its name."""
    if not path.exists():
        return {}
    plugins = ((name, refs.locate("task", name)) for name in refs.available("task"))
    found = {name: plugin.recognizes(path) for name, plugin in plugins if isinstance(plugin, Recognizes)}
    return {name: options for name, options in found.items() if options is not None}


def _named(word: str, known: Mapping[str, str]) -> Recognized:
    """The task of that name. Raises BadRunFile where there is none, and nothing lies at such a path either."""
    if not _NAME.fullmatch(word) or (":" not in word and word.partition("(")[0].replace("-", "_") not in known):
        there = [each.name for each in _entries(Path(word).expanduser().parent)]
        close = get_close_matches(Path(word).name, [*known, *there], n=1) if len(word) <= reading.SHOWN else []
        meant = f"; did you mean {shown(close[0])}?" if close else ""
        raise BadRunFile(f"{shown(word)} is neither there nor the name of a task{meant}; {GIVE}")
    task = refs.parse(word)
    refs.locate("task", task.name)
    name = task.name.replace("-", "_")
    does = f": {_first_words(known[name])}" if name in known else ""
    return Recognized(word, task, f"the task {reading.line(str(task))}{does}")


def _holds(path: Path) -> str:
    """What is known of a folder that is no task, as the end of a sentence."""
    entries = _entries(path)
    if not entries:
        return "is empty"
    kinds = sorted({each.suffix.lower() for each in entries if each.suffix and not each.is_dir()})
    files = f", but files of the kind {', '.join(kinds[:3])}" if kinds else ""
    return f"holds no images{files}" if not list(first_images(path, 1)) else "holds images that no task reads"


def _entries(path: Path) -> list[Path]:
    try:
        return sorted(path.iterdir())[:1000]
    except OSError:
        return []


def _first_words(text: str) -> str:
    """The first words of a description of a task, up to where it explains itself."""
    words = re.split(r"[;:.] ", text.rstrip("."), maxsplit=1)[0].strip()
    return words[:1].lower() + words[1:] if words[1:2].islower() else words
