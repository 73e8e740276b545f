import threading

import pytest

from netwright.core.records import Proposal, Result
from netwright.stores.memory import MAX_LOSSES, MemoryStore

DONE = Result({"valid_accuracy": 0.5})


def _filled(rows):
    store = MemoryStore()
    for number in range(rows):
        store.add(Proposal((number,)), str(number), number)
    return store


def test_no_other_process_can_reach_it():
    assert MemoryStore().address == ""


def test_the_oldest_pending_row_is_claimed_first_also_after_it_went_back():
    store = _filled(4)
    assert [store.claim(f"w{number}").id for number in range(3)] == [1, 2, 3]
    store.finish(2, DONE)
    assert store.put_back() == 2
    assert [trial.id for trial in store.unfinished()] == [1, 3, 4]
    assert [store.claim(f"w{number}").id for number in range(3)] == [1, 3, 4]
    assert store.claim("w") is None


def test_finished_rows_come_in_order_of_finishing():
    store = _filled(3)
    for trial_id in (3, 1, 2):
        store.finish(trial_id, DONE)
    assert [(trial.id, trial.finish) for trial in store.finished()] == [(3, 1), (1, 2), (2, 3)]
    assert [trial.id for trial in store.finished(after=1)] == [1, 2]
    assert store.finished(after=3) == []


def test_a_late_result_of_a_row_that_was_put_back_takes_it_off_the_queue():
    store = _filled(2)
    store.claim("w")
    store.put_back("w")
    store.finish(1, DONE)
    assert store.claim("w").id == 2


def test_only_rows_of_silent_workers_are_requeued(monkeypatch):
    now = 100.0
    monkeypatch.setattr("netwright.stores.memory.time.monotonic", lambda: now)
    store = _filled(3)
    for name in ("early", "late", "beating"):
        store.claim(name)
        now += 10.0
    store.beat("beating", "step 7")
    now += 5.0  # silent for 35, 25 and 5 seconds
    assert [(w.name, w.silent_seconds, w.activity) for w in store.workers()] == [
        ("early", 35.0, ""),
        ("late", 25.0, ""),
        ("beating", 5.0, "step 7"),
    ]
    assert store.requeue(35.1) == 0
    assert store.requeue(30.0) == 1
    assert [(t.id, t.status) for t in store.unfinished()] == [(1, "pending"), (2, "running"), (3, "running")]
    assert [(w.name, w.trial_id) for w in store.workers()] == [("early", None), ("late", 2), ("beating", 3)]


def test_a_row_lost_too_often_says_so():
    store = _filled(1)
    for _ in range(MAX_LOSSES + 1):
        store.claim("w")
        store.requeue(0.0)
    [row] = store.finished()
    assert (row.status, row.result.failure) == ("failed", "lost")
    assert row.result.message == "its worker died or fell silent 4 times; see the logs of the run"
    assert store.unfinished() == []


def test_a_stop_on_purpose_is_no_loss():
    store = _filled(1)
    for _ in range(10):
        store.claim("w")
        store.put_back()
    assert [trial.status for trial in store.unfinished()] == ["pending"]


def test_rows_of_many_threads_get_ids_of_their_own():
    store, ids = MemoryStore(), []
    adding = [
        threading.Thread(target=lambda: ids.extend(store.add(Proposal((0,)), "k", 0) for _ in range(200)))
        for _ in range(8)
    ]
    for thread in adding:
        thread.start()
    for thread in adding:
        thread.join()
    assert sorted(ids) == list(range(1, 1601))


def test_rows_that_were_handed_out_do_not_change():
    store = _filled(1)
    [pending] = store.unfinished()
    store.claim("w")
    store.finish(1, DONE)
    assert (pending.status, pending.result) == ("pending", None)
    with pytest.raises(AttributeError):
        pending.status = "done"
