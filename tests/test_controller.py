"""The controller, stepped by hand with the inline executor."""

import time
from dataclasses import dataclass, field, replace
from types import SimpleNamespace
from typing import ClassVar

import pytest

from netwright import controller
from netwright.controller import Search
from netwright.core import seeds
from netwright.core.constraints import constrain
from netwright.core.errors import BadRunFile, InvalidGenotype, WorkerError
from netwright.core.protocols import of_seed
from netwright.core.records import IO, Proposal, Result
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.executors.simulated import Simulated
from netwright.spaces.hnag import HnagSpace
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.listed import Listed
from netwright.strategies.random import RandomSearch
from netwright.strategies.tournament import Tournament
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask

SPACE = ToySpace()


def searching(store=None, strategy=None, evaluator=None, space=SPACE, **options):
    evaluator = evaluator or ToyEvaluator(space, ToyTask())
    strategy = strategy or Tournament(space, initial=10)
    return Search(space, strategy, store or MemoryStore(), Inline(evaluator), **options)


def table(store):
    return [
        (t.id, t.proposal, t.key, t.seed, t.status, t.finish, t.result.metrics)
        for t in sorted(store.finished(), key=lambda t: t.id)
    ]


@dataclass
class Watcher:
    told_ids: list = field(default_factory=list)

    def asked(self, trial):
        pass

    def told(self, trial):
        self.told_ids.append(trial.id)

    def tick(self):
        pass


@dataclass
class Failing:
    """Fails where told."""

    fails: object
    inner: object = ToyEvaluator(SPACE, ToyTask())

    def evaluate(self, trial, context):
        if self.fails(trial.id):
            raise RuntimeError(f"broken at {trial.id}")
        return self.inner.evaluate(trial, context)


def test_a_budget_ends_with_exactly_its_rows():
    search = searching(limits=Limits(trials=25))
    assert search.run() == "trials"
    assert [row[0] for row in table(search.store)] == list(range(1, 26))


def test_the_same_seed_gives_the_same_table_and_another_seed_another():
    first, second, third = (searching(limits=Limits(trials=30), seed=seed) for seed in (5, 5, 6))
    for search in (first, second, third):
        search.run()
    assert table(first.store) == table(second.store) != table(third.store)


def test_a_search_in_pieces_is_the_search_in_one(tmp_path):
    """Every piece has a new controller, a new strategy and a newly opened table."""
    whole = searching(limits=Limits(trials=40), seed=1)
    whole.run()
    for trials in (1, 9, 10, 11, 33, 40):
        store = SqliteStore(str(tmp_path / "trials.sqlite"))
        assert searching(store, limits=Limits(trials=trials), seed=1).run() == "trials"
        pieces = table(store)
        store.close()
    assert pieces == table(whole.store)


def test_a_controller_that_died_between_claim_and_finish_loses_nothing():
    whole, store = searching(limits=Limits(trials=20), seed=1), MemoryStore()
    whole.run()
    searching(store, limits=Limits(trials=12), seed=1).run()
    half = searching(store, limits=Limits(trials=20), seed=1)
    half.replay()
    half._top_up()
    store.claim("dead")  # and then everything was killed
    store.requeue(0.0)
    searching(store, limits=Limits(trials=20), seed=1).run()
    assert table(store) == table(whole.store)


def test_seeds_of_equal_networks_differ_from_one_asking_to_the_next():
    search = searching(strategy=Listed(SPACE, ((0,) * 12,), repeats=3), limits=Limits(trials=3))
    search.run()
    assert len({row[3] for row in table(search.store)}) == 3
    assert table(search.store)[1][3] == seeds.trial_seed(0, SPACE.key((0,) * 12), 1)


@dataclass(frozen=True)
class Mirrored(ToySpace):
    """A genotype and its reverse are one network."""

    def key(self, genotype):
        return super().key(min(genotype, genotype[::-1]))


