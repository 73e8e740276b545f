"""The simulated cluster, driven by the real controller over a table in memory."""

import math
from dataclasses import dataclass, field

import numpy as np
import pytest

from netwright.controller import Search
from netwright.core import refs
from netwright.core.errors import BadReference, WorkerError
from netwright.core.protocols import Job
from netwright.core.records import MAX_LOSSES, Proposal, Result
from netwright.core.refs import Reference
from netwright.core.run_file import Limits
from netwright.executors import simulated
from netwright.executors.inline import Inline
from netwright.executors.simulated import SIMULATED_FAILURE, STRAGGLING, Simulated, busy, utilization
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore
from netwright.strategies.listed import Listed
from netwright.strategies.random import RandomSearch
from netwright.strategies.tournament import Tournament
from netwright.testing.executors import check_executor
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask

SPACE = ToySpace()
TOY = ToyEvaluator(SPACE, ToyTask())
HOUR = 3600.0
LONG, SHORTER = (Limits(trials=trials, failures_in_a_row=0) for trials in (7000, 4200))


@dataclass
class Costs:
    """States the seconds that are given for trial 1, 2, 3, ..., over and over."""

    seconds: tuple
    seen: list = field(default_factory=list)

    def evaluate(self, trial, context):
        self.seen.append(trial.id)
        return Result({"valid_accuracy": trial.seed / 2**63}, seconds=self.seconds[(trial.id - 1) % len(self.seconds)])


def searched(executor, *, trials=30, seed=0, store=None, strategy=None, **options):
    """The search that ran, whatever ended it."""
    limits = options.pop("limits", Limits(trials=trials, failures_in_a_row=0))
    chosen = strategy or Tournament(SPACE, initial=10)
    search = Search(SPACE, chosen, store or MemoryStore(), executor, limits=limits, seed=seed, **options)
    search.run()
    return search


def table(store):
    return [(t.id, t.proposal, t.key, t.seed, t.status, t.finish, t.result) for t in store.finished()]


def spells(executor):
    return [(s.worker, s.trial_id, s.start, s.end) for s in executor.spells]


def test_keeps_the_contract_of_executors(tmp_path):
    numbers = iter(range(9))
    make_store = lambda: SqliteStore(str(tmp_path / f"{next(numbers)}.sqlite"))  # noqa: E731
    check_executor(lambda evaluator: Simulated(evaluator, workers=2), make_store, tmp_path)
    check_executor(lambda evaluator: Simulated(evaluator, workers=2, synchronous=True), make_store, tmp_path)


def test_the_published_search_takes_35_hours():
    """Liu et al. 2018, section 4: 7,000 evaluations of about one hour on 200 GPUs."""
    space = HierarchicalSpace(diversification=10)
    evaluator = ToyEvaluator(space, ToyTask())
    executor = Simulated(evaluator, workers=200, seconds=HOUR)
    store = MemoryStore()
    Search(space, Tournament(space, initial=200, share=0.05), store, executor, limits=LONG).run()
    assert len(store.finished()) == 7000
    assert executor.elapsed_seconds == 35 * HOUR
    assert executor.utilization == 1.0
    assert len({spell.worker for spell in executor.spells}) == 200


@pytest.mark.parametrize("workers", [200, 450])
def test_nobody_waits_for_stragglers_unless_all_wait_for_the_slowest(workers):
    def run(**options):
        executor = Simulated(TOY, workers=workers, seconds=HOUR, sigma=0.5, **options)
        searched(executor, strategy=Tournament(SPACE, initial=450), limits=SHORTER)
        return executor

    free, prompt, together = run(), run(controller_seconds=1.0), run(synchronous=True)
    assert free.utilization > 0.98
    assert prompt.utilization > 0.98, "one row ahead is enough when the controller takes a second"
    assert together.utilization < 0.4
    assert together.elapsed_seconds > 2 * free.elapsed_seconds
    overall = utilization(free.spells, workers, free.elapsed_seconds)
    assert overall < free.utilization, "the end of the search leaves workers idle"


