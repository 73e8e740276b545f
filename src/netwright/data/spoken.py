"""What may be shown of a language model's answers: the tokens it tells worst, and a piece of text beside its guesses."""

from __future__ import annotations

import json
from typing import Final

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.data.corpus import Corpus

FILE: Final = "text.json"
WORST: Final = 20  # tokens that are listed
SEEN: Final = 5  # times that a token must occur to be listed
PIECE: Final = 120  # tokens of the text that are shown


class TextRecorder:
    """Gathers, over one pass, the loss of each token of the vocabulary, and the first tokens of the first row."""

    def __init__(self, corpus: Corpus) -> None:
        self._corpus = corpus
        size = len(corpus.vocabulary)
        self._sums, self._counts = torch.zeros(size, dtype=torch.float64), torch.zeros(size, dtype=torch.int64)
        self._piece: list[tuple[int, int, float]] = []

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

    def files(self) -> dict[str, bytes]:
        """One JSON file: `worst`, of [token, times, mean loss]; and `piece`, of [token, guess, loss], in order."""
        vocabulary = self._corpus.vocabulary
        sums, counts = self._sums.numpy(), self._counts.numpy()
        means = np.where(counts >= min(SEEN, counts.max(initial=0)), sums / np.maximum(counts, 1), -np.inf)
        order = [place for place in np.argsort(-means, kind="stable")[:WORST] if counts[place]]
        facts = {
            "unit": self._corpus.unit,
            "worst": [[vocabulary[n], int(counts[n]), round(float(means[n]), 4)] for n in order],
            "piece": [[vocabulary[one], vocabulary[other], round(loss, 4)] for one, other, loss in self._piece],
        }
        return {FILE: json.dumps(facts, ensure_ascii=False).encode()}
