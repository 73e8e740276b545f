"""Three files of words set apart by blanks, one for each part, as language models are compared on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from netwright.core.errors import BadReference
from netwright.data import corpus
from netwright.data.corpus import Corpus
from netwright.data.language import LanguageModeling, RowLayout
from netwright.data.options import located, recognizing, spread
from netwright.data.text import DOES

LEAST = 1_000  # words to train on, of a part of a text
OTHERS = 0.1  # words to validate and to test on, as a share of those to train on, of a part of a text


def maker(name: str, about: str, files: Mapping[str, str]) -> Callable[..., LanguageModeling]:
    """What makes a task of the files in a folder.

    Args:
        name: Name of the task.
        about: What text it is, in a sentence.
        files: Name of the file of each part.
    """

    def recognizes(path: Path) -> Mapping[str, Any] | None:
        return {"path": str(path)} if all((path / file).is_file() for file in files.values()) else None

    def made(path: str, layout: RowLayout = RowLayout(), train_limit: int | None = None) -> LanguageModeling:
        folder = Path(path).expanduser()
        if missing := [file for file in files.values() if not (folder / file).is_file()]:
            raise BadReference(f"{path} has no file {missing[0]}; give the folder of {', '.join(files.values())}")
        if train_limit is not None and train_limit < LEAST:
            raise BadReference(f"task.train_limit is {train_limit}; it must be at least {LEAST:,} words")
        return LanguageModeling(partial(_load, folder, files, train_limit), layout)

    made.__name__ = made.__qualname__ = name
    made.__doc__ = f"""{about}

    Args:
        path: Folder of {", ".join(files.values())}.
        layout: How batches go through the text.
        train_limit: Use only so many words to train on, the first ones, and as many of the others as go with them at a
            tenth each; None: all.
    """
    return recognizing(recognizes)(located("path")(spread("layout")(made)))


def _load(folder: Path, names: Mapping[str, str], limit: int | None) -> Corpus:
    parts = {split: corpus.whole(corpus.read(folder / names[split]), "blanks") for split in DOES}
    if limit is not None:
        others = max(1, round(OTHERS * limit))
        parts = {split: words[: limit if split == "train" else others] for split, words in parts.items()}
    return corpus.encoded(parts, str(folder), "blanks")