def test_workers_are_given_rows_by_hand():
    """Two workers, durations 3, 1, 1, 5: the second takes rows 2 and 3 while the first is at row 1."""
    executor = Simulated(Costs((3.0, 1.0, 1.0, 5.0)), workers=2)
    search = searched(executor, trials=4)
    assert spells(executor) == [(0, 1, 0.0, 3.0), (1, 2, 0.0, 1.0), (1, 3, 1.0, 2.0), (1, 4, 2.0, 7.0)]
    assert [trial.id for trial in search.store.finished()] == [2, 3, 1, 4]
    assert executor.elapsed_seconds == 7.0
    assert executor.utilization == 1.0
    assert utilization(executor.spells, 2, 7.0) == pytest.approx(10 / 14)
    assert busy(executor.spells) == [(0.0, 2), (1.0, 2), (2.0, 2), (3.0, 1), (7.0, 0)]


def test_a_synchronous_cluster_waits_for_the_whole_batch():
    executor = Simulated(Costs((3.0, 1.0, 1.0, 5.0)), workers=2, synchronous=True)
    search = searched(executor, trials=4, prefetch=0)
    assert spells(executor) == [(0, 1, 0.0, 3.0), (1, 2, 0.0, 1.0), (0, 3, 3.0, 4.0), (1, 4, 3.0, 8.0)]
    assert [trial.id for trial in search.store.finished()] == [2, 1, 3, 4]
    assert executor.utilization == pytest.approx(4 / 6)
    assert busy(executor.spells) == [(0.0, 2), (1.0, 1), (3.0, 2), (4.0, 1), (8.0, 0)]


def test_a_generation_is_asked_when_the_last_one_is_told():
    asked = []

    class Noting(RandomSearch):
        def ask(self, rng, pending):
            asked.append([trial.id for trial in pending])
            return super().ask(rng, pending)

    searched(Simulated(Costs((3.0, 1.0)), workers=2, synchronous=True), trials=4, strategy=Noting(SPACE), prefetch=0)
    assert asked == [[], [1], [], [3]]


def test_a_batch_does_not_take_rows_that_wait():
    """Row 3 is asked ahead and waits for the next batch."""
    executor = Simulated(Costs((3.0, 1.0)), workers=2, synchronous=True)
    searched(executor, trials=3, prefetch=1)
    assert [(spell.trial_id, spell.start) for spell in executor.spells] == [(1, 0.0), (2, 0.0), (3, 3.0)]


def test_the_strategy_hears_of_each_finish_on_its_own():
    """Also of those at the same moment: each new row is asked with all that is known."""
    asked = []

    class Noting(RandomSearch):
        def ask(self, rng, pending):
            asked.append([trial.id for trial in pending])
            return super().ask(rng, pending)

    searched(Simulated(Costs((1.0,)), workers=3), trials=6, strategy=Noting(SPACE), prefetch=0)
    assert asked == [[], [1], [1, 2], [2, 3], [3, 4], [4, 5]]


def test_a_slow_controller_makes_workers_wait_but_for_the_row_ahead():
    """All four finish at 1; one takes the row ahead at once, the others when the controller has answered at 1.5."""
    executor = Simulated(Costs((1.0,)), workers=4, controller_seconds=0.5)
    searched(executor, trials=8, strategy=RandomSearch(SPACE))
    assert sorted(spell.start for spell in executor.spells) == [0.0] * 4 + [1.0] + [1.5] * 3
    assert executor.utilization == pytest.approx((4 * 1.0 + 0.5) / (4 * 1.5))
    assert executor.elapsed_seconds == 2.5


def test_a_generation_too_waits_for_a_slow_controller():
    executor = Simulated(Costs((1.0,)), workers=2, synchronous=True, controller_seconds=0.5)
    searched(executor, trials=4, prefetch=0)
    assert [spell.start for spell in executor.spells] == [0.0, 0.0, 1.5, 1.5]


