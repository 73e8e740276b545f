"""Strategies in rounds, with an evaluator whose scores depend on the whole round and on what it shares in a file."""

import shutil
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pytest

from netwright.controller import Search
from netwright.core import refs, seeds
from netwright.core.errors import BadReference, MissingCapability, NetwrightError
from netwright.core.records import Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.round_plan import Rounds
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.strategies.aging import AgingEvolution
from netwright.strategies.in_rounds import InRounds, ranked
from netwright.strategies.nao import Nao
from netwright.strategies.predictor import Predictor
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToySharedEvaluator, ToySpace, ToyTask

SPACE = ToySpace()
EVALUATOR = ToySharedEvaluator(SPACE, ToyTask())
GROWING = replace(EVALUATOR, keeps="all")
STRATEGIES = {
    "random": partial(RandomSearch, SPACE),
    "aging": partial(AgingEvolution, SPACE),
    "predictor": partial(Predictor, SPACE),
    "nao": partial(Nao, SPACE, epochs=2, top=6, steps=(1, 5, 10)),
}


def searching(make=STRATEGIES["random"], evaluator=EVALUATOR, store=None, folder=None, **options):
    strategy = InRounds(make, SPACE, evaluator.rounds)
    store = MemoryStore() if store is None else store
    return Search(SPACE, strategy, store, Inline(evaluator), folder=folder, **options)


def rows(store):
    return sorted(store.finished(), key=lambda trial: trial.id)


def table(store):
    return [(t.id, t.proposal, t.key, t.seed, t.status, t.finish, t.result.metrics) for t in rows(store)]


def played(*arguments, **options):
    search = searching(*arguments, **options)
    assert search.run() == "exhausted"
    return search.store


def by_round(store):
    found = {}
    for trial in rows(store):
        found.setdefault(trial.proposal.budget, []).append(trial)
    return found


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize("evaluator", [EVALUATOR, GROWING], ids=["best", "all"])
def test_a_round_has_its_size_its_notes_and_every_network_once(name, evaluator):
    found, rounds = by_round(played(STRATEGIES[name], evaluator)), evaluator.rounds
    assert list(found) == [1, 2, 3]
    for number, members in found.items():
        size = rounds.size(number)
        notes = [trial.proposal.notes for trial in members]
        assert [(n["round"], n["place"], n["members"]) for n in notes] == [(number, k, size) for k in range(size)]
        assert len({trial.key for trial in members}) == size
        assert Counter(n["age"] > 0 for n in notes)[True] == rounds.survivors(number)
    assert sum(map(len, found.values())) == rounds.rows()


@pytest.mark.parametrize("evaluator", [EVALUATOR, GROWING], ids=["best", "all"])
def test_those_that_did_best_are_asked_again_and_new_ones_are_new(evaluator):
    found = by_round(played(evaluator=evaluator))
    for number in (2, 3):
        before, members = found[number - 1], found[number]
        best = sorted(before, key=lambda trial: -trial.result.metrics["valid_accuracy"])
        stay = [trial for trial in members if trial.proposal.notes["age"]]
        assert [trial.proposal.genotype for trial in stay] == [
            trial.proposal.genotype for trial in best[: evaluator.rounds.survivors(number)]
        ]
        assert [trial.proposal.parents for trial in stay] == [(trial.id,) for trial in best[: len(stay)]]
        assert members[: len(stay)] == stay, "a search that is stopped within a round has the best known in it"
        known = {trial.key for trial in before}
        assert all((trial.key in known) == (trial.proposal.notes["age"] > 0) for trial in members)
    assert {trial.proposal.notes["age"] for trial in found[3]} == {0, 1, 2}


def test_the_seeds_of_one_network_differ_from_round_to_round_and_the_newest_round_is_judged():
    store = played()
    assert len({trial.seed for trial in rows(store)}) == EVALUATOR.rounds.rows()
    best = store.best("valid_accuracy")
    assert best.proposal.budget == 3


