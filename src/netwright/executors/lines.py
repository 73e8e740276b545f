"""Messages on the pipes between controller, parent and worker: one JSON object a line.

JSON escapes line breaks, so that no text in a message can end it. What is no object with a known word under "say", or
is longer than LONGEST, is dropped without a word: it may come from a program that a trial started, or from a trial that
writes to numbers of files that are not its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

LONGEST: Final = 4096  # bytes of a line; as many are written to a pipe in one piece
LARGEST: Final = 2**62  # of a number
TEXT: Final = 200  # characters of a text in a message: 12 bytes each at most


def encode(say: str, **values: str | int) -> bytes:
    """A message as one line; long texts are cut, and their line breaks become blanks."""
    short = {name: shown(value) if isinstance(value, str) else value for name, value in values.items()}
    return json.dumps({"say": say, **short}).encode() + b"\n"


def shown(text: str) -> str:
    """A text as one line of at most TEXT characters, without any that move a cursor."""
    line = " ".join(text[: 4 * TEXT].split())
    return "".join(c if c.isprintable() else "?" for c in line[:TEXT])


class Reader:
    """Puts the pieces that a pipe gives together.

    Args:
        words: Words under "say" that there are, and the kinds of the values that belong to each.
    """

    def __init__(self, words: Mapping[str, Mapping[str, type]]) -> None:
        self._words = words
        self._rest = b""
        self._skips = False  # the rest of a line that was too long

    def take(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The messages that a piece completes."""
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            skipped, self._skips = self._skips, False
            if not skipped and (message := self._message(line)) is not None:
                yield message
        if len(self._rest) > LONGEST:
            self._rest, self._skips = b"", True

    def _message(self, line: bytes) -> dict[str, Any] | None:
        if len(line) > LONGEST:
            return None
        try:
            found = json.loads(line)
        except (ValueError, RecursionError):
            return None
        if not isinstance(found, dict) or not isinstance(found.get("say"), str) or found["say"] not in self._words:
            return None
        fits = (_fits(found.get(name), kind) for name, kind in self._words[found["say"]].items())
        return found if all(fits) else None


def _fits(value: object, kind: type) -> bool:
    return type(value) is kind and not (isinstance(value, int) and abs(value) > LARGEST)
