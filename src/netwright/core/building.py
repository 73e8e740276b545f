"""The objects that a run file stands for, and the run as it is written down: with nothing left to choose."""

from __future__ import annotations

import os
from bisect import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from netwright.core import directions, refs, settings, whereabouts
from netwright.core.constraints import constrain
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.latency import LATENCY, EstimatesLatency, LatencySettings
from netwright.core.objectives import Objective
from netwright.core.protocols import (
    Evaluator,
    Executor,
    Foretells,
    LimitsWorkers,
    ListsMetrics,
    OffersMetrics,
    PlaysRounds,
    SearchSpace,
    StatesIO,
    StatesMeasures,
    Strategy,
    Task,
    Tunes,
    check_accepts,
)
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.round_plan import Rounds
from netwright.core.run_file import RunFile, override
from netwright.core.settings import Tuned

IN_ROUNDS = Reference("netwright.strategies.in_rounds:InRounds")


@dataclass(frozen=True)
class Parts:
    """The objects of a run, wired together.

    Args:
        space: The space, with its constraints.
        strategy: The strategy, in rounds where the evaluator plays rounds.
        task: The task.
        evaluator: The evaluator, with the space as it is without constraints.
        executor: The executor.
        io: What goes into the networks and comes out: as the evaluator states it, else the task's.
        measures: What a trial is known to measure, the main measure first.
        latency: Estimates `latency_ms` of every proposal; None: the run does not ask for it.
    """

    space: SearchSpace
    strategy: Strategy
    task: Task
    evaluator: Evaluator
    executor: Executor
    io: IO
    measures: tuple[Objective, ...] = ()
    latency: EstimatesLatency | None = None


def load_space(reference: Reference) -> SearchSpace:
    """The space of a reference; its option `with` adds settings of training to its genes.

    Raises:
        BadReference: No such space, or options that it does not take.
    """
    options = {name: value for name, value in reference.options.items() if name != "with"}
    space: SearchSpace = refs.load("space", Reference(reference.name, options))
    return Tuned(space, settings.of_tables(reference.options["with"])) if "with" in reference.options else space


def load_task(reference: Reference) -> Task:
    """The task of a reference. Raises BadReference, which names the option to give where its data is gone."""
    try:
        task: Task = refs.load("task", reference)
        return task
    except BadReference as error:
        for name in whereabouts.of(reference):
            place = reference.options.get(name)
            if isinstance(place, str) and place in str(error) and not os.path.exists(os.path.expanduser(place)):
                raise BadReference(f"{error}; where it has moved, give its new place with --task.{name}") from None
        raise


def build_space(run: RunFile, task: Task, latency: EstimatesLatency | None = None) -> SearchSpace:
    """The run's space, wrapped in its constraints if there are any.

    Args:
        run: The run.
        task: Its task.
        latency: Estimates `latency_ms`; None: the constraints do not name it.

    Raises:
        BadReference: There is no such space, or it has no networks for what the task gives.
        BadRunFile: A constraint cannot be read, or is on the latency and nothing estimates that.
    """
    space = _space(run, task)
    return constrain(space, task.io, run.constraints, latency) if run.constraints else space


def build_evaluator(run: RunFile) -> Evaluator:
    """The evaluator of a run: all of it that a worker needs."""
    task = build_task(run)
    return _evaluator(run, _space(run, task), task)


def build_task(run: RunFile) -> Task:
    """The task of a run, which measures what its objectives and metrics name. Raises BadReference."""
    return _measuring(load_task(run.task), run)


def build(run: RunFile, estimating: Callable[[SearchSpace, IO], EstimatesLatency] | None = None) -> Parts:
    """Every object of a run.

    Args:
        run: The run.
        estimating: Makes what estimates the latency, for a space without constraints; called where the run asks for
            the latency. None: it is refused as a constraint.

    Raises:
        BadReference, BadRunFile: It cannot be used; before anything is started.
    """
    run, task = tuned(run), build_task(run)
    plain = _space(run, task)
    evaluator = _evaluator(run, plain, task)
    io = (evaluator.io if isinstance(evaluator, StatesIO) else None) or task.io
    latency = estimating(plain, io) if estimating is not None and run.names_latency else None
    space = constrain(plain, io, run.constraints, latency)
    measures = _measures(evaluator, task)
    objectives = resolved(run, measures).objectives
    given = {} if objectives is None else {"objectives": objectives}  # else the strategy's own default holds
    foretell = evaluator.foretell if isinstance(evaluator, Foretells) else None
    strategy = _strategy(run, evaluator, {"space": space, "foretell": foretell, **given})
    reported = evaluator.metrics if isinstance(evaluator, ListsMetrics) else ()
    reported = (*reported, LATENCY) if reported else ()  # which the controller adds to what any evaluator reports
    if run.objectives is not None:
        directions.check(run.objectives, measures, reported)
    directions.check_beside(run.metrics or (), objectives or (), reported)
    executor = refs.load("executor", _limited(run, evaluator).executor, evaluator=evaluator)
    _check_workers(evaluator, executor.workers)
    return Parts(space, strategy, task, evaluator, executor, io, measures, latency)


def measures_of(run: RunFile) -> tuple[Objective, ...]:
    """What a trial of the run is known to measure, the main measure first; empty where its evaluator does not say."""
    task = build_task(run)
    space = load_space(tuned(run).space)
    return _measures(refs.load("evaluator", run.evaluator, space=space, task=task), task)


