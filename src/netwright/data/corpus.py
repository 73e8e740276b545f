"""Texts as streams of tokens: what is a token, which vocabulary there is, and what becomes of words outside it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Final, Literal

import numpy as np

from netwright.core import genes
from netwright.core.errors import BadReference

Unit = Literal["words", "characters"]
Unknown = Literal["replaced", "refused"]
UNKNOWN: Final = "<unk>"  # stands for any word that is not in the vocabulary
END: Final = "<eos>"  # end of a line, or of a paragraph
SPLITS: Final = ("train", "valid", "test")
WORD: Final = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")  # a word with its apostrophes, or one other mark
PARAGRAPH: Final = re.compile(r"\n\s*\n")
SHOWN: Final = 40  # characters of a word in a message


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text of three parts, each a stream of tokens.

    Args:
        vocabulary: The tokens, the most frequent of the training part first.
        parts: For "train", "valid" and "test", the positions of its tokens in the vocabulary: int64, shape (N,).
        unit: What a token is.
    """

    vocabulary: tuple[str, ...]
    parts: Mapping[str, np.ndarray]
    unit: Unit = "words"

    def digest(self) -> str:
        """A text that is equal for equal vocabularies and parts."""
        parts = [self.parts[split].tobytes() for split in SPLITS]
        return genes.digest(" ".join([*self.vocabulary, *(genes.digest(part.hex()) for part in parts)]))


def encoded(
    parts: Mapping[str, Sequence[str]],
    where: str,
    *,
    unit: Unit = "words",
    least: int = 1,
    most: int | None = None,
    unknown: Unknown = "replaced",
) -> Corpus:
    """Tokens of three parts as numbers, by a vocabulary of the training part.

    Args:
        parts: The tokens of "train", "valid" and "test", in order.
        where: What messages call the text.
        unit: What a token is.
        least: How often a token must occur in the training part to be in the vocabulary.
        most: Size of the vocabulary, of the most frequent tokens; None: no limit.
        unknown: What becomes of a token outside the vocabulary: it is "replaced" by UNKNOWN, or "refused".

    Raises:
        BadReference: A part is empty, the training part has a single token, or a token is refused.
    """
    for split in SPLITS:
        if not parts[split]:
            raise BadReference(f"{where} has no {unit} to {_DOES[split]}; give a longer text")
    counts = Counter(parts["train"])
    listed = [token for token, count in counts.most_common() if count >= least or token in (UNKNOWN, END)]
    vocabulary = listed[:most]
    known = {token: place for place, token in enumerate(vocabulary)}
    outside = next((token for split in SPLITS for token in parts[split] if token not in known), None)
    if outside is not None and unknown == "refused":
        split = next(split for split in SPLITS if outside in parts[split])
        raise BadReference(
            f"the {unit[:-1]} {_shown(outside)} of {where}, in the part to {_DOES[split]}, is not in the vocabulary; set "
            f"task.unknown to replaced, or give a text whose training part has it"
        )
    if outside is not None and UNKNOWN not in known:
        vocabulary = [*vocabulary[: most - 1 if most and len(vocabulary) == most else None], UNKNOWN]
        known = {token: place for place, token in enumerate(vocabulary)}
    if len(vocabulary) < 2:
        raise BadReference(
            f"the training part of {where} has one {unit[:-1]} only, {_shown(vocabulary[0])}; give another text"
        )
    other = known.get(UNKNOWN, 0)
    found = {
        split: np.fromiter((known.get(token, other) for token in parts[split]), np.int64, len(parts[split]))
        for split in SPLITS
    }
    return Corpus(tuple(vocabulary), found, unit)


def of_lines(text: str) -> list[str]:
    """The words of a text whose words are set apart by blanks, with an END behind each line (Mikolov et al. 2010)."""
    return [token for line in text.splitlines() for token in (*line.split(), END)]


def of_prose(text: str, *, lower: bool = True) -> list[str]:
    """Words and marks of any text, with an END behind each paragraph; `lower`: without capital letters."""
    paragraphs = PARAGRAPH.split(text.lower() if lower else text)
    found = (WORD.findall(paragraph) for paragraph in paragraphs)
    return [token for words in found if words for token in (*words, END)]


def cut(tokens: Sequence[str], valid: float, test: float) -> dict[str, Sequence[str]]:
    """Three parts of a text, one behind the other: training first, then validation, then test."""
    first, second = (round(len(tokens) * share) for share in (1 - valid - test, 1 - test))
    return {"train": tokens[:first], "valid": tokens[first:second], "test": tokens[second:]}


def read(path: Path) -> str:
    """A text file in UTF-8. Raises BadReference for any other, an empty one, and one that cannot be read."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BadReference(f"{path} cannot be read: {error.strerror or error}; give a text file") from None
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadReference(
            f"{path} is no text in UTF-8: byte {error.start:,} is {data[error.start]:#04x}; save it in UTF-8"
        ) from None
    if "\0" in text:
        raise BadReference(f"{path} holds zero bytes, so it is no text; give a text file in UTF-8")
    if not text.strip():
        raise BadReference(f"{path} is empty; give a text")
    return text


def spoken(tokens: Iterable[str], unit: Unit = "words") -> str:
    """Tokens as people write them: no blank before most marks, a new paragraph for each END."""
    if unit == "characters":
        return "".join(tokens)
    text = " ".join(tokens).replace(f" {END}", "\n").replace(f"{END} ", "\n")
    return re.sub(r" ([.,;:!?)\]}’'])", r"\1", re.sub(r"([(\[{‘]) ", r"\1", text)).replace("\n ", "\n")


def _shown(token: str) -> str:
    return repr("".join(islice(token, SHOWN)) + ("..." if len(token) > SHOWN else ""))


_DOES: Final = {"train": "train on", "valid": "validate on", "test": "test on"}
