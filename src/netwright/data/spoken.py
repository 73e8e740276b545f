"""What may be shown of a language model: the tokens it tells worst, a piece of text beside its guesses, a sample."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netwright.core.vocabulary import UNKNOWN, Vocabulary, numbers_of, spoken
from netwright.data.continuing import continued

FILE: Final = "text.json"
VOCABULARY: Final = "vocabulary.json"
WORST: Final = 20  # tokens that are listed
SEEN: Final = 5  # times that a token must occur to be listed
PIECE: Final = 120  # tokens of the text that are shown
SAMPLE: Final = 120  # tokens that the network writes
TEMPERATURE, SEED = 0.8, 0  # of the sample


@dataclass(frozen=True)
class Shown:
    """What was kept of a pass.

    Args:
        unit: What people call tokens: "words" or "characters".
        tokens: How many were predicted.
        worst: The tokens that are told worst: each with how often it occurred, and its mean loss in nats.
        piece: The first tokens of the text, in order: each with the guess in its place, and its loss.
        sample: What the network writes by itself; "": it was not asked.
    """

    unit: str
    tokens: int
    worst: tuple[tuple[str, int, float], ...]
    piece: tuple[tuple[str, str, float], ...]
    sample: str


class TextRecorder:
    """Gathers, over one pass, the loss of each token of the vocabulary, and the first tokens of the first row."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        size = len(vocabulary)
        self._sums, self._counts = torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.int64)
        self._piece: list[tuple[int, int, float]] = []
        self._sample = ""

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in a batch: logits (B, T, vocabulary) and targets (B, T)."""
        losses = F.cross_entropy(outputs.flatten(0, 1).float(), targets.flatten(), reduction="none").double().cpu()
        wanted = targets.flatten().cpu()
        self._sums.index_add_(0, wanted, losses)
        self._counts.index_add_(0, wanted, torch.ones_like(wanted))
        if len(self._piece) < PIECE:
            guesses = outputs[0].argmax(-1).tolist()
            row = zip(targets[0].tolist(), guesses, losses[: targets.shape[1]].tolist(), strict=True)
            self._piece += list(row)[: PIECE - len(self._piece)]

    def ask(self, network: nn.Module) -> None:
        """Have the network write a text of its own; one that gives what is no number writes none."""
        place = next(network.parameters()).device
        facts = self._vocabulary.facts()
        known = numbers_of("", **{**facts, "unknown": "replaced"})
        tokens = self._vocabulary.tokens
        never = tokens.index(UNKNOWN) if UNKNOWN in tokens else None
        try:
            found = continued(lambda x: network(x.to(place)), known, SAMPLE, TEMPERATURE, SEED, never)
        except ValueError:
            return
        self._sample = spoken([tokens[number] for number in found], self._vocabulary.reading)

    def files(self) -> dict[str, bytes]:
        """What `read` reads, and the vocabulary, as an export has it."""
        tokens, counts = self._vocabulary.tokens, self._counts.numpy()
        means = self._sums.numpy() / np.maximum(counts, 1)
        known = np.flatnonzero(counts >= min(SEEN, max(1, counts.max(initial=0))))
        order = known[np.argsort(-means[known], kind="stable")][:WORST].tolist()
        facts = {
            "unit": self._vocabulary.unit,
            "tokens": int(counts.sum()),
            "worst": [[tokens[n], int(counts[n]), round(float(means[n]), 4)] for n in order],
            "piece": [[tokens[one], tokens[other], round(loss, 4)] for one, other, loss in self._piece],
            "sample": self._sample,
        }
        return {FILE: json.dumps(facts).encode(), VOCABULARY: to_json(self._vocabulary).encode()}


def to_json(vocabulary: Vocabulary) -> str:
    """The vocabulary as a file has it."""
    return json.dumps(vocabulary.facts(), ensure_ascii=False) + "\n"


def read(path: Path) -> Shown | None:
    """What lies in a file that a recorder left; None: it is missing or damaged."""
    try:
        facts = json.loads(path.read_bytes())
        worst = tuple((_text(token), int(times), _number(loss)) for token, times, loss in facts["worst"])
        piece = tuple((_text(token), _text(guess), _number(loss)) for token, guess, loss in facts["piece"])
        return Shown(_text(facts["unit"]), int(facts["tokens"]), worst, piece, _text(facts["sample"]))
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return None


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(value: Any) -> float:
    if not isinstance(value, int | float) or math.isnan(value):
        raise TypeError("no number")
    return float(value)