def tuned(run: RunFile) -> RunFile:
    """The run with the settings of training among its space's genes, if there are any, spelled out.

    Raises:
        BadReference: A setting that the evaluator and the task do not offer.
    """
    given = run.space.options.get("with")
    if given is None:
        return run
    plain = Reference(run.space.name, {name: value for name, value in run.space.options.items() if name != "with"})
    evaluator = build_evaluator(replace(run, space=plain))
    tables = settings.resolved(given, evaluator.tunable if isinstance(evaluator, Tunes) else {})
    for setting in settings.of_tables(tables):
        for value in setting.options or (setting.low, setting.high):
            assert isinstance(evaluator, Tunes), "what offers nothing has no settings to try"
            evaluator.tuned({setting.name: value})  # refuses what would fail the trials that draw it
    return override(run, "space", {"with": tables})


def resolved(run: RunFile, measures: Sequence[Objective], evaluator: Evaluator | None = None) -> RunFile:
    """The run as it is written down when it begins: with nothing left for its readers to choose.

    A run that names no objective gets the first of the measures, if there are any; settings among its space's genes are
    spelled out. What the evaluator says of rounds and workers, where it is given, takes the place of what the run
    leaves open: it has all rounds, and no more workers than there may be.
    """
    run = tuned(run)
    if evaluator is not None:
        run = _limited(run, evaluator)
    if isinstance(evaluator, PlaysRounds) and run.limits.trials is None:
        run = replace(run, limits=replace(run.limits, trials=evaluator.rounds.rows()))
    if run.names_latency and run.latency is None:
        run = replace(run, latency=LatencySettings())
    return replace(run, objectives=(str(measures[0]),)) if run.objectives is None and measures else run


def _space(run: RunFile, task: Task) -> SearchSpace:
    space = load_space(run.space)
    try:
        check_accepts(space, task.io)
    except BadReference as error:
        fitting = next(_spaces_for(task.io), None)
        raise BadReference(f"{error}, such as --space {fitting}" if fitting else str(error)) from None
    return space


def _spaces_for(io: IO) -> Iterator[str]:
    """The package's spaces that say that they have networks for such inputs, the default one first."""
    known = refs.available("space")
    for name in sorted(known, key=lambda name: name != RunFile().space.name):
        accepts = getattr(refs.locate("space", name), "accepts", ())
        if isinstance(accepts, tuple) and type(io.input) in accepts:
            yield name


def _evaluator(run: RunFile, space: SearchSpace, task: Task) -> Any:
    return _measuring(refs.load("evaluator", run.evaluator, space=space, task=task), run)


def _strategy(run: RunFile, evaluator: Evaluator, given: Mapping[str, Any]) -> Strategy:
    """The strategy; in rounds, where the evaluator plays rounds."""
    make = partial(refs.load, "strategy", run.strategy, **given)
    if not isinstance(evaluator, PlaysRounds):
        made: Strategy = make()
        return made
    _check_rounds(evaluator.rounds, run.limits.trials)
    wired = {"make": make, "space": given["space"], "rounds": evaluator.rounds, "name": run.strategy.name}
    in_rounds: Strategy = refs.load("strategy", IN_ROUNDS, **wired)
    return in_rounds


def _check_rounds(rounds: Rounds, trials: int | None) -> None:
    """Raise BadRunFile for a limit of trials that ends within a round."""
    ends = [rounds.rows(number) for number in range(1, rounds.number + 1)]
    if trials is None or trials in ends or trials > ends[-1]:
        return
    place = bisect(ends, trials)
    fitting = " or ".join(map(str, ends[max(0, place - 1) : place + 1]))
    raise BadRunFile(
        f"limits.trials is {trials}, which ends within a round, whose scores could not be compared; give {fitting}, or "
        f"leave it out for all {ends[-1]} trials of {rounds.number} rounds"
    )


def _limited(run: RunFile, evaluator: Evaluator) -> RunFile:
    """The run with no more workers than its evaluator allows, where it leaves open how many."""
    if not isinstance(evaluator, LimitsWorkers) or "workers" in run.executor.options:
        return run
    option = refs.options_of(refs.locate("executor", run.executor.name)).get("workers")
    usual = option.default if option is not None else None
    if not isinstance(usual, int) or usual <= evaluator.max_workers:
        return run
    return override(run, "executor", {"workers": evaluator.max_workers})


def _check_workers(evaluator: Evaluator, workers: int) -> None:
    """Raise BadRunFile for more workers than the evaluator allows."""
    if isinstance(evaluator, LimitsWorkers) and workers > evaluator.max_workers:
        raise BadRunFile(
            f"executor.workers is {workers}, and no more than {evaluator.max_workers} may work with what the trials of "
            f"this evaluator share; give --executor.workers {evaluator.max_workers}, or leave it out"
        )


def _measuring(found: Any, run: RunFile) -> Any:
    """A task or an evaluator that also measures what the objectives and metrics of a run name, if it offers that."""
    wanted = (*(run.objectives or ()), *(run.metrics or ()))
    if not wanted or not isinstance(found, OffersMetrics):
        return found
    offered = [each.name for each in found.offered]
    named = dict.fromkeys(Objective.read(text).bare for text in wanted)
    chosen = [name for name in named if name in offered]
    return found.measuring(chosen) if chosen else found


def _measures(evaluator: Evaluator, task: Task) -> tuple[Objective, ...]:
    """What an evaluator says that it measures, else what its task does, on the validation data."""
    stated = evaluator.measures if isinstance(evaluator, StatesMeasures) else ()
    if stated or not isinstance(task, StatesMeasures):
        return stated
    return tuple(measure.on("valid") for measure in task.measures)
