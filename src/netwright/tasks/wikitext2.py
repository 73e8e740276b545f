"""WikiText-2 as language models read it: 2,088,628 words to train on, a vocabulary of 33,278 (Merity et al. 2017).

Three files of words set apart by blanks; each line ends in `<eos>`. They are not part of the package.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.data import word_files
from netwright.data.language import LanguageModeling, RowLayout
from netwright.data.options import located, recognizing, spread

NAMES = {"train": "wiki.train.tokens", "valid": "wiki.valid.tokens", "test": "wiki.test.tokens"}


def _recognizes(path: Path) -> Mapping[str, Any] | None:
    return word_files.recognized(path, NAMES)


@recognizing(_recognizes)
@located("path")
@spread("layout")
def wikitext2(path: str, layout: RowLayout = RowLayout(), train_limit: int | None = None) -> LanguageModeling:
    """Good and featured articles of Wikipedia, of whose words rare ones are `<unk>`.

    Args:
        path: Folder of wiki.train.tokens, wiki.valid.tokens and wiki.test.tokens.
        layout: How batches go through the text.
        train_limit: Use only so many words to train on, the first ones, and as many of the others as go with them at a
            tenth each; None: all.
    """
    return word_files.task(Path(path), NAMES, layout, train_limit)


plugin = wikitext2
