"""Penn Treebank as language models read it: 929,589 words to train on, a vocabulary of 10,000 (Mikolov et al. 2010).

Three files of words set apart by blanks, a sentence a line; each line ends in `<eos>`. They are not part of the
package.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netwright.data import word_files
from netwright.data.language import LanguageModeling, RowLayout
from netwright.data.options import located, recognizing, spread

NAMES = {"train": "ptb.train.txt", "valid": "ptb.valid.txt", "test": "ptb.test.txt"}


def _recognizes(path: Path) -> Mapping[str, Any] | None:
    return word_files.recognized(path, NAMES)


@recognizing(_recognizes)
@located("path")
@spread("layout")
def penn_treebank(path: str, layout: RowLayout = RowLayout(), train_limit: int | None = None) -> LanguageModeling:
    """The words of a newspaper, of which rare ones are `<unk>` and numbers `N`.

    Args:
        path: Folder of ptb.train.txt, ptb.valid.txt and ptb.test.txt.
        layout: How batches go through the text.
        train_limit: Use only so many words to train on, the first ones, and as many of the others as go with them at a
            tenth each; None: all.
    """
    return word_files.task(Path(path), NAMES, layout, train_limit)


plugin = penn_treebank