@pytest.mark.parametrize("name", STRATEGIES)
def test_a_table_that_was_cut_anywhere_is_gone_on_with_to_the_same_table(name, tmp_path):
    """Cut after each row that was asked, and after each that finished: what SIGKILL between two rows leaves."""
    make = STRATEGIES[name]
    whole = played(make, folder=tmp_path / "whole")
    asked = rows(whole)
    step = 1 if name in ("random", "aging") else 7
    for cut in range(1, len(asked), step):
        finished = [trial for trial in asked if trial.id < cut]
        in_rounds = [trial.proposal.budget for trial in finished]
        waits = asked[cut - 1].proposal.budget
        # all of a round are asked before one of it finishes: with none of it finished, it may be half asked
        until = cut if waits not in in_rounds else EVALUATOR.rounds.rows(waits)
        store = MemoryStore()
        for trial in asked[:until]:
            store.add(trial.proposal, trial.key, trial.seed)
        for trial in finished:
            store.claim("dead")
            store.finish(trial.id, trial.result)
        begun = len({trial.proposal.budget for trial in finished})
        for number in range(1, begun + 1):  # what was shared until then
            name = f"shared/round-{number:04d}.txt"
            (tmp_path / f"{cut}" / "shared").mkdir(parents=True, exist_ok=True)
            shutil.copy(tmp_path / "whole" / name, tmp_path / f"{cut}" / name)
        search = searching(make, store=store, folder=tmp_path / f"{cut}")
        assert search.run() == "exhausted"
        assert table(store) == table(whole), f"cut at row {cut}"


def test_ctrl_c_in_the_middle_of_asking_leaves_rows_that_are_gone_on_with(tmp_path):
    whole = played(STRATEGIES["aging"])

    @dataclass
    class Interrupting:
        at: int
        asked_rows: int = 0
        search: Any = None

        def asked(self, trial):
            self.asked_rows += 1
            if trial.id == self.at:
                self.search.drain()

        def told(self, trial):
            assert trial.id <= EVALUATOR.pool < self.at, "a round is measured when all of it is asked"

        def tick(self):
            pass

    for at in (5, EVALUATOR.pool + 4):
        watcher, folder = Interrupting(at), tmp_path / str(at)
        search = searching(STRATEGIES["aging"], watchers=(watcher,), folder=folder)
        watcher.search = search
        assert search.run() == "drained"
        assert {trial.status for trial in search.store.unfinished()} == {"pending"}
        assert len(search.store.unfinished()) == (at if at < EVALUATOR.pool else 4)
        search = searching(STRATEGIES["aging"], store=search.store, folder=folder)
        assert search.run() == "exhausted"
        assert table(search.store) == table(whole)


class Counts:
    """Proposes by how many rows wait."""

    def ask(self, rng, pending):
        return Proposal((len(pending) % 4, *SPACE.sample(rng)[1:]))

    def tell(self, trial, rng):
        pass


@pytest.mark.parametrize("make", [STRATEGIES["aging"], Counts], ids=["aging", "counts"])
def test_a_row_that_is_lost_from_a_round_is_asked_again_as_it_was(make):
    rounds, told = EVALUATOR.rounds, []
    reference = InRounds(make, SPACE, rounds)
    proposals = {}
    for number in range(1, rounds.rows(2) + 1):
        pending = [_row(n, p) for n, p in proposals.items() if n > len(told)]
        proposals[number] = reference.ask(seeds.rng_for(0, seeds.ASK, number), pending)
        if number == rounds.pool:
            told = [_row(n, p, score=float(sum(p.genotype))) for n, p in proposals.items()]
            for trial in told:
                reference.tell(trial, seeds.rng_for(0, seeds.TELL, trial.id))
    second = {n: p for n, p in proposals.items() if n > rounds.pool}
    for lost in second:
        finished = [n for n in second if n != lost and n % 2]
        waiting = [_row(n, p) for n, p in second.items() if n != lost and n not in finished]
        again = InRounds(make, SPACE, rounds)
        for trial in (*told, *(_row(n, second[n], score=1.0) for n in finished)):
            again.tell(trial, seeds.rng_for(0, seeds.TELL, trial.id))
        assert again.ask(seeds.rng_for(0, seeds.ASK, lost), waiting) == second[lost]


def _row(number, proposal, score=None):
    scores = None if score is None else (score,)
    return Trial(number, proposal, SPACE.key(proposal.genotype), number, "done" if scores else "running", None, scores)


