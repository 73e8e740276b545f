"""What is refused or said before anything is written or started, such as options with which every trial would fail."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from netwright.core import room, seeds
from netwright.core.building import Parts
from netwright.core.errors import BadRunFile, InvalidGenotype, NetwrightError
from netwright.core.latency import LATENCY
from netwright.core.protocols import (
    ChecksSettings,
    EstimatesMemory,
    Evaluator,
    Executor,
    HasRemarks,
    IsBounded,
    KeepsTime,
    NamesBudgets,
    SearchSpace,
    StatesSeconds,
    Strategy,
    TrainsToBudgets,
    UsesCards,
    WorksElsewhere,
    of_any_seed,
)
from netwright.core.records import Genotype
from netwright.core.run_file import Limits, RunFile

SAMPLES = 10

T = TypeVar("T")


def samples(space: SearchSpace, seed: int) -> list[Genotype]:
    """A few networks of a search to come: of SAMPLES that are drawn, those that the space admits."""
    drawn = (space.sample(seeds.rng_for(seed, seeds.ASK, n)) for n in range(1, SAMPLES + 1))
    return [genotype for genotype in drawn if _is_network(space, genotype)]


def of_those_that_fit(genotypes: Sequence[Genotype], use: Callable[[Genotype], T]) -> list[T]:
    """What `use` gives for each genotype; those that it refuses are left out, since a search would draw others.

    Whether a network fits can depend on the shape of its input, which `samples` does not know.

    Raises:
        InvalidGenotype: The first one, where all are refused.
    """
    found: list[T] = []
    refusal: InvalidGenotype | None = None
    for genotype in genotypes:
        try:
            found.append(use(genotype))
        except InvalidGenotype as error:
            refusal = refusal or error
    if refusal and not found:
        raise refusal
    return found


def _is_network(space: SearchSpace, genotype: Genotype) -> bool:
    try:
        of_any_seed(space, lambda each: each.check(genotype))
    except InvalidGenotype:
        return False
    return True


def check(
    evaluator: Evaluator,
    genotypes: Sequence[Genotype],
    strategy: Strategy | None = None,
    *,
    data_is_ready: bool = False,
) -> None:
    """Raise NetwrightError where the evaluator refuses all genotypes; where it refuses some, only their trials fail.

    Args:
        evaluator: The evaluator; one that does not check settings beforehand refuses nothing.
        genotypes: What is to be evaluated, or samples of it.
        strategy: The strategy, which may name budgets; None: no budgets are named.
        data_is_ready: Whether the task is prepared.
    """
    if not isinstance(evaluator, ChecksSettings):
        return
    budget = strategy.largest_budget if isinstance(strategy, NamesBudgets) else None
    refusal: NetwrightError | None = None
    for genotype in genotypes:
        try:
            evaluator.check_settings(genotype, budget=budget, data_is_ready=data_is_ready)
        except NetwrightError as error:
            refusal = refusal or error
        else:
            return
    if refusal:
        raise refusal


def promotions(evaluator: Evaluator, strategy: Strategy) -> str:
    """A sentence where promotions will train anew, with how to make them continue; "" where they continue."""
    if not (isinstance(strategy, NamesBudgets) and isinstance(evaluator, TrainsToBudgets)):
        return ""
    return evaluator.advice(strategy.largest_budget)


def remarks(evaluator: Evaluator) -> Sequence[str]:
    """Sentences about how the evaluator works here, to be said before it does."""
    return evaluator.remarks() if isinstance(evaluator, HasRemarks) else ()


def unused_latency(run: RunFile) -> str:
    """A sentence where settings of the latency are given and nothing asks for it; "" where they are used, or none."""
    if run.latency is None or run.names_latency:
        return ""
    return (
        f"the settings of the latency ({run.latency}) are not used: no objective, metric or constraint names "
        f"{LATENCY.name}; give --constraint '{LATENCY.name} <= 5', or leave them out"
    )


def bounded(executor: Executor, left: int | None) -> tuple[Executor, str]:
    """The executor with no more workers than there are trials left, and a sentence where these are fewer; else "".

    Args:
        executor: The executor; one that is not bounded stays as it is.
        left: Trials that are still to finish; None: as many as the time allows.

    Raises:
        WorkerError: The machine's memory does not hold the workers, or what would run them is not there.
    """
    if not isinstance(executor, IsBounded):
        return executor, ""
    fewer = executor.bounded(left)
    if fewer.workers == executor.workers:
        return fewer, ""
    trials = f"{left} trial{'s' if left != 1 else ''}"
    started = f"{fewer.workers} {'are' if fewer.workers > 1 else 'is'} started"
    return fewer, f"{executor.workers} workers for {trials} left: {started}"


def memory_estimate(parts: Parts, genotypes: Sequence[Genotype]) -> str:
    """A sentence on how much memory the workers take, about; "" where the evaluator cannot tell, or trains on cards,
    or the workers are on other machines.

    Raises:
        InvalidGenotype: None of the genotypes fits; where some fit, the others are left out.
    """
    is_on_cards = isinstance(parts.evaluator, UsesCards) and bool(parts.evaluator.cards(0))
    is_here = not (is_on_cards or isinstance(parts.executor, WorksElsewhere))
    if not is_here or not isinstance(parts.evaluator, EstimatesMemory):
        return ""  # of cards, `sharing` says more
    estimates = of_those_that_fit(genotypes, parts.evaluator.memory_mb)
    known = [estimate for estimate in estimates if estimate is not None]
    if not known:
        return ""
    largest, workers = max(known) / 1000, parts.executor.workers
    free = room.free_mb() / 1000
    text = f"memory: up to about {largest:.1f} GB a worker, {workers} at a time; {free:.1f} GB are free"
    if largest * workers <= free:
        return text
    return f"{text}: give fewer --workers, a smaller --evaluator.batch or --space.channels"


def check_end(limits: Limits, parts: Parts) -> None:
    """Raise BadRunFile for a search that would never end."""
    if limits.trials is not None or limits.hours is not None:
        return
    if limits.table_seconds is None:
        raise BadRunFile("the search has no end; give --trials or --hours")
    states = not isinstance(parts.evaluator, StatesSeconds) or parts.evaluator.states_seconds
    if not states and not isinstance(parts.executor, KeepsTime):  # evaluations take no time that could be used up
        raise BadRunFile(
            f"limits.table_seconds is {limits.table_seconds:g}, but the table has no column of seconds to add up; give "
            "--trials, or a table with costs, as `netwright import` makes"
        )