@pytest.mark.parametrize(
    ("reuse", "answered"), [("network", [None, 1, 1, 1]), ("genotype", [None, None, 1, 2]), (False, [None] * 4)]
)
def test_reuse_says_what_is_answered_from_the_table(reuse, answered):
    space = Mirrored()
    one = (0, *(1,) * 11)
    strategy = Listed(space, (one, one[::-1]), repeats=2)
    search = searching(space=space, strategy=strategy, limits=Limits(trials=4), reuse=reuse)
    search.run()
    rows = sorted(search.store.finished(), key=lambda t: t.id)
    assert [row.result.reused for row in rows] == answered
    assert len({row.key for row in rows}) == 1
    assert len({row.seed for row in rows}) == answered.count(None), "what is measured again has a seed of its own"
    went_on = searching(search.store, space=space, strategy=Listed(space, (one, one[::-1]), 3), reuse=reuse)
    went_on.limits = Limits(trials=6)
    went_on.run()
    last = [row.result.reused for row in sorted(went_on.store.finished(), key=lambda t: t.id)[4:]]
    assert last == {"network": [1, 1], "genotype": [1, 2], False: [None, None]}[reuse]


def test_reuse_answers_equal_networks_from_the_table():
    strategy = Listed(SPACE, ((0,) * 12, (1,) * 12), repeats=3)
    search = searching(strategy=strategy, limits=Limits(trials=6), reuse="network")
    search.run()
    rows = sorted(search.store.finished(), key=lambda t: t.id)
    assert [row.result.reused for row in rows] == [None, None, 1, 2, 1, 2]
    assert rows[4].result.metrics == rows[0].result.metrics
    assert rows[4].result.seconds == 0


def test_reuse_does_not_answer_failures_or_other_budgets():
    @dataclass
    class Budgets(Listed):
        def ask(self, rng, pending):
            proposal = super().ask(rng, pending)
            return proposal and replace(proposal, budget=self._told)

    for strategy, evaluator in (
        (Budgets(SPACE, ((0,) * 12,), 3), None),
        (Listed(SPACE, ((0,) * 12,), 3), Failing(lambda _: True)),
    ):
        search = searching(strategy=strategy, evaluator=evaluator, limits=Limits(trials=3), reuse="network")
        search.run()
        assert [row.result.reused for row in search.store.finished()] == [None] * 3


def test_failures_count_as_rows_and_the_strategy_hears_of_them():
    watcher = Watcher()
    search = searching(
        evaluator=Failing(lambda n: n % 3 == 0), limits=Limits(trials=12, failures_in_a_row=2), watchers=(watcher,)
    )
    assert search.run() == "trials"
    assert [row[4] for row in table(search.store)] == ["done", "done", "failed"] * 4
    assert watcher.told_ids == list(range(1, 13))
    assert len(search.strategy._ranking) == 8


def test_failures_in_a_row_stop_the_search_with_the_last_reason():
    search = searching(evaluator=Failing(lambda n: n > 3), limits=Limits(trials=100, failures_in_a_row=4))
    with pytest.raises(WorkerError, match="4 trials failed one after another; the last: RuntimeError: broken at 7"):
        search.run()
    assert len(search.store.finished()) == 7
    mended = searching(search.store, limits=Limits(trials=10, failures_in_a_row=4))
    assert mended.run() == "trials", "old failures do not count against a new session"


def test_a_strategy_with_nothing_left_ends_the_search():
    search = searching(strategy=Listed(SPACE, ((0,) * 12,)), limits=Limits(trials=10))
    assert search.run() == "exhausted"
    assert len(search.store.finished()) == 1


def test_hours_end_the_search_over_restarts():
    store = MemoryStore()
    store.remember("hours", "2.5")
    assert searching(store, limits=Limits(hours=2.5)).run() == "hours"
    assert store.finished() == []
    assert float(store.recall("hours")) >= 2.5


def test_hours_end_a_search_that_only_repeats_itself():
    tiny = ToySpace(length=1, options=2)
    search = searching(space=tiny, strategy=RandomSearch(tiny), limits=Limits(hours=0.2 / 3600), reuse="network")
    assert search.run() == "hours"
    assert len({row[2] for row in table(search.store)}) == 2


def test_a_trial_that_continues_another_has_its_seed_and_is_never_answered_from_the_table():
    @dataclass
    class Promotes(Listed):
        def ask(self, rng, pending):
            proposal = super().ask(rng, pending)
            return proposal and replace(proposal, continues=self._told or None)

    search = searching(strategy=Promotes(SPACE, ((0,) * 12,), 3), limits=Limits(trials=3), reuse="network")
    search.run()
    assert len({row[3] for row in table(search.store)}) == 1
    assert [row.result.reused for row in search.store.finished()] == [None] * 3


