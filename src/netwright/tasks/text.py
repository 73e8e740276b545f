"""Any text, to be continued word by word or character by character; without a path, a novel that the package holds.

That is "Alice's Adventures in Wonderland" by Lewis Carroll (1865), which is in the public domain. The first part of a
text is trained on, the next one validates, the last one tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal

from netwright.core.errors import BadReference
from netwright.core.vocabulary import Reading, Unknown
from netwright.data import corpus
from netwright.data.corpus import Corpus
from netwright.data.language import LanguageModeling, RowLayout
from netwright.data.options import check_least, checked_shares, located, recognizing, spread

OWN = Path(corpus.__file__).with_name("alice.txt")
ENDING = ".txt"

Unit = Literal["words", "characters"]


def _recognizes(path: Path) -> Mapping[str, Any] | None:
    """A text file, or a folder that holds text files and nothing else."""
    if path.is_file():
        return {"path": str(path)} if path.suffix.lower() == ENDING else None
    try:
        within = [each for each in path.iterdir() if not each.name.startswith(".")]
    except OSError:
        return None
    is_text = bool(within) and all(each.suffix.lower() == ENDING and each.is_file() for each in within)
    return {"path": str(path)} if is_text else None


@recognizing(_recognizes)
@located("path")
@spread("layout")
def text(
    path: str | None = None,
    unit: Unit = "words",
    lower: bool = True,
    least: int = 2,
    most: int | None = 10_000,
    unknown: Unknown = "replaced",
    valid: float = 0.1,
    test: float = 0.1,
    layout: RowLayout = RowLayout(),
) -> LanguageModeling:
    """A text in UTF-8.

    Args:
        path: A text file, or a folder of files ending in .txt, which are read in order of their names; None: the novel.
        unit: What a token is: "words" and marks, with `<eos>` behind each paragraph; or "characters".
        lower: Whether capital letters are read as small ones.
        least: How often a token must occur in the training part to be in the vocabulary.
        most: Tokens in the vocabulary at most; None: no limit.
        unknown: What becomes of other tokens: "replaced" by `<unk>`, or "refused".
        valid: Share of the text that validates.
        test: Share of the text that tests.
        layout: How batches go through the text.
    """
    shares = checked_shares(valid, test)
    check_least(least=(least, 1), **({} if most is None else {"most": (most, 2)}))
    files = _files(Path(path).expanduser()) if path is not None else (OWN,)
    where = str(path) if path is not None else "the novel"
    return LanguageModeling(partial(_load, files, where, unit, lower, least, most, unknown, shares), layout)


def _files(path: Path) -> tuple[Path, ...]:
    if not path.is_dir():
        return (path,)
    found = tuple(sorted(each for each in path.iterdir() if each.suffix.lower() == ENDING))
    if not found:
        raise BadReference(f"{path} has no file ending in {ENDING}; give a text file, or a folder of such")
    return found


def _load(
    files: tuple[Path, ...],
    where: str,
    unit: Unit,
    lower: bool,
    least: int,
    most: int | None,
    unknown: Unknown,
    shares: Mapping[str, float],
) -> Corpus:
    reading: Reading = "marks" if unit == "words" else "characters"
    tokens = corpus.whole("\n\n".join(map(corpus.read, files)), reading, lower=lower)
    parts = corpus.cut(tokens, shares["valid"], shares["test"])
    return corpus.encoded(parts, where, reading, lower=lower, least=least, most=most, unknown=unknown)


plugin = text