@pytest.mark.parametrize("synchronous", [False, True])
def test_the_same_seeds_give_the_same_table(synchronous):
    def run(seed=3, search_seed=0):
        executor = Simulated(
            TOY, workers=7, seconds=60, sigma=0.5, failure_share=0.1, loss_share=0.1, seed=seed, synchronous=synchronous
        )
        return table(searched(executor, trials=200, seed=search_seed).store), executor.spells

    assert run() == run()
    assert run()[0] != run(seed=4)[0]
    assert run()[0] != run(search_seed=1)[0]


def test_one_worker_is_the_inline_executor():
    costs = (2.0, 0.5, 7.0)
    alone = searched(Simulated(Costs(costs)))
    assert table(alone.store) == table(searched(Inline(Costs(costs))).store)
    assert alone.executor.elapsed_seconds == sum(costs) * 10
    assert alone.executor.utilization == 1.0


def test_durations_are_log_normal_with_their_mean():
    executor = Simulated(TOY, workers=50, seconds=100.0, sigma=0.5)
    search = searched(executor, trials=4000, strategy=RandomSearch(SPACE))
    durations = np.array([spell.end - spell.start for spell in executor.spells])
    error = 100 * math.sqrt(math.exp(0.25) - 1) / math.sqrt(4000)
    assert abs(durations.mean() - 100) < 3 * error
    assert np.log(durations).std() == pytest.approx(0.5, abs=3 * 0.5 / math.sqrt(8000))
    seconds = {trial.id: trial.result.seconds for trial in search.store.finished()}
    assert all(seconds[spell.trial_id] == pytest.approx(spell.end - spell.start) for spell in executor.spells)


def test_no_option_changes_what_another_draws():
    """Trial n takes as long on any cluster, in any mode: ways of working are compared on the same durations."""

    def durations(**options):
        executor = Simulated(TOY, seconds=60, sigma=0.5, **options)
        return {t.id: t.result.seconds for t in searched(executor, trials=100).store.finished() if not t.result.failure}

    plain = durations()
    assert durations(workers=9) == durations(workers=9, synchronous=True) == plain
    failing = durations(failure_share=0.3)
    assert 50 < len(failing) < 90 and failing.items() <= plain.items()
    slow = durations(straggler_share=0.2)
    factors = {round(slow[n] / plain[n], 9) for n in plain}
    assert factors == {1.0, STRAGGLING}


def test_evaluator_seconds_are_the_mean_where_none_is_given():
    search = searched(Simulated(Costs((1.0, 100.0)), sigma=0.1), trials=10)
    seconds = {t.id: t.result.seconds for t in search.store.finished()}
    assert all(0.5 < seconds[n] < 2 and 50 < seconds[n + 1] < 200 for n in range(1, 10, 2))
    assert len(set(seconds.values())) == 10


def test_an_evaluator_that_states_no_time_takes_none():
    executor = Simulated(TOY, workers=3)
    search = searched(executor, trials=20)
    assert {t.result.seconds for t in search.store.finished()} == {0.0}
    assert executor.elapsed_seconds == 0.0
    assert math.isnan(executor.utilization)


def test_failures_are_rows_and_end_early():
    executor = Simulated(TOY, workers=5, seconds=60, failure_share=0.25)
    rows = searched(executor, trials=400).store.finished()
    failed = [row.result for row in rows if row.result.failure]
    assert len(rows) == 400
    assert 60 < len(failed) < 140
    assert {(result.failure, result.message) for result in failed} == {("error", SIMULATED_FAILURE)}
    assert 0 <= min(r.seconds for r in failed) < 6 and 54 < max(r.seconds for r in failed) <= 60
    assert {row.result.seconds for row in rows if not row.result.failure} == {60.0}


