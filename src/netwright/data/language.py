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

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from netwright.core.baselines import Baseline
from netwright.core.errors import BadReference
from netwright.core.objectives import Objective
from netwright.core.protocols import Recorder, Split
from netwright.core.records import IO
from netwright.core.shapes import Tokens
from netwright.data.corpus import Corpus
from netwright.data.spoken import TextRecorder

SHORT, SHORT_CHANCE = 0.5, 0.05  # of passes' steps: how many of them are meant to be half as long
DEVIATION, LEAST, BEYOND = (
    5.0,
    5,
    20,
)  # of a random length: its standard deviation, its least, and its most above `steps`


@dataclass(frozen=True)
class Layout:
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
        while (left := tokens - sum(found)) > 0:
            meant = self.steps * (SHORT if rng.random() < SHORT_CHANCE else 1.0)
            drawn = int(np.clip(rng.normal(meant, DEVIATION), LEAST, self.steps + BEYOND))
            found.append(min(drawn, left))
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
    layout: Layout = Layout()
    about: tuple[str, ...] = ()
    measures: tuple[Objective, ...] = field(default=(Objective("perplexity", -1), Objective("loss", -1)), init=False)

    @cached_property
    def corpus(self) -> Corpus:
        """The text, read when it is first asked for."""
        return self.load()

    @property
    def io(self) -> IO:
        """Tokens, and for each of them the logits of the next."""
        tokens = Tokens(len(self.corpus.vocabulary), self.layout.steps)
        return IO(tokens, tokens)

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
        each = (len(self._stream(split)) - 1) // rows
        if each < 1:
            raise BadReference(
                f"the {split} part has {len(self._stream(split)):,} {self.corpus.unit}, too few for {rows} rows; give a "
                f"longer text or a smaller {'evaluator.batch' if rng is not None else f'task.{split}_rows'}"
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
        return F.cross_entropy(outputs.flatten(0, 1), targets.flatten())

    def metrics(self, outputs: Tensor, targets: Tensor) -> dict[str, Tensor]:
        """Cross entropy of each token, shape (rows, steps)."""
        losses = F.cross_entropy(outputs.flatten(0, 1).float(), targets.flatten(), reduction="none")
        return {"loss": losses.view_as(targets)}

    def summary(self, sums: Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
        """Mean cross entropy and perplexity; the exponential of a huge one is infinite."""
        mean = sums["loss"] / counts["loss"]
        return {"perplexity": math.exp(mean) if mean < 700 else math.inf, "loss": mean}

    def baselines(self, split: Split) -> tuple[Baseline, ...]:
        """What the shares of tokens in the training part give, each counted once more than it occurs."""
        counts = np.bincount(self.corpus.parts["train"], minlength=len(self.corpus.vocabulary)) + 1.0
        mean = float(-np.log(counts / counts.sum())[self._stream(split)[1:]].mean())
        words = f"the frequencies of {self.corpus.unit} alone give"
        perplexity, verdict = math.exp(mean), "no better than these"
        return (
            Baseline("perplexity", perplexity, f"{words} {perplexity:.4g}", verdict),
            Baseline("loss", mean, f"{words} {mean:.4g}", verdict),
        )

    def recorder(self, split: Split) -> Recorder:  # noqa: ARG002 - all splits are shown alike
        """Keeps which tokens are hardest to tell, and a piece of text with what was expected instead."""
        return TextRecorder(self.corpus)

    def fingerprint(self) -> str:
        """Digest of the text."""
        return self.corpus.digest()

    def prepare(self) -> Iterator[str]:
        """Read the text, and say what it holds."""
        yield from self.about
        parts, unit = self.corpus.parts, self.corpus.unit
        sizes = ", ".join(f"{len(parts[split]):,} to {does}" for split, does in _DOES.items())
        yield f"{sizes}; a vocabulary of {len(self.corpus.vocabulary):,} {unit}"

    def _stream(self, split: Split) -> np.ndarray:
        parts = self.corpus.parts
        return np.concatenate([parts["train"], parts["valid"]]) if split == "train+valid" else parts[split]

    def _measured_rows(self, split: Split) -> int:
        return self.layout.test_rows if split == "test" else self.layout.valid_rows


_DOES = {"train": "train on", "valid": "validate on", "test": "test on"}