@dataclass
class FailingEvaluator:
    """Fails all of some rounds but for a few."""

    inner: ToySharedEvaluator
    few: int = 1

    @property
    def rounds(self):
        return self.inner.rounds

    def evaluate(self, trial, context):
        if trial.proposal.notes["place"] >= self.few:
            return Result(failure="diverged", message="NaN")
        return Result({"x": 1.0})


@pytest.mark.parametrize("few", [0, 1])
@pytest.mark.parametrize("name", STRATEGIES)
def test_what_failed_is_not_asked_again_and_new_ones_take_its_place(name, few):
    evaluator = FailingEvaluator(EVALUATOR, few)
    store = MemoryStore()
    search = Search(
        SPACE,
        InRounds(STRATEGIES[name], SPACE, evaluator.rounds),
        store,
        Inline(evaluator),
        limits=Limits(failures_in_a_row=0),
    )
    assert search.run() == "exhausted"
    for number, members in by_round(store).items():
        assert len({trial.key for trial in members}) == evaluator.rounds.size(number)
        assert sum(trial.proposal.notes["age"] > 0 for trial in members) == (few if number > 1 else 0)


@dataclass
class Heard:
    """Notes what it is told and how it is asked."""

    told: list = field(default_factory=list)
    asked: list = field(default_factory=list)

    def ask(self, rng, pending):
        self.asked.append([trial.id for trial in pending])
        return Proposal(SPACE.sample(rng), notes={"own": 7.0})

    def tell(self, trial, rng):
        self.told.append(trial)


def test_a_strategy_is_made_anew_and_told_the_round_before_in_order_of_first_asking():
    made = []

    def make():
        made.append(Heard())
        return made[-1]

    store = played(make)
    found = by_round(store)
    first = {}
    for trial in rows(store):
        first.setdefault(trial.key, trial.id)
    assert [heard.told for heard in made][:1] == [[]] and len(made) == 3
    for number, heard in enumerate(made[1:], 1):
        assert [t.id for t in heard.told] == [t.id for t in sorted(found[number], key=lambda t: first[t.key])]
        assert all(trial.scores for trial in heard.told)
        begins = EVALUATOR.rounds.rows(number) + 1 + EVALUATOR.rounds.survivors(number + 1)
        new = EVALUATOR.new
        assert heard.asked == [list(range(begins, begins + place)) for place in range(new)]
    assert [trial.proposal.notes.get("own") for trial in found[2]] == [None] * 5 + [7.0] * 5 + [None] * 2


def test_aging_has_those_asked_last_as_its_population():
    told = [_row(number, Proposal((number % 4,) * 12), score=1.0) for number in range(1, 9)]
    rng = np.random.default_rng(0)
    assert [m.trial_id for m in AgingEvolution(SPACE, population=3).for_round(told, 4, None, rng)._members] == [6, 7, 8]
    small = AgingEvolution(SPACE, population=100, sample=50, replacement=False).for_round(told, 4, None, rng)
    assert (small.population, small.sample) == (8, 8)
    assert small.ask(rng, ()).parents, "a pool that is smaller than the population evolves all the same"


def test_nao_learns_once_for_each_round_and_goes_on_with_its_controller(monkeypatch):
    from netwright.strategies.nao_rounds import Student

    lessons, learn = [], Student.learn

    def learning(student, lesson, is_stopped):
        lessons.append((student.wanted, lesson))
        return learn(student, lesson, is_stopped)

    monkeypatch.setattr(Student, "learn", learning)
    store = played(STRATEGIES["nao"])
    found = by_round(store)
    assert [(wanted, lesson.number) for wanted, lesson in lessons] == [(5, 1), (5, 2)]
    for number, (_, lesson) in enumerate(lessons, 1):
        assert {member.trial_id for member in lesson.members} == {trial.id for trial in found[number]}
        assert lesson.known == {trial.key for trial in found[number]}
    assert lessons[0][1].before is None and lessons[1][1].before is not None
    assert lessons[1][1].seen == EVALUATOR.rounds.survivors(2)
    new = EVALUATOR.rounds.survivors(2)  # where those of the strategy begin
    assert any("model_learned_pairs" in n or n.get("step") for n in (t.proposal.notes for t in found[2][new : new + 5]))
    notes = found[3][new].proposal.notes
    assert {name for name in notes if name.startswith("model_")}, "the table tells how good it was"
    assert [trial.proposal.notes["round"] for trial in found[3]] == [3.0] * 12


