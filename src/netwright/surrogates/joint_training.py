"""Training of NAO's controller, and how good it has become (Luo et al. 2018, section 3.3; `encoder_predictor_decoder`).

The loss is trade_off * (squared error of the score) + (1 - trade_off) * (cross-entropy of the sequence). The paper's
text has, as far as we remember, a trade-off of 0.9; all published programs have 0.8.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from scipy.stats import rankdata
from torch import Tensor

from netwright.core.ranking import kendall
from netwright.surrogates.encoder_predictor_decoder import EncoderPredictorDecoder

Scale = Literal["minmax", "ranks"]


class LearningStopped(Exception):
    """Training ended early because its result is no longer wanted."""


@dataclass(frozen=True)
class JointSettings:
    """How a controller is trained: Adam anew for each training.

    Args:
        epochs: Passes over all sequences.
        batch: Sequences per step.
        lr: Step size of Adam.
        trade_off: Weight of the predictor's loss; the decoder's has the rest.
        clip: Largest norm of the gradient.

    Raises:
        ValueError: `epochs` or `batch` is less than 1.
    """

    epochs: int = 1000
    batch: int = 100
    lr: float = 1e-3
    trade_off: float = 0.8
    clip: float = 5.0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; a controller's training needs at least 1")


@dataclass(frozen=True)
class Quality:
    """How good a controller is on some sequences.

    Args:
        pairwise_accuracy: Share of pairs in the right order; None with fewer than two.
        kendall_tau: Tau-b; None where one side is constant.
        hamming: Number of tokens of a sequence that differ after encoding and decoding, on average.
    """

    pairwise_accuracy: float | None
    kendall_tau: float | None
    hamming: float


def optimizer_of(controller: EncoderPredictorDecoder, settings: JointSettings) -> torch.optim.Optimizer:
    """A fresh Adam over all parameters of the controller."""
    decay = 0.0 if controller.flavor.framework == "tensorflow" else controller.flavor.weight_decay
    trained = [parameter for parameter in controller.parameters() if parameter.requires_grad]
    return torch.optim.Adam(trained, settings.lr, weight_decay=decay, fused=True)


def train_step(
    controller: EncoderPredictorDecoder,
    optimizer: torch.optim.Optimizer,
    sequences: Tensor,
    scores: Tensor,
    settings: JointSettings,
    generator: torch.Generator | None,
) -> tuple[float, float]:
    """Take one step on sequences (B, L) with scores (B,) in [0, 1].

    Returns:
        Squared error and cross-entropy before the step.
    """
    states = controller.encode(sequences, generator)
    error = F.mse_loss(controller.predict(states, generator), scores)
    entropy = F.cross_entropy(controller.spell(sequences, states).flatten(0, 1), sequences.flatten())
    optimizer.zero_grad()
    (settings.trade_off * error + (1.0 - settings.trade_off) * entropy).backward()
    if controller.flavor.framework == "tensorflow":
        _decay(controller)
    torch.nn.utils.clip_grad_norm_(controller.parameters(), settings.clip, foreach=True)
    optimizer.step()
    return float(error.detach()), float(entropy.detach())


@torch.no_grad()
def _decay(controller: EncoderPredictorDecoder) -> None:
    """Add the gradient of a loss of weight_decay times half the squares of all parameters."""
    for parameter in controller.parameters():
        if parameter.grad is not None:
            parameter.grad.add_(parameter, alpha=controller.flavor.weight_decay)


def train(
    controller: EncoderPredictorDecoder,
    spellings: Tensor,
    scores: Tensor,
    settings: JointSettings,
    generator: torch.Generator,
    is_stopped: Callable[[], bool] = lambda: False,
) -> tuple[float, float]:
    """Train `controller` in place.

    Args:
        controller: The controller to train; it goes on from what it has learned before.
        spellings: Sequences of N networks, shape (N, spellings, L); each epoch draws one spelling of each network.
        scores: Scores of the networks, shape (N,), in [0, 1].
        settings: Settings of the training.
        generator: Source of order, spellings and dropout.
        is_stopped: Whether to stop; asked before each epoch.

    Returns:
        Mean squared error and cross-entropy of the last epoch's steps.

    Raises:
        LearningStopped: `is_stopped` said so.
    """
    optimizer = optimizer_of(controller, settings)
    count, copies, _ = spellings.shape
    losses: list[tuple[float, float]] = []
    for _ in range(settings.epochs):
        if is_stopped():
            raise LearningStopped
        order = torch.randperm(count, generator=generator)
        drawn = torch.randint(copies, (count,), generator=generator)
        sequences, targets = spellings[order, drawn], scores[order]
        losses = [
            train_step(controller, optimizer, tokens, values, settings, generator)
            for tokens, values in zip(sequences.split(settings.batch), targets.split(settings.batch), strict=True)
        ]
    error, entropy = np.mean(losses, 0).tolist()
    return error, entropy


def normalized(scores: Sequence[float], scale: Scale = "minmax") -> np.ndarray:
    """Scores to [0, 1], shape (N,), float32: linearly, as published, or by rank; all 0.5 where they are equal.

    Ranks keep a few useless networks from squeezing all others into one end.

    Raises:
        ValueError: A score is not finite.
    """
    values = np.asarray(scores, dtype=float)
    if not np.isfinite(values).all():
        first = int(np.flatnonzero(~np.isfinite(values))[0])
        raise ValueError(f"score {first} is {values[first]}; scores to learn from must be finite")
    values = rankdata(values) if scale == "ranks" else values / 2  # the difference of halves is always finite
    low, high = values.min(), values.max()
    if low == high:
        return np.full(len(values), 0.5, dtype=np.float32)
    return ((values - low) / (high - low)).astype(np.float32)


def quality(controller: EncoderPredictorDecoder, sequences: Tensor, scores: np.ndarray) -> Quality:
    """How well `controller` orders sequences (N, L) with scores (N,), and spells them."""
    with torch.no_grad():
        states = controller.encode(sequences)
        predicted = controller.predict(states).numpy()
    differing = (controller.decode(states) != sequences).sum(1).double().mean()
    return Quality(pairwise_accuracy(scores, predicted), kendall_tau(scores, predicted), float(differing))


def pairwise_accuracy(a: np.ndarray, b: np.ndarray) -> float | None:
    """Share of pairs i < j with a_i >= a_j and b_i >= b_j, or both less: the authors' measure; None without a pair."""
    if len(a) < 2:
        return None
    first, second = np.triu_indices(len(a), 1)
    return float(((a[first] >= a[second]) == (b[first] >= b[second])).mean())


def kendall_tau(a: np.ndarray, b: np.ndarray) -> float | None:
    """Kendall's tau-b; None where it is not defined."""
    tau = kendall(a, b)
    return tau if np.isfinite(tau) else None
