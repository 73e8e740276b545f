from dataclasses import dataclass, replace
from typing import Any

import pytest

from netwright.core import building, refs
from netwright.core.constraints import Constrained
from netwright.core.errors import BadReference, BadRunFile
from netwright.core.latency import LatencySettings
from netwright.core.protocols import check_accepts
from netwright.core.records import IO
from netwright.core.refs import Reference
from netwright.core.round_plan import Rounds
from netwright.core.run_file import Limits, RunFile
from netwright.core.shapes import Classes, Sequence, Tokens, Vector
from netwright.strategies.in_rounds import InRounds
from netwright.strategies.random import RandomSearch
from netwright.strategies.tournament import Tournament
from netwright.testing.toys import ToyEvaluator, ToySpace

TOYS = "netwright.testing.toys"
RUN = RunFile(
    space=Reference(f"{TOYS}:ToySpace", {"length": 5}),
    strategy=Reference("tournament", {"initial": 3}),
    task=Reference(f"{TOYS}:ToyTask"),
    evaluator=Reference(f"{TOYS}:ToyEvaluator", {"noise": 0.0}),
    executor=Reference("inline"),
    objectives=("-params",),
)


def test_builds_and_wires_every_object():
    parts = building.build(RUN)
    assert parts.strategy.space is parts.space
    assert parts.strategy.objectives == ("-params",)
    assert parts.evaluator.task is parts.task
    assert (parts.space.length, parts.strategy.initial, parts.evaluator.noise) == (5, 3, 0.0)
    assert building.build_evaluator(RUN) == parts.evaluator


@dataclass
class Foreseeing(RandomSearch):
    """Keeps what tells it of networks before they are evaluated."""

    foretell: Any = None


@dataclass(frozen=True)
class Telling(ToyEvaluator):
    """Knows the size before."""

    def foretell(self, genotype):
        return {"params": float(sum(genotype))}


def test_a_strategy_may_learn_what_is_known_of_networks_before_they_are_evaluated():
    run = replace(RUN, strategy=Reference(f"{__name__}:Foreseeing"))
    assert building.build(run).strategy.foretell is None, "the toy evaluator knows nothing"
    telling = replace(run, evaluator=Reference(f"{__name__}:Telling"))
    assert building.build(telling).strategy.foretell((1, 2, 0, 0, 1)) == {"params": 4.0}
    building.build(replace(telling, strategy=RUN.strategy))  # others are not told


def test_constraints_wrap_the_space_and_are_checked():
    run = RunFile(**{**vars(RUN), "constraints": ("params <= 7",)})
    assert isinstance(building.build(run).strategy.space, Constrained)
    with pytest.raises(BadRunFile, match="constraint 'size < 3' cannot be read"):
        building.build(RunFile(**{**vars(RUN), "constraints": ("size < 3",)}))


class VectorSpace(ToySpace):
    accepts = (Vector, Sequence)


@pytest.mark.parametrize("constraints", [(), ("params <= 7",)])
def test_a_space_that_has_no_networks_for_the_task_is_refused(constraints):
    """Before a strategy or an executor is made; in a worker, too."""
    run = RunFile(**{**vars(RUN), "space": Reference(f"{__name__}:VectorSpace"), "constraints": constraints})
    says = (
        "the space builds networks for vectors or sequences, but images of 1 x 1 x 1 go in; give a task of vectors or "
        "sequences, or a space for images, such as --space macro"
    )
    for build in (building.build, building.build_evaluator):
        with pytest.raises(BadReference) as raised:
            build(run)
        assert str(raised.value) == says


def test_what_a_space_accepts_is_read_within_a_wrapper():
    check_accepts(Constrained(VectorSpace(), IO(Vector(3), Classes(2)), ()), IO(Vector(3), Classes(2)))
    check_accepts(ToySpace(), IO(Vector(3), Classes(2)))  # which says nothing
    with pytest.raises(BadReference, match=r"but 5 tokens of a vocabulary of 9 go in; .* a space for tokens"):
        check_accepts(Constrained(VectorSpace(), IO(3, 8, 8, 2), ()), IO(Tokens(9, 5), Classes(2)))