@pytest.mark.parametrize("option", [{"seeds": 5}, {"new": 5}, {"fresh": 5}, {"lag": 0}, {"held_out": 2}])
def test_nao_refuses_what_the_evaluator_says(option):
    [name] = option
    with pytest.raises(BadReference, match=rf"^strategy\.{name} is {option[name]}, and .*leave strategy\.{name} out$"):
        InRounds(partial(Nao, SPACE, **option), SPACE, EVALUATOR.rounds)


PROMOTING = ("asha", "bohb", "listed", "mobster", "panel", "vega_bohb")


@pytest.mark.parametrize("name", sorted(refs.available("strategy")))
def test_strategies_that_name_budgets_or_go_by_a_list_are_refused(name):
    options = {"max_budget": 4} if name in ("asha", "bohb", "mobster", "vega_bohb") else {}
    make = partial(refs.load, "strategy", Reference(name, options), space=SPACE, foretell=None)
    if name in PROMOTING:
        with pytest.raises(BadReference, match=r"^the strategy names budgets or goes by a list.* --strategy nao"):
            InRounds(make, SPACE, EVALUATOR.rounds)
    else:
        with suppress(MissingCapability):  # of what is not installed here
            InRounds(make, SPACE, EVALUATOR.rounds)


def test_a_space_with_too_few_networks_and_rows_of_other_rounds_are_refused():
    space = ToySpace(length=2, options=3)
    small = InRounds(partial(RandomSearch, space), space, EVALUATOR.rounds)
    store = MemoryStore()
    search = Search(space, small, store, Inline(replace(EVALUATOR, space=space)))
    with pytest.raises(BadReference, match=r"round 1 needs 12 different networks, .* than about 9;"):
        search.run()
    strategy = InRounds(STRATEGIES["random"], SPACE, EVALUATOR.rounds)
    with pytest.raises(NetwrightError, match="trial 3 has the budget 2 and round 1 is played"):
        strategy.tell(_row(3, Proposal((0,) * 12, budget=2, notes={"place": 0})), np.random.default_rng(0))


def test_several_objectives_rank_by_layers_of_dominance():
    scores = [(1.0, 1.0), (3.0, 0.0), (0.0, 3.0), (2.0, 2.0), None]
    found = [Trial(n, Proposal((n,)), str(n), 0, "done", None, each) for n, each in enumerate(scores, 1)]
    assert [trial.id for trial in ranked(found)] == [2, 4, 3, 1]
    assert ranked(found[-1:]) == []


@dataclass(frozen=True)
class Counting(ToySpace):
    """Counts how often the key of a genotype is asked for."""

    calls: Any = field(default_factory=Counter, compare=False)

    def key(self, genotype):
        self.calls["key"] += 1
        return super().key(genotype)


@dataclass
class CountingStore:
    """Counts what is asked of a table."""

    inner: Any
    calls: Any

    def __getattr__(self, name):
        self.calls[name] += 1
        return getattr(self.inner, name)


def test_calls_grow_with_the_rows_and_not_with_their_square():
    counts = {}
    for pool in (50, 200):
        space = Counting(length=20)
        rounds = Rounds(2, pool, pool // 2, pool // 10)
        evaluator = ToySharedEvaluator(space, ToyTask(), rounds_played=2, pool=pool, new=pool // 2, fresh=pool // 10)
        strategy = InRounds(partial(AgingEvolution, space), space, rounds)
        asks, ask = Counter(), strategy.ask
        strategy.ask = lambda rng, pending, asks=asks, ask=ask: (asks.update(["ask"]), ask(rng, pending))[1]
        store = CountingStore(MemoryStore(), Counter())
        Search(space, strategy, store, Inline(evaluator)).run()
        counts[pool] = {**space.calls, **asks, **store.calls}
    for name, count in counts[200].items():
        assert count <= 4.6 * counts[50][name], f"{name}: {counts[50][name]} and {count}"
    assert counts[200]["unfinished"] <= 10, "the rows of a round are read once"
