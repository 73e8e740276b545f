"""NAO: sequences are encoded as points, moved along the gradient of a predicted score and decoded (Luo et al. 2018).

"Neural Architecture Optimization", arXiv:1808.07233, section 3; written from a description of the published programs,
one of which a search takes whole by its name (`nao_programs`). After `seeds` random networks, each round trains the
controller on all that was measured (it goes on from the round before), moves the `top` best networks by multiples of
the gradient (1, 2, 3, ... in most programs), and proposes what decodes to a new, valid network. Works on the genes of
any space.

Departures: a network is new by its key, not by its tokens; a round whose best networks do not lead to enough new ones
moves the next best, and at last goes on with random ones; of more candidates than needed those predicted best can be
taken (`surplus`), and scores may be ranked (`scale`); an epoch reads one spelling of each network, of a few that each
training draws once; Adam begins anew in each training, which the TensorFlow program with shared weights goes on with.

Workers need not wait for the controller. That of a round is swapped in when a stated number of trials has finished, and
has learned from those that had finished `lag` trials before; meanwhile the candidates of the round before are used.
The same trials in the same order therefore give the same proposals, however long learning took. What was learned is
kept in the run's folder, by the hash of all that it was learned from.

Where an evaluator measures in rounds (`strategies.in_rounds`), the controller learns once for each round, from all of
the round before, and goes on from what it was; seeds, sizes and `lag` are then the evaluator's.

A search with W > 1 workers keeps W + 1 proposals in the air, so that each round comes W proposals later than with one:
the random networks at the start become `seeds` + W, and the last round has W fewer; with W >= `new` it has none.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np

from netwright import __version__
from netwright.core.errors import BadReference
from netwright.core.objectives import score_of
from netwright.core.protocols import SearchSpace, Symmetric, unwrap
from netwright.core.records import Proposal, Trial
from netwright.core.round_plan import AGE
from netwright.core.single import check_single
from netwright.strategies.members import Member
from netwright.strategies.nao_programs import PROGRAMS, UNNAMED, Program
from netwright.strategies.nao_rounds import Lesson, Round, Student, cached
from netwright.strategies.novelty import new_sample
from netwright.surrogates import kept_weights
from netwright.surrogates.background import Background
from netwright.surrogates.encoder_predictor_decoder import FLAVORS, FlavorName, TokenChoices
from netwright.surrogates.joint_training import JointSettings, Scale

ALGORITHM = 3  # to be raised with any change to what is learned from the same trials, so that no cache hides it


@dataclass
class Nao:
    """Search by gradient in the space of an encoder, with rounds of `new` networks.

    Every option whose default is None takes the program's number.

    Args:
        space: Search space, which samples, checks and names networks.
        objectives: Exactly one objective, as a run file writes it; None: the first metric, the higher the better.
        program: Which published program is taken whole: "tf" or "tf-rnn" (without shared weights, TensorFlow), "tf-ws"
            or "tf-ws-rnn" (with them), "pt1" or "pt2" (PyTorch). None: the controller of "pt1" in rounds of 200.
        seeds: Number of random networks before the first round.
        new: Number of networks that a round decodes.
        fresh: Number of random networks that a round proposes besides, after the decoded ones.
        top: Number of best networks that are moved in a round.
        steps: Multiples of the gradient by which points are moved, in the order in which they are tried.
        largest_step: Short for `steps` of 1, 2, 3, ... up to this.
        surplus: How many times as many networks are decoded as a round needs; those predicted best are proposed. 1, as
            published: the first ones are.
        epochs: Passes over all sequences in each training of the controller.
        batch: Sequences per step of such a training.
        trade_off: Weight of the predictor's loss against the decoder's.
        symmetry: Whether other spellings of a network are learned too, where the space has them.
        flavor: Controller of another program.
        group: Number of genes that the encoder reads in one step, which divides theirs. None: the controller's, which
            is the period of their kinds, except for "tf-rnn": 1.
        scale: How scores become targets: linearly, as published, or by rank.
        lag: Trials that finish between what a round learns from and its first proposal; 0: learning is waited for.
            None: a quarter of `new` or of `seeds`, whichever is less.
        held_out: Number of random networks that no training reads: the first that are measured. Each round's notes say
            how good its controller is on them. The authors have 50.
    """

    space: SearchSpace
    objectives: tuple[str, ...] | None = None
    program: FlavorName | None = None
    seeds: int | None = None
    new: int | None = None
    fresh: int | None = None
    top: int | None = None
    steps: tuple[int, ...] | None = None
    largest_step: int | None = None
    surplus: int = 1
    epochs: int | None = None
    batch: int | None = None
    trade_off: float | None = None
    symmetry: bool | None = None
    flavor: FlavorName | None = None
    group: int | None = None
    scale: Scale = "minmax"
    lag: int | None = None
    held_out: int = 0
    _told: int = field(default=0, init=False, repr=False)
    _members: list[Member] = field(default_factory=list, init=False, repr=False)
    _unseen: list[Member] = field(default_factory=list, init=False, repr=False)  # held out
    _known: set[str] = field(default_factory=set, init=False, repr=False)  # keys of all that finished
    _round: Round | None = field(default=None, init=False, repr=False)
    _number: int = field(default=0, init=False, repr=False)  # number of the round that was begun last
    _seen: int = field(default=0, init=False, repr=False)  # number of members that it learns from
    _learning: Background[Round] | None = field(default=None, init=False, repr=False, compare=False)
    _due: int = field(default=0, init=False, repr=False)  # trials told when what is being learned is taken over
    _folder: Path | None = field(default=None, init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        check_single("nao", self.objectives, "predicts")
        program = self._program = self._resolved()
        longest = min(program.new, program.seeds - self.held_out - 2)
        self._lag = min(program.new, program.seeds) // 4 if self.lag is None else self.lag
        self._wanted = program.new + max(0, self._lag - program.fresh)  # candidates of a round
        if not 0 <= self._lag <= longest:
            raise BadReference(
                f"strategy.lag is {self._lag}; it must be from 0 to {longest}, the smaller of strategy.new and "
                "strategy.seeds less 2 and less strategy.held_out"
            )
        flavor = FLAVORS[program.flavor]
        self._tokens = TokenChoices.of(self.space.genes, flavor.group if self.group is None else self.group)
        self._check_group()
        self._symmetric: Symmetric | None = unwrap(self.space, Symmetric) if program.symmetry else None
        self._settings = JointSettings(program.epochs, program.batch, trade_off=program.trade_off)
        self._begins = program.seeds - self._lag  # trials told when the next round begins to learn
        self._history = b""  # digest of all that was told, and of what else learning depends on
        options = asdict(program) | {"surplus": self.surplus, "scale": self.scale, "held_out": self.held_out}
        if self.group is not None:  # else what was learned before there was the option would be lost
            options["group"] = self.group
        space = re.sub(" at 0x[0-9a-f]+", "", repr(self.space))  # an address is another one in each process
        self._remember(ALGORITHM, __version__, options, self._lag, asdict(self._settings), asdict(flavor))
        self._remember(space, self.space.genes)
        self._prefix = self._history.hex()[:8]  # of file names: tells apart, for removal, what other options learned

    def _resolved(self) -> Program:
        """The program with the options that were given. Raises BadReference for those that make no search."""
        names = ("flavor", "seeds", "new", "fresh", "top", "steps", "epochs", "batch", "trade_off", "symmetry")
        given = {name: value for name in names if (value := getattr(self, name)) is not None}
        if self.largest_step is not None:
            _check_least("largest_step", self.largest_step, 1)
            if self.steps is not None:
                raise BadReference(
                    f"strategy.largest_step is {self.largest_step} beside strategy.steps; give one of the two"
                )
            given["steps"] = tuple(range(1, self.largest_step + 1))
        program = replace(UNNAMED if self.program is None else PROGRAMS[self.program], **given)
        for name in ("new", "top", "epochs", "batch"):
            _check_least(name, getattr(program, name), 1)
        for name, value in (("surplus", self.surplus), ("steps", min(program.steps, default=0))):
            _check_least(name, value, 1)
        _check_least("seeds", program.seeds, 2)
        _check_least("fresh", program.fresh, 0)
        _check_least("held_out", self.held_out, 0)
        if self.held_out > program.seeds - 2:
            raise BadReference(
                f"strategy.held_out is {self.held_out}; it must be at most {program.seeds - 2}, strategy.seeds less 2"
            )
        if not 0 <= program.trade_off <= 1:
            raise BadReference(f"strategy.trade_off is {program.trade_off}; it must be in [0, 1]")
        return program

    def _check_group(self) -> None:
        """Raise BadReference for a group that the genes cannot be read in."""
        if self.group is not None and (self.group < 1 or self._tokens.length % self.group):
            raise BadReference(
                f"strategy.group is {self.group}; it must divide {self._tokens.length}, the number of the space's genes"
            )

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
        self._note(trial)
        if self._told >= self._begins and len(self._members) >= 2:
            self._take_over()  # with the largest lag, one round is due where the next one begins
            between = self._program.new + self._program.fresh
            self._begins, self._due = self._told + between, self._told + self._lag
            self._learn(int(rng.integers(2**63)))

    def for_round(self, told: Sequence[Trial], wanted: int, before: Self | None, rng: np.random.Generator) -> Self:
        """Learn once, from all of the round before, with the controller of that round to go on from.

        Until two of them have scores, random networks are proposed. What says how long rounds are, or when they begin,
        is refused: the evaluator does.
        """
        for name in ("seeds", "new", "fresh", "lag"):
            if getattr(self, name) is not None:
                raise BadReference(
                    f"strategy.{name} is {getattr(self, name)}, and the evaluator measures in rounds, whose numbers "
                    f"are its own; leave strategy.{name} out"
                )
        if self.held_out:
            raise BadReference(
                f"strategy.held_out is {self.held_out}, and in rounds all that was measured is learned from; leave "
                "strategy.held_out out"
            )
        if before is not None:
            before._take_over()
            self._round, self._number = before._round, before._number
            self._remember(before._history)
        for trial in told:
            self._note(trial)
        self._seen = sum(1 for trial in told if trial.scores and trial.proposal.notes.get(AGE))
        self._wanted, self._begins, self._due = wanted, sys.maxsize, self._told
        if len(self._members) >= 2 and wanted:
            self._learn(int(rng.integers(2**63)))
        return self

    def _note(self, trial: Trial) -> None:
        """Remember a trial that finished."""
        self._told += 1
        self._known.add(trial.key)
        self._remember(trial.id, trial.proposal.genotype, trial.scores)
        if (score := score_of(trial)) is not None:
            members = self._unseen if len(self._unseen) < self.held_out else self._members
            members.append(Member(score, trial.id, trial.proposal.genotype))

    def _take_over(self) -> None:
        if self._learning is not None and self._told >= self._due:
            self._round, self._learning = self._learning.result(), None

    def _learn(self, seed: int) -> None:
        """Learn from what was told so far. A round that began late, for lack of members, delays those after it."""
        self._number += 1
        self._remember(seed)
        lesson = Lesson(
            self._number,
            tuple(self._members),
            tuple(self._unseen),
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
        self._learning = Background(lambda is_stopped: cached(path, lambda: student.learn(lesson, is_stopped)))

    def _student(self) -> Student:
        program = self._program
        return Student(
            self.space,
            self._symmetric,
            self._tokens,
            FLAVORS[program.flavor],
            self._settings,
            self.scale,
            wanted=self._wanted,
            top=program.top,
            steps=program.steps,
            surplus=self.surplus,
        )

    def _remember(self, *facts: object) -> None:
        """Chain facts to the digest of all before: bytes, which can be copied with the strategy."""
        self._history = hashlib.blake2b(self._history + repr(facts).encode(), digest_size=16).digest()


def _check_least(name: str, value: int, least: int) -> None:
    if value < least:
        raise BadReference(f"strategy.{name} is {value}; it must be at least {least}")


plugin = Nao