def test_of_what_the_latency_is_is_written_down_where_a_run_asks_for_it():
    for asking in ({"constraints": ("latency_ms <= 5",)}, {"objectives": ("valid_accuracy", "-latency_ms")}):
        assert building.resolved(RunFile(**asking), ()).latency == LatencySettings()
    own = RunFile(constraints=("latency_ms <= 5",), latency=LatencySettings(batch=8))
    assert building.resolved(own, ()).latency == LatencySettings(batch=8)
    assert building.resolved(RunFile(constraints=("params <= 5",)), ()).latency is None


def test_a_bound_on_the_latency_is_refused_where_nothing_estimates_it():
    with pytest.raises(BadRunFile, match="latency_ms cannot be a constraint here"):
        building.build(RunFile(constraints=("latency_ms <= 5",)))


SHARED = replace(
    RUN,
    strategy=Reference("aging"),
    evaluator=Reference(f"{TOYS}:ToySharedEvaluator", {"pool": 6, "new": 2, "fresh": 1}),
    objectives=None,
)


def test_a_strategy_is_in_rounds_where_the_evaluator_plays_them():
    parts = building.build(replace(SHARED, strategy=Reference("aging", {"sample": 3})))
    assert isinstance(parts.strategy, InRounds)
    assert parts.strategy.rounds == Rounds(3, 6, 2, 1)
    made = parts.strategy.make()
    assert (made.sample, made.space, made.objectives) == (3, parts.space, ("valid_accuracy",))
    assert isinstance(building.build(RUN).strategy, Tournament)


@pytest.mark.parametrize(
    ("strategy", "message"),
    [
        ("bohb(max_budget=4)", r"^bohb names budgets or goes by a list, and the evaluator measures in rounds"),
        ("listed", r"^listed names budgets or goes by a list"),
        ("nao(seeds=5)", r"^strategy\.seeds is 5, and the evaluator measures in rounds"),
        ("aging(population=0)", r"^strategy\.population is 0; it must be at least 1"),
    ],
)
def test_strategies_that_make_no_rounds_are_refused_where_they_are_built(strategy, message):
    with pytest.raises(BadReference, match=message):
        building.build(replace(SHARED, strategy=refs.parse(strategy)))


def test_a_search_ends_with_a_round():
    for trials, fits in ((3, "6"), (7, "6 or 12"), (13, "12 or 18")):
        with pytest.raises(BadRunFile, match=rf"^limits.trials is {trials}, which ends within .*; give {fits}, or"):
            building.build(replace(SHARED, limits=Limits(trials=trials)))
    for trials in (6, 12, 18, 50):
        building.build(replace(SHARED, limits=Limits(trials=trials)))
    parts = building.build(SHARED)
    assert building.resolved(SHARED, (), parts.evaluator).limits.trials == 18, "all rounds, where nobody says how many"
    short = replace(SHARED, limits=Limits(trials=12))
    assert building.resolved(short, (), parts.evaluator).limits.trials == 12
    growing = replace(SHARED, evaluator=Reference(SHARED.evaluator.name, {**SHARED.evaluator.options, "keeps": "all"}))
    assert building.resolved(growing, (), building.build(growing).evaluator).limits.trials == 6 + 9 + 12


def test_an_evaluator_may_allow_one_worker():
    processes = replace(SHARED, executor=Reference("processes"))
    parts = building.build(processes)
    assert parts.executor.workers == 1
    assert building.resolved(processes, (), parts.evaluator).workers == 1, "threads are shared out among as many"
    assert building.resolved(SHARED, (), parts.evaluator).executor == Reference("inline"), "it has one in any case"
    with pytest.raises(BadRunFile, match=r"^executor\.workers is 2, and no more than 1 may work .*, or leave it out$"):
        building.build(replace(processes, executor=Reference("processes", {"workers": 2})))
    assert building.build(replace(RUN, executor=Reference("processes", {"workers": 2}))).executor.workers == 2
