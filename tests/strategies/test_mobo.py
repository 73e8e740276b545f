import importlib.util
from dataclasses import dataclass

import numpy as np
import pytest
import torch

from netwright.cli import main as cli
from netwright.controller import Search
from netwright.core import front, genes, seeds
from netwright.core.errors import BadReference, MissingCapability
from netwright.core.genes import Choice, Integer, Real
from netwright.core.records import Proposal, Result, Trial
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.strategies import mobo
from netwright.strategies.mobo import BEST, Mobo
from netwright.strategies.random import RandomSearch
from netwright.surrogates import matern
from netwright.testing.strategies import check_failures, check_pure, check_replay, check_strategy
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask
from tests.verified import VERIFIED

NEEDS_BOTORCH = pytest.mark.skipif(importlib.util.find_spec("botorch") is None, reason="BoTorch is not installed")


@dataclass(frozen=True)
class Mixed(ToySpace):
    """Genes of every sort."""

    @property
    def genes(self):
        return (Real("x", 0.0, 1.0), Integer("n", 1, 20), Choice("c", ("a", "b", "c")), Real("y", -1.0, 1.0))

    def key(self, genotype):
        return genes.digest(genes.to_json(genotype))


def scored(genotype):
    """Two objectives that contradict each other along x, and are both hurt by the other genes."""
    x, n, c, y = genotype
    lost = (n - 7) ** 2 / 100 + 0.3 * c + y**2
    return -(x**2) - lost, -((1 - x) ** 2) - lost


def _row(n, genotype, scores):
    key = Mixed().key(genotype)
    done = Result({"valid_accuracy": 0.5}) if scores else Result(failure="error")
    return Trial(n, Proposal(genotype), key, n, "done" if scores else "failed", done, scores, n)


def _told(count, score=scored, **options):
    strategy, space = Mobo(Mixed(), **options), Mixed()
    for n in range(1, count + 1):
        genotype = space.sample(np.random.default_rng(n))
        strategy.tell(_row(n, genotype, score(genotype)), seeds.rng_for(0, seeds.TELL, n))
    return strategy


def _ask(strategy, pending=(), seed=0):
    return strategy.ask(seeds.rng_for(seed, seeds.ASK, 99), pending)


def _volume(make, trials, seed):
    strategy, found = make(Mixed()), []
    for n in range(1, trials + 1):
        genotype = strategy.ask(seeds.rng_for(seed, seeds.ASK, n), ()).genotype
        found.append(scored(genotype))
        strategy.tell(_row(n, genotype, found[-1]), seeds.rng_for(seed, seeds.TELL, n))
    return front.hypervolume(np.array(found), np.array([-1.5, -1.5]))


def test_without_botorch_a_sentence_names_the_extra_and_what_works_without(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingCapability, match=r'pip install "netwright\[mobo\]", or give --strategy nsga2'):
        Mobo(ToySpace())


@pytest.mark.skipif(importlib.util.find_spec("botorch") is not None, reason="BoTorch is installed")
def test_the_command_ends_with_that_sentence(tmp_path, capsys):
    arguments = ["search", "--space", "hnag", "--task", "digits", "--strategy", "mobo", "--trials", "1"]
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments, "--out", str(tmp_path / "run")])
    assert ended.value.code == 2
    assert "nsga2" in capsys.readouterr().err


@NEEDS_BOTORCH
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objectives": ()}, "mobo models at least one objective, the run has none"),
        ({"initial": 1}, "strategy.initial is 1; it must be at least 2"),
    ],
)
def test_options_that_cannot_be_are_refused(options, message):
    with pytest.raises(BadReference, match=message):
        Mobo(ToySpace(), **options)


@NEEDS_BOTORCH
@pytest.mark.parametrize("check", [check_pure, check_replay, check_failures])
def test_keeps_the_contracts(check):
    check(lambda space: Mobo(space, initial=4), 8)


@NEEDS_BOTORCH
@VERIFIED
def test_keeps_the_contracts_at_length():
    check_strategy(Mobo, trials=40, seeds_tried=5)


@NEEDS_BOTORCH
def test_draws_are_addressed_by_the_given_generator_alone_whatever_the_threads():
    strategy = _told(20)
    threads = torch.get_num_threads()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = _ask(strategy)
    assert torch.equal(torch.get_rng_state(), before) and torch.get_num_threads() == threads
    torch.manual_seed(2)
    torch.set_num_threads(threads + 3)
    try:
        assert _ask(_told(20)) == first
        assert torch.get_num_threads() == threads + 3
    finally:
        torch.set_num_threads(threads)
    assert _ask(strategy, seed=1) != first
    from botorch.acquisition.multi_objective import logei

    assert logei._C is None, "a kernel was compiled, so that results would differ between machines"


@NEEDS_BOTORCH
@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_any_number_of_objectives(objectives):
    strategy = _told(12, lambda genotype: (*scored(genotype), float(genotype[1]))[:objectives])
    space = Mixed()
    space.check(_ask(strategy).genotype)


