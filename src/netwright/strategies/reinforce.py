"""Reinforcement learning: a recurrent controller learns from the scores of its draws (Zoph et al. 2018, appendix).

"Learning Transferable Architectures for Scalable Image Recognition", arXiv:1707.07012; the baseline that Real et al.
2019 (arXiv:1802.01548) compare evolution with. The reward of a trial is its score less a moving average of the scores
before. The default is proximal policy optimization (Schulman et al. 2017, arXiv:1707.06347, equation 7); plain
REINFORCE (Williams 1992) is an option. The papers do not say how often a batch is gone through nor where ratios are
clipped; `epochs` and `clip` are choices. The ratio is that of whole genotypes.

Learning happens when `batch`, 2 `batch`, 3 `batch`, ... trials have been told. The log-probability that a genotype had
when it was drawn is a note of its row, so that what slow workers bring back late is weighed against the controller
that asked for it. A failed trial counts for when to learn but has no reward: nothing is learned from it.

Genotypes that the space refuses are drawn again; after TRIES of them the space samples one itself. Such a row has no
note, and is taken as drawn uniformly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from netwright.core import genes
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.core.single import check_single
from netwright.plans import torch_rng
from netwright.surrogates.controller import PolicyController, single_threaded

LOG_PROBABILITY = "log_probability"  # the note of a proposal: of its genotype when it was drawn, in nats
TRIES = 100  # further draws when the space refuses the first
INITIAL_WEIGHTS = 0.1  # uniform in [-0.1, 0.1] (Zoph et al. 2018)
LARGEST_RATIO = 10.0  # a ratio beyond it teaches no more: rows that are very old would outweigh all others


class Draw(NamedTuple):
    """A told trial that is still to be learned from."""

    tokens: tuple[int, ...]
    log_probability: float  # when it was drawn
    score: float


@dataclass
class Reinforce:
    """Policy gradient search with a controller of one LSTM layer.

    Args:
        space: Search space, whose genes the controller chooses.
        objectives: The reward, one objective as a run file writes it; None: the first metric, the higher the better.
        algorithm: Proximal policy optimization, or plain REINFORCE, which goes through each batch once.
        batch: Number of told trials from one time of learning to the next (paper: 20).
        lr: Learning rate of Adam (paper: 0.00035; best for Real et al.: 0.0008).
        entropy: Weight of the softmaxes' entropy, added to the reward (paper: 0.00001).
        decay: Decay of the moving average of scores that is the baseline (paper: 0.95).
        hidden: Number of units of the LSTM (paper: 100).
        epochs: Number of times that PPO goes through a batch.
        clip: How far from 1 PPO follows the ratio of a genotype's probability to that when it was drawn.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    algorithm: Literal["ppo", "reinforce"] = "ppo"
    batch: int = 20
    lr: float = 0.00035
    entropy: float = 0.00001
    decay: float = 0.95
    hidden: int = 100
    epochs: int = 10
    clip: float = 0.2
    _controller: PolicyController = field(init=False, repr=False)
    _optimizer: torch.optim.Adam = field(init=False, repr=False)
    _draws: list[Draw] = field(default_factory=list, init=False, repr=False)  # since the last time of learning
    _baseline: float | None = field(default=None, init=False, repr=False)  # None: no score yet
    _uniform: float = field(init=False, repr=False)  # log-probability of any genotype when all are equally likely
    _told: int = field(default=0, init=False, repr=False)

    def __post_init__(self) -> None:
        self._check_options()
        self._uniform = -math.fsum(math.log(genes.size(gene)) for gene in self.space.genes)
        self._controller = PolicyController(self.space.genes, self.hidden)
        self._optimizer = torch.optim.Adam(self._controller.parameters(), self.lr)

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal:  # noqa: ARG002
        """A genotype drawn from the controller; before the first trial is told, all are equally likely.

        Values are drawn as `genes.sample` draws them, so that up to then it asks what random search asks.
        """
        for count in (1, TRIES):  # the many are drawn at once: it costs about as much as a few
            tokens, log_p = self._controller.draw(rng.random((count, len(self.space.genes))))
            for drawn, log_probability in zip(tokens.tolist(), log_p.tolist(), strict=True):
                genotype = genes.from_tokens(self.space.genes, drawn)
                if self._is_valid(genotype):
                    return Proposal(genotype, notes={LOG_PROBABILITY: log_probability})
        return Proposal(self.space.sample(rng))

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Remember the score; with every `batch`-th trial, learn from those since the last time."""
        if self._told == 0:
            self._controller.initialize(INITIAL_WEIGHTS, torch_rng.from_numpy(rng))
        self._told += 1
        if (score := score_of(trial)) is not None:
            tokens = genes.to_tokens(self.space.genes, trial.proposal.genotype)
            log_probability = trial.proposal.notes.get(LOG_PROBABILITY, self._uniform)
            self._draws.append(Draw(tokens, log_probability, score))
        if self._told % self.batch == 0 and self._draws:
            self._learn()
            self._draws.clear()

    @single_threaded
    def _learn(self) -> None:
        tokens = torch.tensor([draw.tokens for draw in self._draws])  # (B, genes)
        before = torch.tensor([draw.log_probability for draw in self._draws])  # (B,)
        advantages = torch.tensor(self._advantages([draw.score for draw in self._draws]))  # (B,)
        for _ in range(self.epochs if self.algorithm == "ppo" else 1):
            now, entropy = self._controller(tokens)
            gain = self._gain(now, before, advantages) + self.entropy * entropy
            self._optimizer.zero_grad()
            (-gain.mean()).backward()
            self._optimizer.step()

    def _gain(self, now: Tensor, before: Tensor, advantages: Tensor) -> Tensor:
        """What to increase, for each genotype, given its log-probabilities: all of shape (B,)."""
        ratio = (now - before).clamp(max=math.log(LARGEST_RATIO)).exp()
        if self.algorithm == "reinforce":
            return ratio.detach() * advantages * now
        return torch.minimum(ratio * advantages, ratio.clamp(1 - self.clip, 1 + self.clip) * advantages)

    def _advantages(self, scores: Sequence[float]) -> list[float]:
        """Scores less the baseline of the batches before (of the first batch: its own mean), which then moves on."""
        baseline = math.fsum(scores) / len(scores) if self._baseline is None else self._baseline
        self._baseline = baseline
        for score in scores:
            self._baseline = self.decay * self._baseline + (1 - self.decay) * score
        return [score - baseline for score in scores]

    def _is_valid(self, genotype: Genotype) -> bool:
        try:
            self.space.check(genotype)
        except InvalidGenotype:
            return False
        return True

    def _check_options(self) -> None:
        check_single("reinforce", self.objectives, "is rewarded by")
        if not self.space.genes:
            raise BadReference("reinforce chooses values of genes, and this space has none; give a space to search in")
        if self.algorithm not in ("ppo", "reinforce"):
            raise BadReference(f"strategy.algorithm is {self.algorithm!r}; it must be 'ppo' or 'reinforce'")
        for name in ("batch", "hidden", "epochs"):
            if getattr(self, name) < 1:
                raise BadReference(f"strategy.{name} is {getattr(self, name)}; it must be at least 1")
        for name in ("lr", "clip"):
            if not 0 < getattr(self, name) < 1:
                raise BadReference(f"strategy.{name} is {getattr(self, name)}; it must be above 0 and below 1")
        if not 0 <= self.decay < 1:
            raise BadReference(f"strategy.decay is {self.decay}; it must be at least 0 and below 1")
        if not 0 <= self.entropy < math.inf:
            raise BadReference(f"strategy.entropy is {self.entropy}; it must be at least 0, and finite")


plugin = Reinforce
