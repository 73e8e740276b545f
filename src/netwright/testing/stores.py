"""What every store must do. Call `check_store` from a test of your own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from netwright.core.protocols import Store
from netwright.core.records import Proposal, Result, Tally

PROPOSAL = Proposal((1, 2, 0.5), (1, 2), 7, 3, {"bracket": 2.0})
RESULT = Result({"valid_accuracy": 0.9, "params": 12.0}, ((1, 0.5), (2, 0.9)), 1.5, message="fine", reused=2)


def check_store(make: Callable[[], Store]) -> None:
    """Assert the contract on fresh stores from `make`."""
    for check in CHECKS:
        store = make()
        check(store)
        store.close()


def check_rows(store: Store) -> None:
    """What was written comes back unchanged, and rows move from pending over running to done."""
    first = store.add(PROPOSAL, "key", 2**63 - 1)
    second = store.add(Proposal((0,)), "other", 5)
    assert (first, second) == (1, 2)
    assert [(t.id, t.status) for t in store.unfinished()] == [(1, "pending"), (2, "pending")]
    trial = store.claim("w0")
    assert trial is not None
    assert (trial.id, trial.proposal, trial.key, trial.seed) == (1, PROPOSAL, "key", 2**63 - 1)
    assert [t.status for t in store.unfinished()] == ["running", "pending"]
    store.finish(1, RESULT)
    [row] = store.finished()
    assert (row.proposal, row.result, row.status, row.finish) == (PROPOSAL, RESULT, "done", 1)
    assert store.finished(after=1) == []
    assert store.claim("w0") is not None
    assert store.claim("w1") is None
    store.finish(2, Result(failure="diverged", message="NaN at step 3"))
    [row] = store.finished(after=1)
    assert (row.status, row.finish) == ("failed", 2)
    born_done = store.add(PROPOSAL, "key", 1, RESULT)
    assert store.claim("w0") is None, "a row that is added with its result is never claimed"
    assert store.finished(after=2)[0].id == born_done
    assert [t.finish for t in store.finished(most=2)] == [1, 2]
    assert [t.finish for t in store.finished(after=1, most=1)] == [2]
    assert store.finished(after=3, most=2) == []
    assert (store.missing(), store.faults()) == ([], []), "nothing is damaged"


def check_sums(store: Store) -> None:
    """The tally counts every row, and the best trial is the earliest of equals at the largest budget."""
    assert (store.tally(), store.best("valid_accuracy")) == (Tally(), None)
    for number, (budget, value) in enumerate(((None, 0.9), (2, 0.25), (2, 0.75), (2, 0.75), (1, 0.8)), 1):
        proposal = Proposal((number,), budget=budget, continues=1 if number == 3 else None, notes={"n": 1.0})
        metrics = {"x": 7.0, "valid_accuracy": value, "loss": value - 1}
        store.add(proposal, str(number), number, Result(metrics, seconds=2.0))
    store.add(Proposal((6,)), "6", 6, Result({"x": 8.0, "valid_accuracy": 0.9}, reused=1))
    store.add(Proposal((7,)), "7", 7, Result(failure="error", message="fault", seconds=0.5))
    store.add(Proposal((8,)), "8", 8)
    store.add(Proposal((9,)), "9", 9)
    store.claim("w0")
    tally = Tally(pending=1, running=1, done=6, failed=1, reused=1, seconds=10.5, continued=1, noted=5)
    assert store.tally() == tally
    assert (tally.finished, tally.unfinished) == (7, 2)
    named = {"valid_accuracy": 3, "loss": 3, "x": 2}
    assert {name: best.id for name in named if (best := store.best(name)) is not None} == named
    lowest = store.best("loss", is_minimized=True)
    assert lowest is not None
    assert (lowest.id, store.best("unknown")) == (2, None)


def check_first_finish_wins(store: Store) -> None:
    """A late result changes nothing; a result for a row that was put back counts."""
    store.add(PROPOSAL, "key", 1)
    store.claim("w0")
    store.beat("w0")
    assert store.requeue(0.0) == 1
    assert store.finish(1, RESULT)
    assert not store.finish(1, Result({"valid_accuracy": 0.1})), "the caller hears that its result did not count"
    assert [t.result for t in store.finished()] == [RESULT]
    assert store.claim("w1") is None


def check_attempts(store: Store) -> None:
    """A worker has one row at a time, and what one says late changes nothing of a row that another one has by now."""
    for number in range(2):
        store.add(Proposal((number,)), str(number), number)
    first = store.claim("w0")
    assert first is not None
    assert store.claim("w0") == first, "a worker that never heard of its claim is given that row again"
    store.beat("w0")
    assert store.requeue(0.0, "w0") == 1
    taken = store.claim("w1")
    assert taken is not None and taken.id == first.id
    assert not store.finish(first.id, Result({"valid_accuracy": 0.1}), "w0"), "the row is another worker's by now"
    assert (store.put_back("w0"), store.requeue(0.0, "w0"), store.finished()) == (0, 0, [])
    assert [(row.id, row.status) for row in store.unfinished()] == [(1, "running"), (2, "pending")]
    assert store.finish(first.id, RESULT, "w1")
    assert store.finish(first.id, RESULT, "w1"), "what counted counts, also for a worker that never got to hear of it"
    assert not store.finish(first.id, Result({"valid_accuracy": 0.1}), "w1")
    assert not store.finish(first.id, RESULT, "w0")
    second = store.claim("w0")
    assert second is not None
    store.put_back("w0")
    assert store.finish(second.id, RESULT, "w0"), "a late result counts where nobody has the row"
    assert [(row.id, row.result) for row in store.finished()] == [(1, RESULT), (2, RESULT)]
    assert (store.claim("w0"), store.unfinished()) == (None, [])


def check_losses(store: Store) -> None:
    """A lost row is asked again three times, then fails; rows of living workers and others' rows are left alone."""
    store.add(PROPOSAL, "key", 1)
    for _ in range(4):
        assert store.finished() == []
        trial = store.claim("w0")
        assert trial is not None
        store.beat("w0")
        assert store.requeue(3600.0) == 0, "a worker that has just beaten is alive"
        assert store.requeue(0.0, "w1") == 0, "only the named worker's rows"
        assert store.requeue(0.0, "w0", "it was killed") == 1
    [row] = store.finished()
    assert row.result is not None
    assert (row.status, row.result.failure) == ("failed", "lost")
    assert row.result.message.endswith("it was killed"), "the row says what it died of"