@dataclass
class Learner:
    """Random, and not ready for its fourth trial for a number of looks."""

    looks: float
    inner: object = field(default_factory=lambda: RandomSearch(SPACE))
    told: list = field(default_factory=list)
    while_waiting: object = None

    def ask(self, rng, pending):
        return self.inner.ask(rng, pending)

    def tell(self, trial, rng):
        self.told.append(trial.id)

    def is_ready(self):
        self.looks -= len(self.told) == 3
        is_ready = len(self.told) != 3 or self.looks < 0
        if not is_ready and self.while_waiting:
            self.while_waiting()
        return is_ready


def test_a_strategy_that_still_learns_is_waited_for():
    undisturbed, waited = searching(limits=Limits(trials=6), strategy=Learner(0)), Learner(4)
    search = searching(limits=Limits(trials=6), strategy=waited)
    assert (undisturbed.run(), search.run()) == ("trials", "trials")
    assert table(undisturbed.store) == table(search.store) and waited.told == [1, 2, 3, 4, 5, 6]


@dataclass
class Crew(Inline):
    """Two workers that evaluate between polls, and how often they were looked after before the strategy was ready."""

    strategy: Learner | None = None
    looks: int = 0

    def __post_init__(self):
        self.workers = 2

    def poll(self, seconds):
        self.looks += not self.strategy.is_ready()
        super().poll(seconds)


@dataclass
class Clock(Crew):
    """A simulated clock."""

    elapsed_seconds: float = 0.0
    utilization: float = 1.0


@pytest.mark.parametrize(("kind", "is_polled"), [(Crew, True), (Clock, False)])
def test_workers_are_looked_after_while_a_strategy_learns_but_no_simulated_clock_goes_on(kind, is_polled):
    search = searching(limits=Limits(trials=6), strategy=(waited := Learner(6)))
    search.executor = kind(ToyEvaluator(SPACE, ToyTask()), strategy=waited)
    assert search.run() == "trials"
    assert (search.executor.looks > 0) == is_polled
    assert waited.told == [1, 2, 3, 4, 5, 6]


def test_to_drain_waits_for_no_strategy_that_learns_and_loses_nothing():
    store, never, still = MemoryStore(), Learner(float("inf")), Learner(float("inf"))
    search = searching(store, never, limits=Limits(trials=6), prefetch=1)  # one is asked before the strategy learns
    never.while_waiting = search.drain
    assert (search.run(), never.told, len(store.finished())) == ("drained", [1, 2, 3], 4)
    resumed = searching(store, still, limits=Limits(trials=6))
    still.while_waiting = resumed.drain
    assert (resumed.run(), still.told, len(store.finished())) == ("drained", [1, 2, 3], 4), "it waits on resuming, too"
    assert searching(store, ready := Learner(0), limits=Limits(trials=6)).run() == "trials"
    assert ready.told == [1, 2, 3, 4, 5, 6]


def test_drain_stops_after_the_running_trial():
    search = searching(limits=Limits(trials=100))

    class Stop(Watcher):
        def told(self, trial):
            if trial.id == 5:
                search.drain()

    search._watchers = Stop()
    assert search.run() == "drained"
    assert len(search.store.finished()) == 5
    assert searching(search.store, limits=Limits(trials=8)).run() == "trials"


def test_an_interrupted_trial_is_put_back():
    @dataclass
    class Interrupted:
        def evaluate(self, trial, context):
            raise KeyboardInterrupt

    search = searching(evaluator=Interrupted(), limits=Limits(trials=3))
    with pytest.raises(KeyboardInterrupt):
        search.run()
    assert [t.status for t in search.store.unfinished()] == ["pending"]


def test_refused_proposals_cost_attempts_not_rows():
    @dataclass
    class Careless(RandomSearch):
        def ask(self, rng, pending):
            proposal = super().ask(rng, pending)
            return proposal if rng.random() < 0.5 else Proposal((99,) * 12)

    search = searching(strategy=Careless(SPACE), limits=Limits(trials=20))
    search.run()
    assert len(search.store.finished()) == 20

    @dataclass
    class Hopeless(RandomSearch):
        def ask(self, rng, pending):
            return Proposal((99,) * 12)

    with pytest.raises(InvalidGenotype, match=r"proposed 100 genotypes that do not fit.*gene 0"):
        searching(strategy=Hopeless(SPACE), limits=Limits(trials=20)).run()


