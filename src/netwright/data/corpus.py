"""Texts as streams of tokens: from files to numbers, by a vocabulary of the part that is trained on."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from netwright.core.errors import BadReference
from netwright.core.vocabulary import END, UNKNOWN, Reading, Unknown, Vocabulary, tokens_of
from netwright.data.text import DOES

SHOWN: Final = 40  # characters of a word in a message


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text of three parts, each a stream of tokens.

    Args:
        vocabulary: The tokens, the most frequent of the training part first.
        parts: For "train", "valid" and "test", the numbers of its tokens: int64, shape (N,).
    """

    vocabulary: Vocabulary
    parts: Mapping[str, np.ndarray]

    def digest(self) -> str:
        """A text that is equal for equal vocabularies and parts."""
        found = hashlib.blake2b(repr(self.vocabulary.facts()).encode("utf-8", "surrogatepass"), digest_size=16)
        for split in DOES:
            found.update(len(self.parts[split]).to_bytes(8, "little"))
            found.update(self.parts[split].astype("<i8").tobytes())
        return found.hexdigest()


def encoded(
    parts: Mapping[str, Sequence[str]],
    where: str,
    reading: Reading,
    *,
    lower: bool = False,
    least: int = 1,
    most: int | None = None,
    unknown: Unknown = "replaced",
) -> Corpus:
    """Tokens of three parts as numbers, by a vocabulary of the training part.

    Args:
        parts: The tokens of "train", "valid" and "test", in order.
        where: What messages call the text.
        reading: What a token is.
        lower: Whether capital letters were read as small ones.
        least: How often a token must occur in the training part to be in the vocabulary.
        most: Size of the vocabulary, of the most frequent tokens; None: no limit.
        unknown: What becomes of a token outside the vocabulary: it is "replaced" by UNKNOWN, or "refused".

    Raises:
        BadReference: A part is empty, the training part has a single token, or a token is refused.
    """
    unit = Vocabulary((), reading).unit
    for split, does in DOES.items():
        if not parts[split]:
            raise BadReference(f"{where} has no {unit} to {does} on; give a longer text")
    counts = Counter(parts["train"])
    if len(counts) < 2:
        [only] = counts
        raise BadReference(f"the training part of {where} has one {unit[:-1]} only, {_shown(only)}; give another text")
    tokens = [token for token, count in counts.most_common() if count >= least or token in (UNKNOWN, END)][:most]
    known = set(tokens)
    outside = next(((split, token) for split in DOES for token in parts[split] if token not in known), None)
    if outside and unknown == "refused":
        split, token = outside
        remedy = "lower task.least or raise task.most" if token in counts else "give a text whose training part has it"
        raise BadReference(
            f"the {unit[:-1]} {_shown(token)} in the {split} part of {where} is not in the vocabulary; {remedy}, or "
            "set task.unknown to replaced"
        )
    if outside and UNKNOWN not in known:
        tokens = [*(tokens if most is None else tokens[: most - 1]), UNKNOWN]
    if len(tokens) < 2:
        raise BadReference(f"no {unit[:-1]} of {where} occurs {least:,} times; lower task.least")
    numbers = {token: number for number, token in enumerate(tokens)}
    other = numbers.get(UNKNOWN, 0)
    found = {
        split: np.fromiter((numbers.get(token, other) for token in parts[split]), np.int64, len(parts[split]))
        for split in DOES
    }
    return Corpus(Vocabulary(tuple(tokens), reading, lower, unknown), found)


def whole(text: str, reading: Reading, *, lower: bool = False) -> list[str]:
    """All tokens of a text, whose last line or paragraph ends as any other does."""
    ends = {"blanks": "" if text.endswith("\n") else "\n", "marks": "\n\n", "characters": ""}
    return tokens_of(text.rstrip() + ends["marks"] if reading == "marks" else text + ends[reading], reading, lower)


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
    return text.replace("\r\n", "\n")


def _shown(token: str) -> str:
    return repr(token if len(token) <= SHOWN else f"{token[:SHOWN]}...")
