"""NAO: sequences are encoded as points, moved along the gradient of a predicted score and decoded (Luo et al. 2018).

"Neural Architecture Optimization", arXiv:1808.07233, section 3; written from a description of the published programs.
After `seeds` random networks, each round trains the controller on all that was measured (it goes on from the round
before), moves the `top` best networks by 1, 2, 3, ... times the gradient, and proposes what decodes to a new, valid
network. Works on the genes of any space.

Departures: a network is new by its key, not by its tokens; a round whose best networks do not lead to enough new ones
moves the next best, and at last goes on with random ones; of more candidates than needed those predicted best can be
taken (`surplus`), and scores may be ranked (`scale`); an epoch reads one spelling of each network, of a few that each
training draws once.

Workers need not wait for the controller. That of a round is swapped in when a stated number of trials has finished, and
has learned from those that had finished `lag` trials before; meanwhile the candidates of the round before are used.
The same trials in the same order therefore give the same proposals, however long learning took. What was learned is
kept in the run's folder, by the hash of all that it was learned from.

A search with W > 1 workers keeps W + 1 proposals in the air, so that each round comes W proposals later than with one:
the random networks at the start become `seeds` + W, and the last round has W fewer; with W >= `new` it has none.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from netwright import __version__
from netwright.core import genes, seeds
from netwright.core.errors import BadReference, InvalidGenotype
from netwright.core.objectives import check_single, score_of
from netwright.core.protocols import SearchSpace, Symmetric, unwrap
from netwright.core.records import MODEL, ROUND, Genotype, Proposal, Trial
from netwright.plans import torch_rng
from netwright.strategies.members import Member
from netwright.strategies.novelty import new_sample
from netwright.surrogates import joint_training, kept_weights
from netwright.surrogates.background import Background
from netwright.surrogates.encoder_predictor_decoder import (
    FLAVORS,
    EncoderPredictorDecoder,
    FlavorName,
    TokenChoices,
    shifted,
)
from netwright.surrogates.joint_training import JointSettings, Quality, Scale

TOGETHER = 512  # moved points that are decoded at a time: more may not be needed, fewer take as long
ALGORITHM = 2  # to be raised with any change to what is learned from the same trials, so that no cache hides it


class DecodedNetwork(NamedTuple):
    """A network that the controller decoded.

    Args:
        genotype: The decoded network.
        key: Key of the network in its space.
        parent: Id of the trial whose point was moved.
        step: How far the point was moved, in multiples of the gradient.
    """

    genotype: Genotype
    key: str
    parent: int
    step: int


@dataclass(frozen=True, eq=False)
class Round:
    """What one training of the controller gave.

    Args:
        weights: Weights of the controller.
        candidates: Decoded networks, in the order in which they are proposed.
        notes: Quality of the controller, for the table.
    """

    weights: Mapping[str, Tensor]
    candidates: tuple[DecodedNetwork, ...]
    notes: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Lesson:
    """All that one training depends on besides the strategy's options.

    Args:
        number: Number of the round: 1, 2, ...
        members: Genotypes that were measured, with their scores, in order of finishing.
        seen: Number of members that the round before had learned from.
        known: Keys of all networks that finished.
        seed: Seed of all randomness.
        before: The round before; None: this is the first.
        digest: Digest of all the above.
    """

    number: int
    members: tuple[Member, ...]
    seen: int
    known: frozenset[str]
    seed: int
    before: Round | None
    digest: str


@dataclass
class Nao:
    """Search by gradient in the space of an encoder, with rounds of `new` networks.

    Args:
        space: Search space, which samples, checks and names networks.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        seeds: Number of random networks before the first round.
        new: Number of networks of a round.
        top: Number of best networks that are moved in a round.
        largest_step: Largest multiple of the gradient by which points are moved.
        surplus: How many times as many networks are decoded as a round needs; those predicted best are proposed. 1, as
            published: the first ones are.
        epochs: Passes over all sequences in each training of the controller.
        batch: Sequences per step of such a training.
        trade_off: Weight of the predictor's loss against the decoder's.
        flavor: Sizes of the controller: those of the cells of NAONet, or the smaller ones of the one-shot search.
        scale: How scores become targets: linearly, as published, or by rank.
        lag: Trials that finish between what a round learns from and its first proposal; 0: learning is waited for.
            None: a quarter of `new` or of `seeds`, whichever is less.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    seeds: int = 600
    new: int = 200
    top: int = 100
    largest_step: int = 51
    surplus: int = 1
    epochs: int = 1000
    batch: int = 100
    trade_off: float = 0.8
    flavor: FlavorName = "pt1"
    scale: Scale = "minmax"
    lag: int | None = None
    _told: int = field(default=0, init=False, repr=False)
    _members: list[Member] = field(default_factory=list, init=False, repr=False)
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _round: Round | None = field(default=None, init=False, repr=False)
    _number: int = field(default=0, init=False, repr=False)  # number of the round that was begun last
    _seen: int = field(default=0, init=False, repr=False)  # number of members that it learns from
    _learning: Background[Round] | None = field(default=None, init=False, repr=False, compare=False)
    _due: int = field(default=0, init=False, repr=False)  # trials told when what is being learned is taken over
    _folder: Path | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_single("nao", self.objectives, "predicts")
        for name in ("seeds", "new", "top", "largest_step", "surplus", "epochs", "batch"):
            least = 2 if name == "seeds" else 1
            if getattr(self, name) < least:
                raise BadReference(f"strategy.{name} is {getattr(self, name)}; it must be at least {least}")
        if not 0 <= self.trade_off <= 1:
            raise BadReference(f"strategy.trade_off is {self.trade_off}; it must be in [0, 1]")
        longest = min(self.new, self.seeds - 2)
        self._lag = min(self.new, self.seeds) // 4 if self.lag is None else self.lag
        if not 0 <= self._lag <= longest:
            raise BadReference(
                f"strategy.lag is {self.lag}; it must be from 0 to {longest}, the smaller of strategy.new and "
                "strategy.seeds less 2"
            )
        self._tokens = TokenChoices.of(self.space.genes)
        self._symmetric: Symmetric | None = unwrap(self.space, Symmetric)
        options = {name: getattr(self, name) for name in ("new", "top", "largest_step", "surplus", "scale")}
        self._settings = JointSettings(self.epochs, self.batch, trade_off=self.trade_off)
        self._begins = self.seeds - self._lag  # trials told when the next round begins to learn
        self._history = b""  # digest of all that was told, and of what else learning depends on
        space = re.sub(" at 0x[0-9a-f]+", "", repr(self.space))  # an address is another one in each process
        self._remember(ALGORITHM, __version__, options, self._lag, asdict(self._settings), asdict(FLAVORS[self.flavor]))
        self._remember(space, self.space.genes)
        self._prefix = self._history.hex()[:8]  # of file names: tells apart, for removal, what other options learned

    def cache_in(self, folder: Path) -> None:
        """Keep what is learned in `folder`; what other options, spaces or versions left there is removed."""
        self._folder = folder
        kept_weights.clear(folder, self._prefix)

    def is_ready(self) -> bool:
        """Whether the next `ask` or `tell` need not wait for a round that is still being learned."""
        if self._learning is None or self._learning.is_done:
            return True
        begins_anew = self._told + 1 >= max(self._due, self._begins)  # with the largest lag, from what this one learned
        return self._told < self._due and not begins_anew

    def ask(self, rng: np.random.Generator, pending: Sequence[Trial]) -> Proposal | None:
        """The round's first candidate that is new, else a random network that is new; None: none was found.

        What a round proposes has its notes; a candidate of the controller has its `step` besides.
        """
        self._take_over()
        taken = {trial.key for trial in pending}
        notes = self._round.notes if self._round is not None else {}
        for candidate in self._round.candidates if self._round is not None else ():
            if candidate.key not in self._known and candidate.key not in taken:
                return Proposal(candidate.genotype, (candidate.parent,), notes={**notes, "step": float(candidate.step)})
        genotype = new_sample(self.space, self._known, taken, rng)
        return None if genotype is None else Proposal(genotype, notes=notes)

    def tell(self, trial: Trial, rng: np.random.Generator) -> None:
        """Remember the trial; at stated numbers of trials begin to learn, and at others take over what was learned."""
        self._take_over()
        self._told += 1
        self._known.add(trial.key)
        self._remember(trial.id, trial.proposal.genotype, trial.scores)
        if (score := score_of(trial)) is not None:
            self._members.append(Member(score, trial.id, trial.proposal.genotype))
        if self._told >= self._begins and len(self._members) >= 2:
            self._take_over()  # with the largest lag, one round is due where the next one begins
            self._begin(int(rng.integers(2**63)))

    def _take_over(self) -> None:
        if self._learning is not None and self._told >= self._due:
            self._round, self._learning = self._learning.result(), None

    def _begin(self, seed: int) -> None:
        """Learn from what was told so far. A round that began late, for lack of members, delays those after it."""
        self._begins, self._due = self._told + self.new, self._told + self._lag
        self._number += 1
        self._remember(seed)
        lesson = Lesson(
            self._number,
            tuple(self._members),
            self._seen,
            frozenset(self._known),
            seed,
            self._round,
            self._history.hex(),
        )
        self._seen = len(self._members)
        # the thread holds the student and not the strategy, whose end stops it
        name = f"{self._prefix}-{lesson.digest}{kept_weights.SUFFIX}"
        student, path = self._student(), self._folder and self._folder / name
        self._learning = Background(lambda is_stopped: _cached(path, lambda: student.learn(lesson, is_stopped)))

    def _student(self) -> Student:
        return Student(
            self.space,
            self._symmetric,
            self._tokens,
            self.flavor,
            self._settings,
            self.scale,
            wanted=self.new + self._lag,
            top=self.top,
            largest_step=self.largest_step,
            surplus=self.surplus,
        )

    def _remember(self, *facts: object) -> None:
        """Chain facts to the digest of all before: bytes, which can be copied with the strategy."""
        self._history = hashlib.blake2b(self._history + repr(facts).encode(), digest_size=16).digest()