SMALLEST = (4, 2, 0.5, 3, 0.5, 4, 2, 0.5)
IMAGES = IO(3, 32, 32, 10)


@dataclass
class _Counted:
    space: object

    def evaluate(self, trial, context):
        counts = of_seed(self.space, trial.seed).count(trial.proposal.genotype, IMAGES)
        return Result({"valid_accuracy": 0.5, "params": counts.params})


def _generator_searched(space, genotype=SMALLEST, repeats=30, **options):
    """Parameters of the networks of a search around one generator, which differ from seed to seed."""

    @dataclass
    class Again:
        """Asks for it with a rewiring of its own each time: another key, and so another seed."""

        def ask(self, rng, pending):
            return Proposal((*genotype[:2], round(float(rng.uniform(0.3, 0.7)), 6), *genotype[3:]))

        def tell(self, trial, rng):
            pass

    search = searching(
        strategy=Again(), evaluator=_Counted(space), space=space, limits=Limits(trials=repeats), **options
    )
    search.run()
    return [trial.result.metrics["params"] for trial in search.store.finished()]


def test_a_constraint_is_for_the_network_of_the_trial_not_for_that_of_seed_0():
    free = _generator_searched(HnagSpace())
    bound = sorted(free)[10]
    held = _generator_searched(constrain(HnagSpace(), IMAGES, (f"params <= {bound}",)))
    assert len(held) == 30
    assert max(held) <= bound < max(free)


def test_networks_of_a_listed_generator_are_drawn_until_they_fit():
    space = HnagSpace()
    bound = space.count(SMALLEST, IMAGES).params - 1  # that of seed 0 does not fit
    held = constrain(space, IMAGES, (f"params <= {bound}",))
    with pytest.raises(InvalidGenotype):
        held.check(SMALLEST)
    search = searching(strategy=Listed(held, [SMALLEST], repeats=8), evaluator=_Counted(held), space=held)
    assert search.run() == "exhausted"
    found = search.store.finished()
    assert len({trial.seed for trial in found}) == 8
    assert max(trial.result.metrics["params"] for trial in found) <= bound


def test_a_promotion_is_checked_with_the_seed_that_it_keeps():
    @dataclass(frozen=True)
    class Seeded(ToySpace):
        seed: int = 0
        checked: ClassVar[list] = []

        def seeded(self, seed):
            return replace(self, seed=seed)

        def check(self, genotype):
            self.checked.append(self.seed)

    space = Seeded()

    class Promotes:
        def ask(self, rng, pending):
            return None if pending else Proposal((0,) * 12, continues=self.last)

        def tell(self, trial, rng):
            self.last = trial.id

        last = None

    search = searching(strategy=Promotes(), space=space, limits=Limits(trials=3))
    search.run()
    assert [trial.seed for trial in search.store.finished()] == [Seeded.checked[0]] * 3
    assert Seeded.checked == Seeded.checked[:1] * 3


def test_a_strict_limit_is_tried_with_the_images_of_the_task():
    strict = HnagSpace(rule="strict", limit=40_000)
    wide = IO(3, 32, 32, 40)
    with pytest.raises(InvalidGenotype, match=r"100 genotypes .* needs [0-9,]+ parameters with one channel"):
        searching(strategy=RandomSearch(strict), space=strict, io=wide, limits=Limits(trials=1)).run()
    loose = replace(strict, rule="weights_only")
    assert searching(strategy=RandomSearch(loose), space=loose, io=wide, limits=Limits(trials=1)).run() == "trials"


def test_an_objective_nobody_measures_is_named():
    with pytest.raises(
        BadRunFile, match=r"'accuracy' was not measured; the evaluator measures: params, valid_accuracy"
    ):
        searching(limits=Limits(trials=2), objectives=("accuracy",)).run()


def test_rows_are_asked_for_workers_elsewhere_as_these_come():
    counts = []

    class Elsewhere(Inline):
        present = 0

        def __init__(self, evaluator):
            super().__init__(evaluator)
            self.workers = 200

        def poll(self, seconds):
            counts.append(len(self._job.store.unfinished()))
            self.present = min(3, self.present + 1)
            if self.present == 3:
                super().poll(seconds)

    evaluator = ToyEvaluator(SPACE, ToyTask())
    Search(SPACE, RandomSearch(SPACE), MemoryStore(), Elsewhere(evaluator), limits=Limits(trials=9)).run()
    assert counts[:4] == [1, 1, 3, 4] and max(counts) == 4


