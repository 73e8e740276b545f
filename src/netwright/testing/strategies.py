"""What every strategy must do. Call `check_strategy` from a test of your own."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from netwright.core import seeds
from netwright.core.errors import BadReference
from netwright.core.protocols import SearchSpace, Strategy
from netwright.core.records import Proposal, Result, Trial
from netwright.core.round_plan import Rounds
from netwright.strategies.in_rounds import InRounds
from netwright.testing.toys import ToySpace

Make = Callable[[SearchSpace], Strategy]
Played = tuple[Strategy, list[Trial]]  # a strategy, and the trials that it was asked for and told


def check_strategy(make: Make, trials: int = 60, seeds_tried: int = 10) -> None:
    """Assert the contract on the toy space: pure asks, replay, failures, rounds, scores no worse than random search's.

    `make` constructs it, with a start population well below `trials`; one that proposes nothing at all (a list that
    is empty) passes.
    """
    played = check_pure(make, trials)
    check_replay(make, trials, played)
    check_failures(make, trials)
    check_rounds(make)
    check_no_worse_than_random(make, trials, seeds_tried, played)


def check_pure(make: Make, trials: int) -> Played:
    """Two asks in the same state give the same proposal, whatever other asks came between.

    Returns what was played, which is what seed 0 plays.
    """
    space, strategy = ToySpace(), make(ToySpace())
    history: list[Trial] = []
    for n in range(1, trials + 1):
        first = strategy.ask(seeds.rng_for(0, seeds.ASK, n), ())
        strategy.ask(seeds.rng_for(99, seeds.ASK, n), ())
        second = strategy.ask(seeds.rng_for(0, seeds.ASK, n), ())
        assert first == second, f"ask {n} changed the state: learning belongs into tell"
        if first is None:
            break
        space.check(first.genotype)
        history.append(finished(n, copy.deepcopy(first)))
        strategy.tell(history[-1], seeds.rng_for(0, seeds.TELL, n))
    return strategy, history


def check_replay(make: Make, trials: int, played: Played | None = None) -> None:
    """A fresh strategy told the same trials in the same order proposes the same; `played`: what was, if it was."""
    continued, history = played or _played(make, trials, 0)
    strategy = make(ToySpace())
    for trial in history:
        strategy.tell(trial, seeds.rng_for(0, seeds.TELL, trial.finish or 0))
    n = len(history) + 1
    rng = seeds.rng_for
    assert strategy.ask(rng(0, seeds.ASK, n), ()) == continued.ask(rng(0, seeds.ASK, n), ())


def check_failures(make: Make, trials: int) -> None:
    """The strategy goes on when trials fail, even all of them, and while others are pending."""
    for fails in (lambda _n: True, lambda n: n % 2 == 0):
        strategy = make(ToySpace())
        pending: list[Trial] = []
        for n in range(1, trials + 1):
            proposal = strategy.ask(seeds.rng_for(0, seeds.ASK, n), tuple(pending))
            if proposal is None and not pending:
                return
            if proposal is not None:
                pending.append(Trial(n, proposal, str(n), n, "pending"))
            if proposal is None or len(pending) > 3:
                trial = finished(pending[0].id, pending.pop(0).proposal)
                if fails(n):
                    trial = replace(trial, status="failed", result=Result(failure="error"), scores=None)
                strategy.tell(trial, seeds.rng_for(0, seeds.TELL, n))


def check_rounds(make: Make, rounds: Rounds = Rounds(2, 10, 4, 1)) -> None:
    """The strategy plays rounds as large as they are said to be, of different networks, or refuses to.

    One that was told the same rows proposes the same, and asking alone changes nothing.
    """
    space, told = ToySpace(), 0
    try:
        strategy, replayed = (InRounds(lambda: make(space), space, rounds) for _ in range(2))
    except BadReference:
        return
    for number in range(1, rounds.number + 1):
        asked: list[Trial] = []
        while (proposal := _asked_twice(strategy, told + len(asked) + 1, asked)) is not None:
            space.check(proposal.genotype)
            n = told + len(asked) + 1
            asked.append(Trial(n, proposal, space.key(proposal.genotype), n, "pending"))
            assert len(asked) <= rounds.size(number), f"round {number} is larger than it is said to be"
        assert len({trial.key for trial in asked}) == rounds.size(number), f"round {number}: not as many networks"
        first = replayed.ask(seeds.rng_for(0, seeds.ASK, told + 1), ())
        assert first == asked[0].proposal, f"round {number} is another one after a replay"
        for trial in asked:
            told += 1
            for each in (strategy, replayed):
                each.tell(finished(trial.id, trial.proposal), seeds.rng_for(0, seeds.TELL, trial.id))
    assert _asked_twice(strategy, told + 1, ()) is None, "all rounds are over"


def _asked_twice(strategy: Strategy, number: int, pending: Sequence[Trial]) -> Proposal | None:
    first, second = (strategy.ask(seeds.rng_for(0, seeds.ASK, number), pending) for _ in range(2))
    assert first == second, f"ask {number} changed the state: learning belongs into tell"
    return first


def check_no_worse_than_random(make: Make, trials: int, seeds_tried: int, first: Played | None = None) -> None:
    """The mean of the best score over fixed seeds is at least random search's, less 0.02; `first`: that of seed 0."""
    histories = [(first or _played(make, trials, 0))[1], *(play(make, trials, s) for s in range(1, seeds_tried))]
    found = [max((t.scores or (0.0,))[0] for t in history) for history in histories if history]
    if not found:
        return
    space = ToySpace()
    draws = [[space.sample(seeds.rng_for(s, seeds.ASK, n)) for n in range(trials)] for s in range(seeds_tried)]
    random = np.mean([max(_fitness(genotype) for genotype in drawn) for drawn in draws])
    assert np.mean(found) >= random - 0.02, f"best score {np.mean(found):.3f} on average, random has {random:.3f}"


def play(make: Make, trials: int, seed: int = 0) -> list[Trial]:
    """A run without failures, one trial at a time."""
    return _played(make, trials, seed)[1]


def _played(make: Make, trials: int, seed: int) -> Played:
    strategy, history = make(ToySpace()), list[Trial]()
    for n in range(1, trials + 1):
        proposal = strategy.ask(seeds.rng_for(seed, seeds.ASK, n), ())
        if proposal is None:
            break
        history.append(finished(n, copy.deepcopy(proposal)))
        strategy.tell(history[-1], seeds.rng_for(seed, seeds.TELL, n))
    return strategy, history


def finished(n: int, proposal: Proposal) -> Trial:
    """A trial that was measured on the toy problem; its id and finish are both `n`."""
    score = _fitness(proposal.genotype)
    result = Result({"valid_accuracy": score})
    return Trial(n, proposal, ToySpace().key(proposal.genotype), n, "done", result, (score,), n)


def _fitness(genotype: tuple[float, ...]) -> float:
    return sum(genotype) / (3.0 * len(genotype))
