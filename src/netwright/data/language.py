"""Language modeling: the next token from all before it, over a text that batches go through in order.

A stream of N tokens is laid out in rows of equal length, one behind the other; each batch holds the next steps of every
row, and row n of a batch continues row n of the one before (Zaremba et al. 2014). Fewer tokens than there are rows are
left over at the end, and not used.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from netwright.core.baselines import Baseline
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective
from netwright.core.protocols import Recorder, Split
from netwright.core.records import IO
from netwright.core.shapes import Tokens
from netwright.core.vocabulary import Vocabulary
from netwright.data.corpus import Corpus
from netwright.data.spoken import TextRecorder
from netwright.data.text import DOES
from netwright.data.token_loss import token_loss, token_losses

SHORT, SHORT_CHANCE = 0.5, 0.05  # random lengths: the share that some are meant to have, and how many
DEVIATION, LEAST, BEYOND = 5.0, 5, 20  # random lengths: standard deviation, least, most above `steps`


@dataclass(frozen=True)
class RowLayout:
    """How batches go through a text.

    Args:
        steps: Tokens of each row in a batch, through which gradients flow.
        varied: Whether training batches have random lengths: normal around `steps`, in 1 of 20 around half of it, with
            a standard deviation of 5, from 5 to `steps` + 20 (Merity et al. 2018, section 5).
        valid_rows: Rows in which the validation part is measured.
        test_rows: Rows in which the test part is measured; 1: each token is predicted from all before it.
    """

    steps: int = 35
    varied: bool = False
    valid_rows: int = 10
    test_rows: int = 1

    def __post_init__(self) -> None:
        for name in ("steps", "valid_rows", "test_rows"):
            if (value := getattr(self, name)) < 1:
                raise BadReference(f"task.{name} is {value}; it must be at least 1")

    def lengths(self, tokens: int, rng: np.random.Generator | None) -> list[int]:
        """Steps of each batch of a pass over so many tokens in each row."""
        if rng is None or not self.varied:
            return [min(self.steps, tokens - start) for start in range(0, tokens, self.steps)]
        found: list[int] = []
        left = tokens
        while left > 0:
            meant = self.steps * (SHORT if rng.random() < SHORT_CHANCE else 1.0)
            drawn = int(np.clip(rng.normal(meant, DEVIATION), LEAST, self.steps + BEYOND))
            found.append(min(drawn, left))
            left -= found[-1]
        return found


@dataclass(frozen=True)
class LanguageModeling:
    """A task of texts. Metrics are `loss`, the mean cross entropy of a token in nats, and `perplexity`.

    Args:
        load: Gives the text.
        layout: How batches go through it.
        about: Sentences on what was taken for what.
    """

    load: Callable[[], Corpus]
    layout: RowLayout = RowLayout()
    about: tuple[str, ...] = ()
    takes_half: ClassVar[bool] = True
    measures: tuple[Objective, ...] = field(default=(Objective("perplexity", -1), Objective("loss", -1)), init=False)

    @cached_property
    def corpus(self) -> Corpus:
        """The text, read when it is first asked for."""
        return self.load()

    @property
    def io(self) -> IO:
        """Tokens, and for each of them the logits of the next."""
        tokens = Tokens(len(self.vocabulary), self.layout.steps)
        return IO(tokens, tokens)

    @property
    def vocabulary(self) -> Vocabulary:
        """The tokens, and how text is read as such."""
        return self.corpus.vocabulary

    def tokens(self, split: Split) -> int:
        """How many tokens the split has."""
        return len(self._stream(split))

    def examples(self, split: Split) -> int:
        """Rows of all batches in which the split is measured."""
        rows = self._measured_rows(split)
        return rows * len(self.lengths(split, rows, None))

    def lengths(self, split: Split, size: int, rng: np.random.Generator | None) -> list[int]:
        """Steps of each batch of the pass that `batches` makes with such arguments.

        Raises:
            BadReference: The split is too short for so many rows.
        """
        rows = size if rng is not None else self._measured_rows(split)
        each = (self.tokens(split) - 1) // rows
        if each < 1:
            option = "evaluator.batch" if rng is not None else f"task.{'test' if split == 'test' else 'valid'}_rows"
            raise BadReference(
                f"the {split} part has {self.tokens(split):,} {self.vocabulary.unit}, too few for {rows} rows; give a "
                f"longer text or a smaller {option}"
            )
        return self.layout.lengths(each, rng)

    def batches(self, split: Split, size: int, rng: np.random.Generator | None) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches of one pass, in order: inputs and targets (rows, steps), int64.

        With `rng` there are `size` rows, and random lengths where the layout has them; without it as many as the layout
        says for the split.
        """
        lengths = self.lengths(split, size, rng)
        rows, each, start = size if rng is not None else self._measured_rows(split), sum(lengths), 0
        stream = self._stream(split)
        inputs = torch.from_numpy(stream[: rows * each].reshape(rows, each))
        targets = torch.from_numpy(stream[1 : rows * each + 1].reshape(rows, each))
        for length in lengths:
            yield inputs[:, start : start + length].contiguous(), targets[:, start : start + length].contiguous()
            start += length

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        """Mean cross entropy of a token, in nats."""
        return token_loss(outputs, targets)

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross entropy of each token, shape (rows, steps)."""
        return {"loss": token_losses(outputs, targets)}

    def summary(self, sums: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
        """Mean cross entropy and perplexity; the exponential of a huge one is infinite."""
        mean = sums["loss"] / counts["loss"]
        return {"perplexity": math.exp(mean) if mean < 700 else math.inf, "loss": mean}

    def baselines(self, split: Split) -> tuple[Baseline, ...]:
        """What the shares of tokens in the training part give, each counted once more than it occurs."""
        counts = np.bincount(self.corpus.parts["train"], minlength=len(self.vocabulary)) + 1.0
        mean = float(-np.log(counts / counts.sum())[self._stream(split)[1:]].mean())
        words, verdict = f"the frequencies of {self.vocabulary.unit} alone give", "no better than these"
        return tuple(
            Baseline(name, value, f"{words} {value:.4g}", verdict)
            for name, value in (("perplexity", math.exp(mean)), ("loss", mean))
        )

    def recorder(self, split: Split) -> Recorder:  # noqa: ARG002 - all splits are shown alike
        """Keeps which tokens are hardest to tell, a piece of text with what was expected instead, and a sample."""
        return TextRecorder(self.vocabulary)

    def fingerprint(self) -> str:
        """Digest of the text."""
        return self.corpus.digest()

    def prepare(self) -> Iterator[str]:
        """Read the text, and say what it holds. Raises BadReference for one that is too short to be measured."""
        yield from self.about
        for split in ("valid", "test"):
            self.lengths(split, 1, None)
        sizes = ", ".join(f"{len(self.corpus.parts[split]):,} to {does} on" for split, does in DOES.items())
        yield f"{sizes}; a vocabulary of {len(self.vocabulary):,} {self.vocabulary.unit}"

    def _stream(self, split: Split) -> np.ndarray:
        parts = self.corpus.parts
        return np.concatenate([parts["train"], parts["valid"]]) if split == "train+valid" else parts[split]

    def _measured_rows(self, split: Split) -> int:
        return self.layout.test_rows if split == "test" else self.layout.valid_rows