def check_put_back(store: Store) -> None:
    """Rows of workers that were stopped on purpose go back as often as one likes, the oldest first."""
    for number in range(2):
        store.add(Proposal((number,)), str(number), number)
    for _ in range(6):
        for name in ("w0", "w1"):
            store.claim(name)
            store.beat(name)
        assert store.put_back("w0") == 1
        assert store.put_back() == 1
    trial = store.claim("w0")
    assert trial is not None
    assert trial.id == 1


def check_threads(store: Store, rows: int = 200, threads: int = 8) -> None:
    """Claims by many threads are unique, and every finish gets a place of its own."""
    for number in range(rows):
        store.add(Proposal((number,)), str(number), number)
    claimed: list[int] = []

    def work(name: str) -> None:
        while (trial := store.claim(name)) is not None:
            claimed.append(trial.id)
            store.finish(trial.id, RESULT)

    team = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(threads)]
    for thread in team:
        thread.start()
    for thread in team:
        thread.join()
    assert sorted(claimed) == list(range(1, rows + 1))
    assert [trial.finish for trial in store.finished()] == list(range(1, rows + 1))


def check_facts(store: Store) -> None:
    """Facts and workers are remembered."""
    assert store.recall("run") is None
    store.remember("run", "seed = 0")
    store.remember("run", "seed = 1")
    assert store.recall("run") == "seed = 1"
    assert not store.exchange("run", "seed = 0", "seed = 2") and store.recall("run") == "seed = 1"
    assert store.exchange("run", "seed = 1", "seed = 2") and store.recall("run") == "seed = 2"
    assert not store.exchange("other", "a", None)
    assert store.exchange("other", None, "a") and not store.exchange("other", None, "b")
    assert store.exchange("other", "a", None) and store.recall("other") is None
    store.add(PROPOSAL, "key", 1)
    store.claim("w0")
    store.beat("w0", "step 3")
    [worker] = store.workers()
    assert (worker.name, worker.trial_id, worker.activity) == ("w0", 1, "step 3")


CHECKS: Final = (
    check_rows,
    check_sums,
    check_first_finish_wins,
    check_attempts,
    check_losses,
    check_put_back,
    check_threads,
    check_facts,
)
