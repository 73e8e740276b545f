"""What one round of NAO learns and decodes: the part of `nao` that runs in a thread and changes nothing outside it.

Notes say how good a controller is (`joint_training.Quality`), and on what: "learned", on what it has just learned from;
"picked", the controller of the round before on what has finished since it learned, most of it its own picks, which lie
close together and above the rest; "unseen", on the random networks that no training reads (`held_out`).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from netwright.core import genes, seeds
from netwright.core.errors import InvalidGenotype
from netwright.core.protocols import SearchSpace, Symmetric
from netwright.core.records import MODEL, ROUND, Genotype
from netwright.plans import torch_rng
from netwright.strategies.members import Member
from netwright.surrogates import joint_training, kept_weights
from netwright.surrogates.encoder_predictor_decoder import EncoderPredictorDecoder, Flavor, TokenChoices, shifted
from netwright.surrogates.joint_training import JointSettings, Quality, Scale

TOGETHER = 512  # moved points that are decoded at a time: more may not be needed, fewer take as long


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
        members: Genotypes to learn from, with their scores, in order of finishing.
        unseen: Measured ones that no round learns from.
        seen: Number of members that the round before had learned from.
        known: Keys of all networks that finished.
        seed: Seed of all randomness.
        before: The round before; None: this is the first.
        digest: Digest of all the above.
    """

    number: int
    members: tuple[Member, ...]
    unseen: tuple[Member, ...]
    seen: int
    known: frozenset[str]
    seed: int
    before: Round | None
    digest: str


@dataclass(frozen=True, eq=False)
class Student:
    """Learns lessons: the part of the strategy that runs in a thread of its own and changes nothing outside it."""

    space: SearchSpace
    symmetric: Symmetric | None
    tokens: TokenChoices
    flavor: Flavor
    settings: JointSettings
    scale: Scale
    wanted: int
    top: int
    steps: tuple[int, ...]
    surplus: int

    def learn(self, lesson: Lesson, is_stopped: Callable[[], bool]) -> Round:
        """Train on all members, from the weights of the round before, and decode candidates."""
        rng = seeds.rng_for(lesson.seed, seeds.TRAIN)
        generator = torch_rng.from_numpy(rng)
        controller = EncoderPredictorDecoder(self.tokens, self.flavor, generator)
        notes = {ROUND: float(lesson.number)}
        sequences, scores = self._examples(lesson.members)
        if lesson.before is not None and all(weight.isfinite().all() for weight in lesson.before.weights.values()):
            controller.load_state_dict(lesson.before.weights)
            if lesson.seen < len(scores):  # the controller so far, on what it had no part in learning from
                picked = joint_training.quality(controller, sequences[lesson.seen :], scores[lesson.seen :])
                notes |= _notes(picked, "picked")
        targets = torch.from_numpy(joint_training.normalized(scores.tolist(), self.scale))
        genotypes = [member.genotype for member in lesson.members]
        spellings = spelled(self.space, self.symmetric, self.flavor, genotypes, rng)
        joint_training.train(controller, spellings, targets, self.settings, generator, is_stopped)
        notes |= _notes(joint_training.quality(controller, sequences, scores), "learned")
        if lesson.unseen:
            notes |= _notes(joint_training.quality(controller, *self._examples(lesson.unseen)), "unseen")
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
        for first in range(0, len(self.steps), stride):
            if is_stopped():
                raise joint_training.LearningStopped
            steps = self.steps[first : first + stride]
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

    def _examples(self, members: Sequence[Member]) -> tuple[Tensor, np.ndarray]:
        return self._sequences([member.genotype for member in members]), np.array([member.score for member in members])

    def _sequences(self, genotypes: Sequence[Genotype]) -> Tensor:
        return spelled(self.space, None, self.flavor, genotypes).squeeze(1)


def spelled(
    space: SearchSpace,
    symmetric: Symmetric | None,
    flavor: Flavor,
    genotypes: Sequence[Genotype],
    rng: np.random.Generator | None = None,
) -> Tensor:
    """Sequences of genotypes, shape (N, spellings, L): their own alone, or those that the flavor learns.

    Args:
        space: Their space.
        symmetric: The space, if other spellings are to be learned; `rng` then draws them.
        flavor: Says how many spellings there are, and whether the genotype is one of them.
        genotypes: N genotypes.
        rng: Source of the other spellings.
    """
    drawn, copies = list(genotypes), 1
    if symmetric is not None and rng is not None:
        copies = flavor.copies
        drawn = [
            genotype if copy == 0 and flavor.has_original else symmetric.equivalents(genotype, rng)
            for genotype in genotypes
            for copy in range(copies)
        ]
    tokens = torch.tensor([genes.to_tokens(space.genes, genotype) for genotype in drawn])
    return tokens.view(len(genotypes), copies, -1)


def _notes(found: Quality, on: str) -> dict[str, float]:
    """The quality of a controller, as notes under the names that reports expect, which say what it was measured on."""
    return {f"{MODEL}{on}_{name}": value for name, value in asdict(found).items() if value is not None}


def cached(path: Path | None, learn: Callable[[], Round]) -> Round:
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