def test_a_lost_row_is_asked_again_and_finishes_once():
    executor = Simulated(TOY, workers=5, seconds=60, loss_share=0.25)
    rows = searched(executor, trials=200).store.finished()
    lost = [spell for spell in executor.spells if spell.is_lost]
    assert sorted(row.id for row in rows) == list(range(1, 201))
    assert 30 < len(lost) < 120
    assert all(0 <= spell.end - spell.start <= 60 for spell in lost)
    given_up = [row for row in rows if row.result.failure == "lost"]
    assert len(executor.spells) == 200 + len(lost) - len(given_up)
    assert all(sum(s.trial_id == row.id for s in lost) <= MAX_LOSSES + 1 for row in rows)


def test_losses_at_the_end_do_not_count_as_idle_workers():
    """A row that is lost when nothing else is left starts again long after the last row was asked."""
    executor = Simulated(TOY, workers=50, seconds=60, sigma=0.5, loss_share=0.2)
    searched(executor, trials=500, strategy=RandomSearch(SPACE))
    last = min(spell.start for spell in executor.spells if spell.trial_id == 500)
    assert executor.spells[-1].start > last
    assert executor.utilization == utilization(executor.spells, 50, last) > 0.99


def test_a_row_that_is_always_lost_is_given_up():
    executor = Simulated(TOY, workers=2, seconds=60, loss_share=1.0)
    rows = searched(executor, trials=3, strategy=RandomSearch(SPACE)).store.finished()
    assert [row.result.failure for row in rows] == ["lost"] * 3
    assert len(executor.spells) == 3 * (MAX_LOSSES + 1)


def test_an_evaluator_that_raises_fails_its_trial():
    @dataclass
    class Broken:
        def evaluate(self, trial, context):
            raise RuntimeError(f"broken at {trial.id}")

    search = searched(Simulated(Broken(), workers=2), trials=3, strategy=RandomSearch(SPACE))
    assert [row.result.seconds for row in search.store.finished()] == [0.0] * 3
    assert "broken at 3" in search.store.finished()[2].result.message


def test_table_seconds_end_with_the_row_that_reaches_them():
    limits = Limits(table_seconds=10.0)
    search = searched(Inline(Costs((4.0, 4.0, 4.0))), limits=limits)
    assert [t.result.seconds for t in search.store.finished()] == [4.0] * 3
    assert search.run() == "table_seconds"
    assert len(searched(Inline(Costs((5.0,))), limits=limits).store.finished()) == 2, "reached is used up"


def test_table_seconds_are_what_all_workers_spend_together():
    executor = Simulated(Costs((4.0,)), workers=5)
    search = searched(executor, limits=Limits(table_seconds=100.0), strategy=RandomSearch(SPACE))
    total = sum(t.result.seconds for t in search.store.finished())
    assert 100.0 <= total <= 100.0 + 5 * 4.0, "what ran when they were used up finishes and counts"
    assert executor.elapsed_seconds == pytest.approx(total / 5, abs=4.0)


def test_table_seconds_count_over_restarts_and_failures():
    store = MemoryStore()
    for number in range(3):
        store.add(Proposal((number,) * 12), str(number), number, Result(seconds=3.0, failure="error", message="no"))
    costs = Costs((3.0,))
    searched(Inline(costs), store=store, limits=Limits(table_seconds=12.0), strategy=RandomSearch(SPACE))
    assert costs.seen == [4]


def test_rows_answered_from_the_table_cost_no_table_seconds():
    strategy = Listed(SPACE, ((0,) * 12, (1,) * 12), repeats=2)
    limits = Limits(table_seconds=9.0)
    search = searched(Inline(Costs((4.0,))), strategy=strategy, limits=limits, reuse="network")
    assert len(search.store.finished()) == 4


def test_table_seconds_must_be_positive():
    with pytest.raises(ValueError, match="table_seconds must be greater than 0, got 0"):
        Limits(table_seconds=0)