@dataclass(frozen=True, eq=False)
class Student:
    """Learns lessons: the part of the strategy that runs in a thread of its own and changes nothing outside it."""

    space: SearchSpace
    symmetric: Symmetric | None
    tokens: TokenChoices
    flavor: FlavorName
    settings: JointSettings
    scale: Scale
    wanted: int
    top: int
    largest_step: int
    surplus: int

    def learn(self, lesson: Lesson, is_stopped: Callable[[], bool]) -> Round:
        """Train on all members, from the weights of the round before, and decode candidates."""
        rng = seeds.rng_for(lesson.seed, seeds.TRAIN)
        generator = torch_rng.from_numpy(rng)
        controller = EncoderPredictorDecoder(self.tokens, FLAVORS[self.flavor], generator)
        notes = {ROUND: float(lesson.number)}
        sequences = self._sequences([member.genotype for member in lesson.members])
        scores = np.array([member.score for member in lesson.members])
        if lesson.before is not None and all(weight.isfinite().all() for weight in lesson.before.weights.values()):
            controller.load_state_dict(lesson.before.weights)
            if lesson.seen < len(scores):  # the controller so far, on what it had no part in learning from
                unseen = joint_training.quality(controller, sequences[lesson.seen :], scores[lesson.seen :])
                notes |= _notes(unseen, "unseen_")
        targets = torch.from_numpy(joint_training.normalized(scores.tolist(), self.scale))
        spellings = self._spellings(lesson.members, rng)
        joint_training.train(controller, spellings, targets, self.settings, generator, is_stopped)
        notes |= _notes(joint_training.quality(controller, sequences, scores))
        weights = {name: value.clone() for name, value in controller.state_dict().items()}
        return Round(weights, tuple(self._candidates(controller, lesson, is_stopped)), notes)

    def _candidates(
        self, controller: EncoderPredictorDecoder, lesson: Lesson, is_stopped: Callable[[], bool]
    ) -> list[DecodedNetwork]:
        """New valid networks near the best, the best predicted first.

        The `top` best are moved by one step after the other until enough was found; if that does not yield enough,
        the next best are.
        """
        ranking = sorted(lesson.members, key=lambda member: -member.score)
        found: dict[str, DecodedNetwork] = {}
        for start in range(0, len(ranking), self.top):
            for candidate in self._near(controller, ranking[start : start + self.top], is_stopped):
                if candidate.key not in lesson.known:
                    found.setdefault(candidate.key, candidate)
                if len(found) == self.surplus * self.wanted:
                    return self._sorted(controller, list(found.values()))
        return self._sorted(controller, list(found.values()))

    def _near(
        self,
        controller: EncoderPredictorDecoder,
        members: Sequence[Member],
        is_stopped: Callable[[], bool] = lambda: False,
    ) -> Iterator[DecodedNetwork]:
        """Valid networks that moved points decode to, by step, then in order of the members."""
        with torch.no_grad():
            states = controller.encode(self._sequences([member.genotype for member in members]))
        slope, tried = controller.slope(states), set()
        stride = max(1, TOGETHER // len(members))
        for first in range(1, self.largest_step + 1, stride):
            if is_stopped():
                raise joint_training.LearningStopped
            steps = range(first, min(first + stride, self.largest_step + 1))
            moved = torch.cat([shifted(states, slope, step) for step in steps])
            decoded = map(tuple, controller.decode(moved).tolist())
            for (step, member), sequence in zip(itertools.product(steps, members), decoded, strict=True):
                if (member.trial_id, sequence) in tried:  # most steps decode to the same as the step before
                    continue
                tried.add((member.trial_id, sequence))
                genotype = genes.from_tokens(self.space.genes, sequence, like=member.genotype)
                with suppress(InvalidGenotype):
                    self.space.check(genotype)
                    yield DecodedNetwork(genotype, self.space.key(genotype), member.trial_id, step)

    def _sorted(self, controller: EncoderPredictorDecoder, candidates: list[DecodedNetwork]) -> list[DecodedNetwork]:
        """The `wanted` candidates that are predicted best."""
        if not candidates:
            return []
        with torch.no_grad():
            states = controller.encode(self._sequences([candidate.genotype for candidate in candidates]))
            order = (-controller.predict(states)).argsort(stable=True).tolist()
        return [candidates[position] for position in order[: self.wanted]]

    def _sequences(self, genotypes: Sequence[Genotype]) -> Tensor:
        return torch.tensor([genes.to_tokens(self.space.genes, genotype) for genotype in genotypes])

    def _spellings(self, members: Sequence[Member], rng: np.random.Generator) -> Tensor:
        """Sequences of the same networks, shape (N, spellings, L)."""
        flavor = FLAVORS[self.flavor]
        if self.symmetric is None:
            return self._sequences([member.genotype for member in members]).unsqueeze(1)
        drawn = [
            member.genotype if copy == 0 and flavor.has_original else self.symmetric.equivalents(member.genotype, rng)
            for member in members
            for copy in range(flavor.copies)
        ]
        return self._sequences(drawn).view(len(members), flavor.copies, -1)


def _notes(found: Quality, prefix: str = "") -> dict[str, float]:
    """The quality of a controller, as notes under the names that reports expect."""
    return {f"{MODEL}{prefix}{name}": value for name, value in asdict(found).items() if value is not None}


def _cached(path: Path | None, learn: Callable[[], Round]) -> Round:
    """The round that a file holds; where none can be read, the one that `learn` gives, which is then written."""
    if path is None:
        return learn()
    if (kept := kept_weights.read(path)) is not None:
        facts = json.loads(kept[1])
        candidates = tuple(DecodedNetwork(tuple(genotype), *rest) for genotype, *rest in facts["candidates"])
        return Round(kept[0], candidates, facts["notes"])
    found = learn()
    facts = {"notes": dict(found.notes), "candidates": found.candidates}
    with suppress(OSError):  # a full disk costs time at the next start, nothing else
        kept_weights.write(path, found.weights, json.dumps(facts))
    return found


plugin = Nao
