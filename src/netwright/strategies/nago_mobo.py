"""NAGO's own search for several objectives, as we read it: noisy networks, uncertain fronts and penalized batches.

Ru, Esperanca, Carlucci 2020, "Neural Architecture Generator Optimization", arXiv:2004.01395: USeMO (Belakaria et al.
2020, "Uncertainty-Aware Search Framework for Multi-Objective Bayesian Optimization") with a heteroscedastic Bayesian
neural network for the objectives (`surrogates.noisy_network`), and batches of 8 by local penalization
(`surrogates.penalties`). That it was USeMO is concluded from how the paper cites it. `mobo` is the modern sibling.

1. The networks learn from all trials, once for each batch: here whenever `batch` further ones have finished.
2. A cheap problem of several objectives, the acquisitions, is solved by evolution over the genes: candidates.
3. Of those whose acquisitions no other candidate's dominate, the most uncertain one is proposed: that with the largest
   box of confidence, the product of the deviations of all objectives.

What the paper leaves open, what was taken, and why:

* The acquisition is an upper bound of f, its mean plus BETA deviations: the whole front of bounds is of interest, while
  expected improvement over the best of one objective vanishes between the ends of the front. The deviation is of f:
  noise is not added, as no evaluation reduces it, and a generator would be preferred for being unreliable.
* All objectives are penalized, each by its own Lipschitz constant and best value, since nothing singles one out. The
  acquisition is made positive by softplus before it is multiplied, as Gonzalez et al. do. The box of step 3 is not
  penalized: it only chooses among candidates whose penalized acquisitions are on the front.
* The Lipschitz constant is the steepest slope of the mean at any of the random candidates.
* Distances are those of the network's inputs: numbers in [0, 1], and choices as far from each other as that.

Batches are not waited for: what has been proposed since the model was made, finished or not, is what is penalized, and
each worker asks as soon as it is free. The networks learn in a thread of their own, and candidates are looked for when
the first network of a batch is asked for. A failed trial counts as the worst that was seen, in every objective. No
genotype is evaluated twice. A step of the sampler sees 300 trials at most, so that a long history costs little more.

On two made-up problems over the genes of `hnag`, 42 trials cover more volume than those of random networks do, by 24 %
in the mean of 3 seeds on one and by 5 % on the other, where a lucky one of 10 random searches covers as much
(tests/strategies/test_nago_mobo.py). The first batch of a search may not be spread: the largest box of confidence is at
one end of the front, and the penalties, which are of distances between genes, do not move it from there. `mobo` is the
modern way.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Literal

import numpy as np

from netwright.core import front
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.strategies.local_search import neighbors
from netwright.strategies.novelty import first_new, new_sample
from netwright.surrogates import noisy_network
from netwright.surrogates.background import Background
from netwright.surrogates.features import Encoder
from netwright.surrogates.hamiltonian import Chains
from netwright.surrogates.noisy_network import Belief, SampledNetworks
from netwright.surrogates.penalties import penalty

BETA = 2.0  # deviations by which the acquisition is above the mean
SAMPLES = 200  # random candidates to begin with
GENERATIONS, CHILDREN, PARENTS = 6, 100, 40  # of the evolution that solves the cheap problem
SHORTLIST = 200  # candidates that are tried for being a new network


@dataclass(frozen=True, eq=False)
class Candidates:
    """What one model says of candidates.

    Args:
        networks: The model.
        genotypes: N of them.
        x: The same as inputs of the model, shape (N, D).
        belief: What the model knows of them.
        best: The best measured value of each objective, shape (M,).
        steepest: Lipschitz constants of the objectives, shape (M,).
    """

    networks: SampledNetworks
    genotypes: tuple[Genotype, ...]
    x: np.ndarray
    belief: Belief
    best: np.ndarray
    steepest: np.ndarray

    def ranked(self, running: np.ndarray) -> list[Genotype]:
        """All of them, best first, where networks at inputs of shape (P, D) are being evaluated."""
        acquisitions = np.logaddexp(0.0, _bound(self.belief))
        if len(running):
            there = self.networks.predict(running)
            acquisitions *= penalty(self.x, running, there.mean, there.deviation, self.best, self.steepest)
        boxes = np.log(np.maximum(self.belief.deviation, 1e-12)).sum(1)
        order = np.lexsort((-boxes, front.layers(acquisitions, most=SHORTLIST)))
        return [self.genotypes[place] for place in order.tolist()]


@dataclass
class NagoMobo:
    """NAGO's multi-objective Bayesian optimization, for any number of objectives on any space.

    Args:
        space: Search space, which samples, mutates and names networks; the model is one of its genes.
        objectives: At least one objective, as a run file writes it; None: the first metric, the higher the better.
        initial: Number of trials that finish before the model is asked; their networks are random.
        batch: Number of trials after which the model is made anew (paper: 8).
        noise: "heteroscedastic", which depends on the genes (the paper's), or "homoscedastic", equal everywhere.
        chain_steps: Steps of each of the model's chains, of which the first half burn in; at least 20.
    """

    takes_several: ClassVar[Literal[True]] = True
    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    initial: int = 10
    batch: int = 8
    noise: Literal["heteroscedastic", "homoscedastic"] = "heteroscedastic"
    chain_steps: int = 1000
    _told: list[tuple[tuple[float, ...] | None, Genotype]] = field(default_factory=list, init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _lesson: tuple[int, int] | None = field(default=None, init=False, repr=False)  # trials of the model, and its seed
    # memos by the number of trials of a lesson: its model, on its way or done, and what that says of candidates
    _learning: tuple[int, Background[SampledNetworks]] | None = field(
        default=None, init=False, repr=False, compare=False
    )
    _found: tuple[int, Candidates] | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if self.objectives is not None and not self.objectives:
            raise BadReference("nago_mobo models at least one objective, the run has none; give one by --objectives")
        for name, least in (("initial", 2), ("batch", 1), ("chain_steps", 20)):
            if getattr(self, name) < least:
                raise BadReference(f"strategy.{name} is {getattr(self, name)}; it must be at least {least}")
        if self.noise not in ("heteroscedastic", "homoscedastic"):
            raise BadReference(f'strategy.noise is "{self.noise}"; it must be "heteroscedastic" or "homoscedastic"')

    def is_ready(self) -> bool:
        """Whether the next `ask` need not wait for a model that is still being learned; begins to learn it."""
        return self._lesson is None or self._begun(self._lesson).is_done

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """A random network until `initial` have finished, then the model's choice; None: no network is new."""
        taken = {trial.key for trial in pending}
        genotype = None
        if self._lesson is not None:
            lesson = self._lesson
            running = [genotype for _, genotype in self._told[lesson[0] :]]
            running += [trial.proposal.genotype for trial in pending]
            # in a thread, which has one thread of torch's, as its sums depend on their number
            ranked = Background(lambda _is_stopped: self._candidates(lesson).ranked(self._inputs(running))).result()
            genotype = first_new(self.space, ranked[:SHORTLIST], self._known, taken)
        if genotype is None:
            genotype = new_sample(self.space, self._known, taken, rng)
        return None if genotype is None else Proposal(genotype)

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Remember the trial; where it completes a batch, the next model's seed is drawn."""
        self._known.add(trial.key)
        self._told.append((trial.scores or None, trial.proposal.genotype))
        beyond = len(self._told) - self.initial
        if beyond >= 0 and beyond % self.batch == 0 and any(scores for scores, _ in self._told):
            self._lesson = (len(self._told), int(rng.integers(2**62)))

    def _begun(self, lesson: tuple[int, int]) -> Background[SampledNetworks]:
        """What learns the model of a lesson, begun if it is not yet."""
        length, seed = lesson
        if self._learning is None or self._learning[0] != length:
            told = self._told[:length]
            x, targets = self._inputs([genotype for _, genotype in told]), _targets([scores for scores, _ in told])
            is_heteroscedastic, chains = self.noise == "heteroscedastic", Chains(steps=self.chain_steps)
            work = Background(lambda _: noisy_network.learn(x, targets, is_heteroscedastic, chains, seed))
            self._learning = (length, work)
        return self._learning[1]

    def _candidates(self, lesson: tuple[int, int]) -> Candidates:
        """What the model of a lesson says: the same for all that are asked for before the next one."""
        length, seed = lesson
        if self._found is None or self._found[0] != length:
            networks = self._begun(lesson).result()
            genotypes = self._evolved(networks, np.random.default_rng(seed))
            x, best = self._inputs(genotypes), _targets([scores for scores, _ in self._told[:length]]).max(0)
            found = Candidates(networks, tuple(genotypes), x, networks.predict(x), best, networks.steepest(x[:SAMPLES]))
            self._found = (length, found)
        return self._found[1]

    def _evolved(self, networks: SampledNetworks, rng: np.random.Generator) -> list[Genotype]:
        """All candidates that were met while the front of their acquisitions was looked for."""
        met = list(dict.fromkeys(self.space.sample(rng) for _ in range(SAMPLES)))
        acquisitions = _bound(networks.predict(self._inputs(met)))
        for generation in range(1, GENERATIONS + 1):
            layers = front.layers(acquisitions, most=PARENTS)
            parents = [met[place] for place in np.argsort(layers, kind="stable")[:PARENTS].tolist()]
            known = set(met)
            children = dict.fromkeys(self._child(parents, rng) for _ in range(CHILDREN))
            fresh = [child for child in children if child not in known]
            met += fresh
            if fresh and generation < GENERATIONS:
                acquisitions = np.concatenate([acquisitions, _bound(networks.predict(self._inputs(fresh)))])
        return met

    def _child(self, parents: Sequence[Genotype], rng: np.random.Generator) -> Genotype:
        """A cross of two parents with one gene changed; where that is no network, the first parent mutated."""
        first, second = (parents[int(chance * len(parents))] for chance in rng.random(2).tolist())
        is_first = (rng.random(len(first)) < 0.5).tolist()
        crossed = tuple(a if kept else b for a, b, kept in zip(first, second, is_first, strict=True))
        near = neighbors(self.space.genes, crossed, rng)
        child = near[0] if near else crossed
        try:
            self.space.check(child)
        except InvalidGenotype:
            return self.space.mutate(first, rng)
        return child

    @cached_property
    def _encoder(self) -> Encoder:
        return Encoder(self.space.genes)

    def _inputs(self, genotypes: Sequence[Genotype]) -> np.ndarray:
        return noisy_network.inputs(self._encoder, genotypes)


def _bound(belief: Belief) -> np.ndarray:
    return belief.mean + BETA * belief.deviation


def _targets(scores: Sequence[tuple[float, ...] | None]) -> np.ndarray:
    """Each objective of mean 0 and variance 1, shape (N, M); a failed trial has the worst of each."""
    worst = np.min([each for each in scores if each is not None], axis=0)
    targets = np.array([worst if each is None else each for each in scores], float)
    centered = targets - targets.mean(0)
    found: np.ndarray = centered / np.maximum(centered.std(0), 1e-9)
    return found


plugin = NagoMobo
