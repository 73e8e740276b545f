"""Three files of words set apart by blanks, one for each part, as language models are compared on."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from netwright.core.errors import BadReference
from netwright.data import corpus
from netwright.data.corpus import Corpus
from netwright.data.language import LanguageModeling, RowLayout
from netwright.data.text import DOES

LEAST = 1_000  # words to train on, of a part of a text
OTHERS = 0.1  # words to validate and to test on, as a share of those to train on, of a part of a text


def task(path: Path, names: Mapping[str, str], layout: RowLayout, limit: int | None) -> LanguageModeling:
    """A task of the files in a folder.

    Args:
        path: The folder.
        names: Name of the file of each part.
        layout: How batches go through the text.
        limit: Words of the training part that are used; None: all.

    Raises:
        BadReference: A file is missing, or the limit is too small.
    """
    folder = path.expanduser()
    if missing := [name for name in names.values() if not (folder / name).is_file()]:
        raise BadReference(f"{path} has no file {missing[0]}; give the folder of {', '.join(names.values())}")
    if limit is not None and limit < LEAST:
        raise BadReference(f"task.train_limit is {limit}; it must be at least {LEAST:,} words")
    return LanguageModeling(partial(_load, folder, names, limit), layout)


def recognized(path: Path, names: Mapping[str, str]) -> Mapping[str, Any] | None:
    """The folder, where it has a file of each part; else None."""
    return {"path": str(path)} if all((path / name).is_file() for name in names.values()) else None


def _load(folder: Path, names: Mapping[str, str], limit: int | None) -> Corpus:
    parts = {split: corpus.whole(corpus.read(folder / names[split]), "blanks") for split in DOES}
    if limit is not None:
        others = max(1, round(OTHERS * limit))
        parts = {split: words[: limit if split == "train" else others] for split, words in parts.items()}
    return corpus.encoded(parts, str(folder), "blanks")
