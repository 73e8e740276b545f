"""Text as tokens and back. Exports take the source of `tokens_of`, `spoken` and `numbers_of` along."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

Reading = Literal["blanks", "marks", "characters"]  # what tokens are, see `tokens_of`
Unknown = Literal["replaced", "refused"]  # what becomes of tokens that a vocabulary lacks
UNKNOWN: Final = "<unk>"  # stands for any word that is not in the vocabulary
END: Final = "<eos>"  # end of a line, or of a paragraph


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokens that a language model knows, and how text is read as such.

    Args:
        tokens: The tokens, by their numbers.
        reading: What a token is: "blanks" for words set apart by blanks, with END behind each line; "marks" for words
            and marks of any text, with END behind each paragraph; "characters".
        lower: Whether capital letters are read as small ones.
        unknown: What becomes of tokens outside: they are "replaced" by UNKNOWN, or "refused".
    """

    tokens: tuple[str, ...]
    reading: Reading
    lower: bool = False
    unknown: Unknown = "replaced"

    def __len__(self) -> int:
        return len(self.tokens)

    @property
    def unit(self) -> str:
        """What people call tokens."""
        return "characters" if self.reading == "characters" else "words"

    def facts(self) -> dict[str, Any]:
        """The vocabulary for JSON, by the names that `numbers_of` takes."""
        return {"reading": self.reading, "lower": self.lower, "unknown": self.unknown, "tokens": self.tokens}


def tokens_of(text: str, reading: str, lower: bool) -> list[str]:
    """The tokens of a text, END between two lines or paragraphs; `reading` and `lower` as a vocabulary has them."""
    text = text.lower() if lower else text
    if reading == "characters":
        return list(text)
    is_prose = reading == "marks"
    parts = re.split(r"\n\s*\n", text.lstrip()) if is_prose else text.split("\n")
    found: list[str] = []
    for number, part in enumerate(parts):
        found += [END] * (number > 0)
        found += re.findall(r"<unk>|\w+(?:['’]\w+)*|[^\w\s]", part) if is_prose else part.split()
    return found


def spoken(tokens: Sequence[str], reading: str) -> str:
    """Tokens as people write them: no blank before most marks, a new line for each END."""
    if reading == "characters":
        return "".join(tokens)
    text = " ".join(tokens).replace(END, "\n")
    text = re.sub(r" ([.,;:!?)\]}])", r"\1", re.sub(r"([(\[{]) ", r"\1", text))
    return re.sub(r" *\n *", "\n", text)


def numbers_of(text: str, reading: str, lower: bool, unknown: str, tokens: Sequence[str]) -> list[int]:
    """The numbers of a text's tokens in a vocabulary, for a network to go on from; of an empty text, those of an end.

    Raises:
        ValueError: The vocabulary lacks a token, and has nothing in its place.
    """
    known = {token: number for number, token in enumerate(tokens)}
    found = tokens_of(text, reading, lower) or [end for end in (END, "\n") if end in known][:1] or [tokens[0]]
    missing = [token for token in found if token not in known]
    if missing and (unknown == "refused" or UNKNOWN not in known):
        unit = "character" if reading == "characters" else "word"
        raise ValueError(f"the {unit} {missing[0][:40]!r} is not in the vocabulary; give a text without it")
    return [known.get(token, known.get(UNKNOWN, 0)) for token in found]
