"""Local search: climbs from neighbor to neighbor, and starts afresh where all neighbors are worse.

White et al. 2021, "Exploring the Loss Landscape in Neural Architecture Search", arXiv:2005.02960. A climb starts at
the best of `initial` fresh samples, tries the genotypes that differ in one gene in random order, and moves to the
first that is better; when none is left, the next climb starts. No network is evaluated twice.

Measured on the cells of NATS-Bench (at least 500 seeds, 100 trials, mean distance to the best 12-epoch validation
accuracy of CIFAR-10 and CIFAR-100): moving to the first better neighbor 0.17 and 0.27, to the best of all neighbors
0.26 and 0.43; with one sample per start 0.26 and 0.37, with 30 0.19 and 0.37.

With several workers as many neighbors are tried at a time. When all that are left are being evaluated, a free worker
evaluates a sample for the next start.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

import numpy as np

from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.genes import Choice, Gene, Integer
from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace
from netwright.core.records import Genotype, Proposal, Trial
from netwright.core.single import check_single
from netwright.strategies.members import Member, by_score
from netwright.strategies.novelty import new_sample

NEAR = 8  # values of a numeric gene that count as neighbors of a value
FINEST = 1e-3  # smallest step of a real gene, as a share of its range


@dataclass
class LocalSearch:
    """Hill climbing over one-gene neighbors, with restarts.

    Args:
        space: Search space, which samples starts; its genes say what a neighbor is.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        initial: Number of fresh samples per start, of which the best is climbed from.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    initial: int = 10
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _incumbent: Member | None = field(default=None, init=False, repr=False)  # None: between two climbs
    _neighbors: list[Genotype] = field(default_factory=list, init=False, repr=False)  # of the incumbent, shuffled
    _start: Member | None = field(default=None, init=False, repr=False)  # the best start for the next climb so far
    _starts: int = field(default=0, init=False, repr=False)  # fresh samples that it was the best of
    # memos of the incumbent, made anew when needed: keys of neighbors ("": invalid), and how many are settled in front
    _keys: dict[Genotype, str] = field(default_factory=dict, init=False, repr=False, compare=False)
    _settled: int = field(default=0, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_single("local_search", self.objectives, "climbs")
        if self.initial < 1:
            raise BadReference(f"strategy.initial is {self.initial}; it must be at least 1")

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """The next neighbor of the incumbent, or a fresh sample; None when no network is new any more."""
        taken = {trial.key for trial in pending}
        if self._incumbent is not None and (neighbor := self._next_neighbor(taken)) is not None:
            return Proposal(neighbor, (self._incumbent.trial_id,))
        genotype = new_sample(self.space, self._known, taken, rng)
        return None if genotype is None else Proposal(genotype)

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Move to a better genotype; end a climb without any; begin the next when enough starts have finished."""
        self._known.add(trial.key)
        if (score := score_of(trial)) is not None:
            self._learn(Member(score, trial.id, trial.proposal.genotype), not trial.proposal.parents, rng)
        if self._incumbent is not None and self._next_neighbor(()) is None:
            self._incumbent = None
        if self._incumbent is None and self._start is not None and self._starts >= self.initial:
            start, self._start, self._starts = self._start, None, 0
            self._climb(start, rng)

    def _learn(self, found: Member, is_fresh: bool, rng: np.random.Generator) -> None:
        if self._incumbent is not None and found.score > self._incumbent.score:
            self._climb(found, rng)
        elif self._incumbent is None or is_fresh:  # a neighbor that comes after its climb has ended is a start too
            self._starts += is_fresh
            self._start = max((self._start, found), key=by_score) if self._start is not None else found

    def _climb(self, start: Member, rng: np.random.Generator) -> None:
        self._incumbent = start
        self._neighbors = neighbors(self.space.genes, start.genotype, rng)
        self._keys, self._settled = {}, 0

    def _next_neighbor(self, taken: Collection[str]) -> Genotype | None:
        """The first neighbor that neither finished nor is `taken`; None when there is none."""
        while self._settled < len(self._neighbors) and self._is_settled(self._neighbors[self._settled]):
            self._settled += 1
        for position in range(self._settled, len(self._neighbors)):
            genotype = self._neighbors[position]
            if not self._is_settled(genotype) and self._keys[genotype] not in taken:
                return genotype
        return None

    def _is_settled(self, genotype: Genotype) -> bool:
        """Whether a neighbor needs no evaluation: it finished, or is no network of the space."""
        if genotype not in self._keys:
            self._keys[genotype] = self._key(genotype)
        key = self._keys[genotype]
        return not key or key in self._known

    def _key(self, genotype: Genotype) -> str:
        try:
            self.space.check(genotype)
        except InvalidGenotype:
            return ""
        return self.space.key(genotype)


def neighbors(genes: Sequence[Gene], genotype: Genotype, rng: np.random.Generator) -> list[Genotype]:
    """Genotypes that differ from `genotype` in one gene, in random order.

    A choice takes all its other options; an integer takes all its other values or, if they are more than NEAR, the
    next ones and random ones. A real takes NEAR random steps, half of them down, from half its range to FINEST of it,
    equally many in every order of magnitude.
    """
    found = [
        (*genotype[:position], value, *genotype[position + 1 :])
        for position, gene in enumerate(genes)
        for value in _others(gene, genotype[position], rng)
    ]
    return [found[position] for position in rng.permutation(len(found)).tolist()]


def _others(gene: Gene, value: int | float, rng: np.random.Generator) -> list[int] | list[float]:
    if isinstance(gene, Choice):
        return [other for other in range(len(gene.options)) if other != value]
    if isinstance(gene, Integer):
        return _other_integers(gene, int(value), rng)
    span = gene.high - gene.low
    sizes = 0.5 * (2 * FINEST) ** rng.random(NEAR) * np.where(np.arange(NEAR) % 2, 1, -1)
    moved = np.clip(value + span * sizes, gene.low, gene.high).tolist()
    return [other for other in dict.fromkeys(moved) if other != value]


def _other_integers(gene: Integer, value: int, rng: np.random.Generator) -> list[int]:
    values = gene.high - gene.low + 1
    if values <= NEAR + 1:
        return [other for other in range(gene.low, gene.high + 1) if other != value]
    near = [other for other in (value - 1, value + 1) if gene.low <= other <= gene.high]
    while len(near) < NEAR:  # the range has more, so that this ends
        other = gene.low + int(rng.random() * values)
        if other != value and other not in near:
            near.append(other)
    return near


plugin = LocalSearch