def test_drain_lets_rows_that_run_finish():
    executor = Simulated(Costs((3.0, 1.0)), workers=2)
    search = None

    class Stop:
        def asked(self, trial):
            pass

        def told(self, trial):
            search.drain()

        def tick(self):
            pass

    search = Search(SPACE, RandomSearch(SPACE), MemoryStore(), executor, limits=Limits(trials=50), watchers=(Stop(),))
    assert search.run() == "drained"
    assert {t.id for t in search.store.finished()} == {1, 2, 3}, "the row ahead was claimed before the controller knew"
    assert [t.status for t in search.store.unfinished()] == []


def test_workers_of_a_slow_evaluator_are_not_given_up(monkeypatch):
    """The table's clock is the real one: every evaluation takes an hour of it, and nobody is lost."""
    real = 0.0
    monkeypatch.setattr(simulated.time, "monotonic", lambda: real)

    @dataclass
    class Slow(Costs):
        def evaluate(self, trial, context):
            nonlocal real
            real += HOUR
            return super().evaluate(trial, context)

    slow = Slow((2.0, 3.0, 5.0))
    search = searched(Simulated(slow, workers=3), trials=9)
    assert [t.status for t in search.store.finished()] == ["done"] * 9
    assert sorted(slow.seen) == list(range(1, 10)), "each was evaluated once"


def test_trial_folders_are_cleared_unless_they_are_kept(tmp_path):
    @dataclass
    class Writing:
        def evaluate(self, trial, context):
            (context.folder / "file").write_text("x")
            return Result({"valid_accuracy": 1.0}, seconds=1.0)

    for keep, left in ((False, []), (True, ["000001", "000002"])):
        store = MemoryStore()
        for number in range(2):
            store.add(Proposal((number,)), str(number), number)
        executor = Simulated(Writing(), workers=2)
        executor.start(Job(store, tmp_path, keep=keep))
        executor.poll(0.0)
        executor.poll(0.0)
        assert len(store.finished()) == 2
        assert sorted(path.name for path in (tmp_path / "trials").iterdir()) == left


def test_a_folder_that_a_trial_may_go_on_from_stays_until_one_has(tmp_path):
    @dataclass
    class Leaving:
        def evaluate(self, trial, context):
            (context.folder / "file").write_text("x")
            return Result({"valid_accuracy": 1.0}, seconds=1.0)

        def leaves_state(self, trial):
            return trial.proposal.budget < 2

    store = MemoryStore()
    executor = Simulated(Leaving())
    executor.start(Job(store, tmp_path))
    for number, (continues, left) in enumerate([(None, ["000001"]), (1, [])], start=1):
        store.add(Proposal((0,), budget=number, continues=continues), "0", 0)
        executor.poll(0.0)
        assert [path.name for path in (tmp_path / "trials").iterdir()] == left


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"workers": 0}, "executor.workers is 0; it must be at least 1"),
        ({"seconds": -1.0}, "executor.seconds is -1.0; it must be a number of at least 0"),
        ({"sigma": math.nan}, "executor.sigma is nan; it must be a number of at least 0"),
        ({"controller_seconds": math.inf}, "executor.controller_seconds is inf"),
        ({"failure_share": 1.5}, r"executor.failure_share is 1.5; it must be in \[0, 1\]"),
        ({"failure_share": 0.6, "loss_share": 0.6}, "0.6 and 0.6; together they must be at most 1"),
    ],
)
def test_says_what_is_wrong_with_an_option(options, message):
    with pytest.raises(WorkerError, match=message):
        Simulated(TOY, **options)


def test_a_run_file_names_it():
    executor = refs.load("executor", Reference("simulated", {"workers": 3, "sigma": 0.5}), evaluator=TOY)
    assert (executor.workers, executor.sigma, executor.evaluator) == (3, 0.5, TOY)
    with pytest.raises(BadReference, match="has no option 'elapsed_seconds'"):
        refs.load("executor", Reference("simulated", {"elapsed_seconds": 3.0}), evaluator=TOY)