@NEEDS_BOTORCH
def test_a_pending_proposal_is_not_proposed_nearby():
    strategy = _told(25)
    first = _ask(strategy)
    pending = [Trial(99, first, Mixed().key(first.genotype), 1, "pending")]
    second = _ask(strategy, pending)
    assert abs(second.genotype[0] - first.genotype[0]) > 0.02, "on another part of the front"


@NEEDS_BOTORCH
def test_failures_constants_and_long_histories_are_taken():
    assert _ask(_told(12, lambda genotype: None if genotype[2] else scored(genotype))) is not None
    assert _ask(_told(12, lambda genotype: (1.0, genotype[0]))) is not None, "all are equal in one objective"
    strategy = _told(400)
    assert len(strategy._positions) == BEST and len(strategy._seen()) <= 300
    assert _ask(strategy) is not None


def costly(genotype):
    """Cheap where n is even, which no model could know."""
    return {"cost": 1.0 + 0.1 * genotype[0] if genotype[1] % 2 == 0 else 9.0}


def _of_known(genotype):
    return scored(genotype)[1], -costly(genotype)["cost"]


GOALS = ("valid_accuracy", "-cost")


@NEEDS_BOTORCH
@pytest.mark.parametrize("pending", [0, 2])
def test_what_is_known_of_an_objective_is_no_more_to_be_found_out(pending):
    strategy = _told(15, _of_known, objectives=GOALS, foretell=costly)
    running = [Trial(90 + n, Proposal((0.1 * n, 4, 0, 0.0)), str(n), n, "pending") for n in range(pending)]
    assert all(_ask(strategy, running, seed).genotype[1] % 2 == 0 for seed in range(3))
    fresh = _told(15, _of_known, objectives=GOALS, foretell=costly)
    assert _ask(fresh, running) == _ask(strategy, running), "the same after a replay"


@NEEDS_BOTORCH
def test_an_objective_is_known_where_an_evaluator_foretells_it():
    assert _told(12, _of_known, objectives=GOALS, foretell=costly)._known_objective() == 1
    assert _told(12, _of_known, objectives=GOALS)._known_objective() is None
    assert _told(12, _of_known, objectives=GOALS, foretell=lambda _: {})._known_objective() is None
    failing = _told(12, lambda g: None if g[2] else _of_known(g), objectives=GOALS, foretell=costly)
    assert failing._known_objective() == 1 and _ask(failing) is not None


@NEEDS_BOTORCH
def test_the_level_of_the_cost_has_the_range_of_what_the_parameters_are_learned_from():
    def growing(genotype):
        return {"cost": float(genotype[1])}

    strategy = _told(41, objectives=GOALS, foretell=growing)
    strategy._told[39:] = [(scores, (0.5, 1000, 0, 0.0)) for scores, _ in strategy._told[39:]]
    encoder = strategy._encoder(1)
    assert strategy._lesson() == 39
    costs = [genotype[1] for _, genotype in strategy._told[:39]]
    assert (encoder.low, encoder.high) == pytest.approx(np.log1p([min(costs), max(costs)]))


@NEEDS_BOTORCH
def test_of_three_objectives_volumes_are_measured_from_behind_the_front(monkeypatch):
    given, made = [], mobo.FrontImprovement

    def noted(processes, reference, *rest):
        given.append(reference)
        return made(processes, reference, *rest)

    monkeypatch.setattr(mobo, "FrontImprovement", noted)
    strategy = _told(14, lambda genotype: (*scored(genotype), float(genotype[1])))
    _ask(strategy)
    targets = strategy._targets(strategy._seen())
    ends = targets[front.nondominated(targets)]
    assert len(ends) > 2
    assert given[0] == pytest.approx(ends.min(0) - 0.1 * np.ptp(ends, axis=0))
    assert (given[0] > targets.min(0)).any(), "what lies behind the whole front counts for nothing"


@NEEDS_BOTORCH
def test_a_run_that_is_resumed_learns_the_last_parameters_alone(monkeypatch):
    learned, learn, store = [], matern.learn, MemoryStore()
    monkeypatch.setattr(matern, "learn", lambda genes, x, y: learned.append(len(x)) or learn(genes, x, y))
    evaluator = Inline(ToyEvaluator(ToySpace(), ToyTask()))
    Search(ToySpace(), RandomSearch(ToySpace()), store, evaluator, limits=Limits(trials=30)).run()
    Search(ToySpace(), Mobo(ToySpace()), store, evaluator, limits=Limits(trials=31)).run()
    assert len(learned) == 1, learned


@NEEDS_BOTORCH
@VERIFIED
def test_it_covers_more_than_random_search():
    gains = []
    for seed in range(2):
        found = _volume(lambda space: Mobo(space, initial=8), 20, seed)
        gains.append(found - _volume(lambda space: Mobo(space, initial=1000), 20, seed))
    assert min(gains) > 0.05, gains