def test_prefetch_keeps_rows_ahead():
    class Asleep(Inline):
        def poll(self, seconds):
            seen.append(len(self._job.store.unfinished()))
            super().poll(seconds)

    seen = []
    evaluator = ToyEvaluator(SPACE, ToyTask())
    Search(SPACE, RandomSearch(SPACE), MemoryStore(), Asleep(evaluator), limits=Limits(trials=5), prefetch=2).run()
    assert max(seen) == 3


def test_every_worker_has_a_row_while_a_proposal_is_made():
    class Looking(RandomSearch):
        def ask(self, rng, pending):
            at_work.append(len(pending))
            return super().ask(rng, pending)

    at_work, workers = [], 4
    executor = Simulated(ToyEvaluator(SPACE, ToyTask()), workers=workers, seconds=60.0, sigma=0.5)
    Search(SPACE, Looking(SPACE), MemoryStore(), executor, limits=Limits(trials=60)).run()
    assert at_work[:workers] == [*range(workers)] and set(at_work[workers:]) == {workers}


def test_result_of_a_late_worker_counts_once():
    """Its row was given to another one meanwhile."""
    store = MemoryStore()
    store.add(Proposal((0,) * 12), "key", 1)
    store.claim("slow")
    store.beat("slow")
    store.requeue(0.0)
    store.claim("quick")
    store.finish(1, Result({"valid_accuracy": 0.5}))
    store.finish(1, Result({"valid_accuracy": 0.7}))
    search = searching(store, limits=Limits(trials=1))
    search.run()
    assert [t.result.metrics["valid_accuracy"] for t in store.finished()] == [0.5]


def test_a_controller_that_was_asleep_gives_workers_time_to_be_heard_again(monkeypatch):
    store, clock = MemoryStore(), SimpleNamespace(now=1000.0)
    monkeypatch.setattr(time, "monotonic", lambda: clock.now)
    search = searching(store, limits=Limits(trials=1))
    search.replay()
    search._top_up()
    store.claim("w0")

    def states(*seconds):
        for each in seconds:
            clock.now += each
            search._keep_house()
        return [trial.status for trial in store.unfinished()]

    assert states(*[1.0] * 59) == ["running"], "not silent for long enough"
    store.beat("w0")
    assert states(*[1.0] * 5, 300.0, *[1.0] * 50) == ["running"], "nobody could be heard meanwhile"
    assert states(*[1.0] * 11) == ["pending"]


def test_after_a_result_the_table_is_looked_at_sooner():
    class Slow(Inline):
        """Finishes a trial in each eighth poll."""

        pauses: ClassVar = []

        def poll(self, seconds):
            self.pauses.append(seconds)
            if len(self.pauses) % 8 == 0:
                super().poll(seconds)

    executor = Slow(ToyEvaluator(SPACE, ToyTask()))
    Search(SPACE, RandomSearch(SPACE), MemoryStore(), executor, limits=Limits(trials=3)).run()
    most = controller.LOOK_EVERY
    after_one = [min(most, controller.LOOK_SOON * 2**number) for number in range(8)]
    assert executor.pauses == [most] * 8 + 2 * after_one


class Estimating:
    """A toy takes a millisecond for each parameter."""

    def __init__(self):
        self.asked = []

    def latency_ms(self, space, genotype):
        self.asked.append(genotype)
        return float(sum(genotype))


def test_the_latency_of_a_proposal_is_noted_scored_and_never_estimated_again():
    store, first, later = MemoryStore(), Estimating(), Estimating()
    names = ("valid_accuracy", "-latency_ms")
    given = {"objectives": names, "reuse": True}
    strategy = RandomSearch(SPACE)
    assert searching(store, strategy, latency=first, limits=Limits(trials=4), **given).run() == "trials"
    for row in store.finished():
        assert row.proposal.notes == {"latency_ms": sum(row.proposal.genotype)}
        assert row.result.metrics["latency_ms"] == sum(row.proposal.genotype)
    searching(store, strategy, latency=later, limits=Limits(trials=6), **given).run()
    assert (len(first.asked), len(later.asked)) == (4, 2)
    whole = MemoryStore()
    searching(whole, RandomSearch(SPACE), latency=Estimating(), limits=Limits(trials=6), **given).run()
    assert table(store) == table(whole)
