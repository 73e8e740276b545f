"""Whatever an evaluator answers or raises becomes a result that any table can hold."""

import errno
import json
import math
import os
import socket
import sqlite3
from contextlib import closing
from dataclasses import dataclass, field, replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from netwright import worker
from netwright.core import attempts, resources, turns
from netwright.core.attempts import Attempt
from netwright.core.errors import BadReference, DeviceLost, NoRoom, PutBack
from netwright.core.records import LOST, MAX_LOSSES, Proposal, Result, Trial
from netwright.core.resources import Resources
from netwright.stores.memory import MemoryStore
from netwright.stores.sqlite import SqliteStore
from netwright.worker import WorkerContext, evaluate, run_once

TRIAL = Trial(1, Proposal((0,)), "key", 1, "running")


class Answers:
    def __init__(self, answer):
        self.answer = answer

    def evaluate(self, trial, context):
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def result_of(answer):
    return evaluate(Answers(answer), TRIAL, WorkerContext(MemoryStore(), None, 1))


@pytest.mark.parametrize(
    "answer",
    [
        OSError("no such file: \udcff"),
        Result({"x": math.nan}, ((1, math.inf),), math.nan, "diverged", "at \udcff"),
        Result({"x": 1.0}, ((1, math.nan),), math.nan),
        Result({"x": 1.0}, seconds=-5.0),
        Result({"x": math.inf}),
        RuntimeError("x" * 1_000_000),
    ],
)
def test_odd_answers_can_be_stored(tmp_path, answer):
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    store.add(Proposal((0,)), "key", 1)
    run_once(store, Answers(answer), "w0", lambda trial: WorkerContext(store, tmp_path, trial.id))
    [row] = store.finished()
    json.dumps(dict(row.result.metrics), allow_nan=False)
    assert math.isfinite(row.result.seconds)
    assert row.result.seconds > 0
    assert len(row.result.message) <= 20_000
    store.close()


@pytest.mark.parametrize("is_asked", [False, True])
def test_who_is_asked_to_stop_is_put_back_and_who_is_not_has_failed(tmp_path, is_asked):
    """Else it would be put back and taken up again for ever."""
    store = MemoryStore()
    store.add(Proposal((0,)), "key", 1)

    def put_back():
        run_once(
            store,
            Answers(PutBack("at step 3")),
            "w0",
            lambda trial: WorkerContext(store, tmp_path, trial.id, on_look=lambda: is_asked),
        )

    if is_asked:
        with pytest.raises(PutBack):
            put_back()
        assert [row.status for row in store.unfinished()] == ["pending"]
    else:
        put_back()
        assert "PutBack: at step 3" in store.finished()[0].result.message


def test_a_failed_result_has_no_metrics():
    assert result_of(Result({"x": 1.0}, failure="diverged", message="at step 3")).metrics == {}


def test_numbers_of_other_kinds_become_plain_ones():
    found = result_of(Result({"x": np.float32(0.5), "n": 3}, ((np.int64(1), np.float64(0.25)),), 2.0))
    assert (found.metrics, found.curve, found.seconds) == ({"x": 0.5, "n": 3}, ((1, 0.25),), 2.0)
    assert type(found.metrics["x"]) is float


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (ValueError("no"), "error"),
        (MemoryError(), "out_of_memory"),
        (RuntimeError("[enforce fail] can't allocate memory: you tried to allocate 80 bytes"), "out_of_memory"),
    ],
)
def test_exceptions_are_told_apart(error, failure):
    assert result_of(error).failure == failure


def test_folders_are_made_when_asked_for_and_removed_unless_kept(tmp_path):
    class Writes:
        def evaluate(self, trial, context):
            (context.folder / "weights").touch()
            return Result({"x": 1.0})

    store = MemoryStore()
    for keep in (False, True):
        store.add(Proposal((0,)), "key", 1)
        run_once(store, Writes(), "w0", lambda trial: WorkerContext(store, tmp_path, trial.id), keep=keep)
    assert [folder.name for folder in tmp_path.iterdir()] == ["000002"]
    context = WorkerContext(store, tmp_path, 3)
    assert context.checkpoint_of(2) == tmp_path / "000002"
    assert context.checkpoint_of(1) is None
    with pytest.raises(RuntimeError, match="this search has no folder"):
        _ = WorkerContext(store, None, 1).folder


@pytest.mark.parametrize(("failure", "left"), [("", ["000003"]), ("error", [])])
def test_a_folder_that_a_trial_may_go_on_from_stays_until_one_has(tmp_path, failure, left):
    class Leaves:
        def evaluate(self, trial, context):
            (context.folder / "state").touch()
            assert trial.proposal.continues is None or context.checkpoint_of(trial.proposal.continues)
            return Result({"x": 1.0}, failure=failure if trial.id == 3 else "")

        def leaves_state(self, trial):
            return trial.proposal.budget < 9

    store = MemoryStore()
    for budget, continues, there in ((1, None, ["000001"]), (3, 1, ["000002"]), (5, 2, left)):
        store.add(Proposal((0,), budget=budget, continues=continues), "key", 1)
        run_once(store, Leaves(), "w0", lambda trial: WorkerContext(store, tmp_path, trial.id))
        assert [folder.name for folder in tmp_path.iterdir()] == there


@pytest.mark.parametrize(
    "fault",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/data/checkpoint"),
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT)),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
@pytest.mark.parametrize("is_wrapped", [True, False])
def test_a_full_disk_is_no_fault_of_a_trial(tmp_path, fault, is_wrapped):
    class Writes:
        def evaluate(self, trial, context):
            if not is_wrapped:
                raise fault
            raise ValueError("the archive could not be written") from fault

    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    store.add(Proposal((0,)), "key", 1)
    with pytest.raises(NoRoom, match=r"trial 1 could not write: the disk is full .* make room"):
        run_once(store, Writes(), "w0", lambda trial: WorkerContext(store, tmp_path, trial.id))
    [row] = store.unfinished()
    assert row.status == "pending"
    store.close()
    with closing(sqlite3.connect(tmp_path / "trials.sqlite")) as db:
        assert db.execute("SELECT losses FROM trials").fetchall() == [(0,)]


def test_a_straggler_whose_result_does_not_count_clears_nothing(tmp_path):
    """Its row was given to another worker, which has finished it: a promotion may read the folder by now."""
    store = MemoryStore()

    class Slow:
        def evaluate(self, trial, context):
            (context.folder / "state").touch()
            store.requeue(0.0)
            if trial.id == 1 and store.unfinished()[0].status == "pending" and not store.finished():
                run_once(store, Leaves(), "w1", lambda trial: WorkerContext(store, tmp_path, trial.id))
            return Result(failure="error", message="too late")

    class Leaves:
        def evaluate(self, trial, context):
            (context.folder / "state").touch()
            return Result({"x": 1.0})

        def leaves_state(self, trial):
            return True

    store.add(Proposal((0,), budget=1), "key", 1)
    run_once(store, Slow(), "w0", lambda trial: WorkerContext(store, tmp_path, trial.id))
    [row] = store.finished()
    assert row.status == "done"
    assert (tmp_path / "000001" / "state").exists()


@pytest.mark.parametrize(("is_taken", "statuses"), [(True, []), (False, ["running"])])
def test_a_result_does_not_count_without_what_the_trial_has_left(tmp_path, is_taken, statuses):
    store = MemoryStore()
    store.add(Proposal((1,)), "k", 1)
    carrier = SimpleNamespace(bring=lambda trial: None, send=lambda trial_id: is_taken, remove=lambda trial_id: None)
    evaluator = Answers(Result({"a": 1.0}))
    run_once(store, evaluator, "w0", lambda trial: WorkerContext(store, tmp_path, trial.id), keep=True, carrier=carrier)
    assert [trial.status for trial in store.unfinished()] == statuses


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (Result({"x": None}), "metric 'x' is None (NoneType); it must be a number"),
        (Result({"x": "0.5"}), "metric 'x' is '0.5' (str); it must be a number"),
        (Result({"x": [1, 2]}), "metric 'x' is [1, 2] (list); it must be a number"),
        (Result({"x": 1j}), "metric 'x' is 1j (complex); it must be a number"),
        (Result({"x": np.zeros(2)}), "metric 'x' is array([0., 0.]) (ndarray); it must be a number"),
        (Result({3: 0.5}), "a metric is named 3 (int); its name must be a text of at most 200 printable characters"),
        (Result({None: 0.5}), "a metric is named None (NoneType)"),
        (Result({"a\nb": 0.5}), "a metric is named 'a\\nb' (str)"),
        (Result({"\udcff": 0.5}), "its name must be a text of at most 200 printable characters"),
        (Result({" ": 0.5}), "its name must be a text of at most 200 printable characters"),
        (Result([("x", 1.0)]), "evaluate returned the metrics [('x', 1.0)] (list); give numbers by name"),
        (Result(None), "evaluate returned the metrics None (NoneType)"),
        (Result({}), "give at least one metric"),
        (Result({"x": 1.0}, curve=((1, None),)), "it must be pairs of a step and a number"),
        (Result({"x": 1.0}, curve=5), "it must be pairs of a step and a number"),
        (Result({"x": 1.0}, seconds="long"), "its seconds are 'long' (str); it must be a number"),
        (Result(failure=ValueError("x")), "it must be one of error, diverged, timeout, out_of_memory, lost"),
        (Result(failure="odd"), "evaluate returned the failure 'odd' (str)"),
    ],
)
def test_what_is_no_result_fails_its_row_with_one_sentence(tmp_path, result, told):
    store = SqliteStore(str(tmp_path / "trials.sqlite"))
    store.add(Proposal((0,)), "key", 1)
    run_once(store, Answers(result), "w0", lambda trial: WorkerContext(store, tmp_path, trial.id))
    [row] = store.finished()
    assert row.result.failure == "error"
    assert told in row.result.message.splitlines()[-1]
    store.close()


@pytest.mark.parametrize(
    ("value", "stored"), [(torch.tensor(0.5), 0.5), (np.array(2), 2.0), (True, 1.0), (2**53 + 1, 2**53 + 1)]
)
def test_arrays_of_one_number_are_numbers(value, stored):
    assert result_of(Result({"x": value})).metrics == {"x": stored}


@pytest.mark.parametrize("value", [10**400, -(10**400), torch.tensor(math.nan), np.inf])
def test_numbers_beyond_any_are_divergence(value):
    assert result_of(Result({"x": value})).failure == "diverged"


def test_a_lost_device_puts_the_row_back_and_ends_the_worker_until_it_was_lost_too_often():
    store = MemoryStore()
    store.add(Proposal((0,)), "key", 1)
    for losses in range(MAX_LOSSES + 1):
        assert ([row.status for row in store.unfinished()], len(store.finished())) == (["pending"], 0), losses
        with pytest.raises(DeviceLost, match=r"^the card is gone$"):
            run_once(store, Answers(DeviceLost("the card is gone")), "w0", lambda trial: WorkerContext(store, None, 1))
    [row] = store.finished()
    assert (row.result.failure, row.result.message) == ("lost", f"{LOST}; the last time, the card is gone")


@dataclass(frozen=True)
class Crowded:
    """Trains on a card that suffices for a trial after so many faults."""

    faults: int
    parts: int = 1
    is_divisible: bool = True
    log: list = field(default_factory=list)

    def cards(self, worker_index):
        return ("GPU-1",)

    def in_more_parts(self, parts, genotype):
        if not self.is_divisible:
            raise BadReference("evaluator.batch is 3, which 2 parts cannot share")
        return replace(self, parts=parts)

    def card_memory(self):
        return None

    def memory_mb(self, genotype):
        return 5_300.0

    def leave_cards(self):
        self.log.append("left")

    def evaluate(self, trial, context):
        is_alone = not is_free(context.folder.parent.parent / resources.FOLDER)
        self.log.append((is_alone, self.parts))
        if len([entry for entry in self.log if entry != "left"]) <= self.faults:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB. And more")
        return Result({"x": 1.0}, message="anew")


def is_free(folder):
    mine = turns.Turns(folder, ["GPU-1"])
    with mine.taken(is_wanted=lambda: False) as has_come:
        found = has_come
    mine.close()
    return found


def ran(store, folder, evaluator, *, is_stopping=False):
    """What a worker makes of the next trial."""
    lent = Resources.of(evaluator, 0, folder, lambda: is_stopping)
    try:
        return run_once(
            store, evaluator, "w0", lambda trial: WorkerContext(store, folder / "trials", trial.id), resources=lent
        )
    finally:
        lent.close()


def crowded_rows(tmp_path, evaluator, kill_at=None):
    """Rows of two trials, the first of which runs out of memory; a worker is lost as attempt `kill_at` begins."""
    path = tmp_path / "trials.sqlite"
    store = SqliteStore(str(path))
    for _ in range(2):
        store.add(Proposal((0,)), "key", 1)
    for attempt in range(8):
        if attempt == kill_at:
            assert store.claim("lost").id == 1
            store.beat("lost")
            store.close()
            store = SqliteStore(str(path))
            store.requeue(0.0, "lost")
        assert store.tally().finished + store.tally().unfinished == 2, "no trial is added or taken away"
        if ran(store, tmp_path, evaluator) is None:
            break
    rows = store.finished()
    store.close()
    return sorted(rows, key=lambda row: row.id)


@pytest.mark.parametrize(
    ("faults", "tries", "message"),
    [
        (0, [(False, 1)], "anew"),
        (1, [(False, 1), (True, 1)], "to itself; anew"),
        (2, [(False, 1), (True, 1), (True, 2)], "halves; anew"),
    ],
)
@pytest.mark.parametrize("kill_at", [None, 1, 2])
def test_a_trial_for_which_a_card_is_full_is_put_back_alone_and_then_in_halves(
    tmp_path, faults, tries, message, kill_at
):
    evaluator = Crowded(faults)
    first, second = crowded_rows(tmp_path, evaluator, kill_at if kill_at and kill_at <= faults else None)
    assert first.status == second.status == "done"
    assert first.result.message.endswith(message)
    assert second.result.message == "anew"
    assert evaluator.log[::2] == [*tries, (False, 1)], (
        "each attempt once, whatever is killed, and the next trial as ever"
    )
    assert set(evaluator.log[1::2]) == {"left"}


@pytest.mark.parametrize(("is_divisible", "tries"), [(True, 3), (False, 2)])
def test_it_fails_when_halves_do_not_fit_either_or_there_are_none(tmp_path, is_divisible, tries):
    evaluator = Crowded(tries, is_divisible=is_divisible)
    first, second = crowded_rows(tmp_path, evaluator)
    assert (first.status, first.result.failure, second.status) == ("failed", "out_of_memory", "done")
    last = first.result.message.strip().splitlines()[-1]
    assert "Tried to allocate 2 GiB" in last and "estimate of 5.3 GB" in last
    assert ("cannot be halved: evaluator.batch is 3" in last) != is_divisible
    assert ("half a batch at a time" in last) == is_divisible


def test_a_worker_that_stops_does_not_wait_for_its_turn(tmp_path):
    store = MemoryStore()
    store.add(Proposal((0,)), "key", 1)
    attempts.note(store, 1, Attempt(1))
    evaluator = Crowded(0)
    beside = turns.Turns(tmp_path / resources.FOLDER, ["GPU-1"])
    with beside.taken(), pytest.raises(PutBack):
        ran(store, tmp_path, evaluator, is_stopping=True)
    beside.close()
    assert [row.status for row in store.unfinished()] == ["pending"]
    assert not evaluator.log


@dataclass
class Large:
    """Takes more than this process may have, until it has the machine to itself and so many parts of a batch."""

    enough: int
    parts: int = 1
    log: list = field(default_factory=list)

    def in_more_parts(self, parts, genotype):
        return replace(self, parts=self.parts * parts)

    def memory_mb(self, genotype):
        return 5_300.0

    def evaluate(self, trial, context):
        mine = turns.Turns(context.folder.parent.parent / resources.FOLDER, [f"machine-{socket.gethostname()}"])
        with mine.taken(is_wanted=lambda: False) as is_shared:
            self.log.append((trial.id, not is_shared, self.parts))
        mine.close()
        if trial.id == 1 and len([entry for entry in self.log if entry[0] == 1]) <= self.enough:
            raise MemoryError("no")
        return Result({"x": 1.0}, message="anew")


@pytest.mark.parametrize(
    ("enough", "tries", "message"),
    [
        (1, [(1, False, 1), (1, True, 1)], "measured with the machine to itself; anew"),
        (2, [(1, False, 1), (1, True, 1), (1, True, 2)], "saw halves; anew"),
        (3, [(1, False, 1), (1, True, 1), (1, True, 2)], None),
    ],
)
def test_memory_of_the_machine_that_runs_out_is_tried_alone_and_then_in_halves(tmp_path, enough, tries, message):
    evaluator = Large(enough)
    first, second = crowded_rows(tmp_path, evaluator)
    assert evaluator.log == [*tries, (2, False, 1)]
    assert (second.status, second.result.message) == ("done", "anew")
    if message:
        assert first.result.message.endswith(message)
        for words in ("the machine's memory ran out", "of memory were free", "held by this process", "5.3 GB"):
            assert words in first.result.message
        return
    last = first.result.message.splitlines()[-1]
    assert (first.status, first.result.failure) == ("failed", "out_of_memory")
    assert "of memory were free" in last and "half a batch at a time, by an estimate of 5.3 GB" in last


def test_what_has_no_batches_is_tried_alone_once(tmp_path):
    rows = crowded_rows(tmp_path, Answers(MemoryError()))
    assert [row.result.failure for row in rows] == ["out_of_memory"] * 2
    last = rows[0].result.message.splitlines()[-1]
    assert last.endswith(
        "that was with the machine to itself; its evaluator cannot work through half a batch at a time"
    )


def test_a_host_that_did_not_know_tries_what_the_table_says_next(tmp_path):
    """Another one, without a disk in common, has tried it."""
    store = MemoryStore()
    store.add(Proposal((0,)), "key", 1)
    attempts.note(store, 1, Attempt(1, "machine"))
    evaluator = Large(1)
    ran(store, tmp_path, evaluator)
    assert attempts.of(store, 1).ran_out == 1, "it was not alone here"
    assert ran(store, tmp_path, evaluator).metrics == {"x": 1.0}
    assert evaluator.log == [(1, False, 1), (1, True, 1)]


def test_a_latency_that_was_estimated_becomes_a_metric():
    trial = replace(TRIAL, proposal=Proposal((0,), notes={"latency_ms": 2.5, "rung": 1.0}))
    found = evaluate(Answers(Result({"x": 1.0})), trial, WorkerContext(MemoryStore(), None, 1))
    assert found.metrics == {"x": 1.0, "latency_ms": 2.5}
    failed = evaluate(Answers(Result(failure="error", message="no")), trial, WorkerContext(MemoryStore(), None, 1))
    assert (failed.metrics, failed.failure) == ({}, "error")
    assert evaluate(Answers(Result({})), trial, WorkerContext(MemoryStore(), None, 1)).failure == "error"


@dataclass
class Making:
    """Makes something ready first, on a clock of its own."""

    clock: list
    fault: Exception | None = None

    def make_ready(self, trial, context):
        self.clock[0] += 100.0
        if self.fault:
            raise self.fault

    def evaluate(self, trial, context):
        self.clock[0] += 2.0
        return Result({"x": 1.0})


@pytest.mark.parametrize(
    ("fault", "failure", "seconds", "told"),
    [
        (None, "", 2.0, [True, False]),
        (ValueError("no good"), "error", 0.0, [True]),
        (MemoryError(), "out_of_memory", 0.0, [True]),
    ],
)
def test_what_is_made_ready_for_many_trials_is_billed_to_none(monkeypatch, fault, failure, seconds, told):
    clock, heard = [0.0], []
    monkeypatch.setattr(worker, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    context = WorkerContext(MemoryStore(), None, 1, on_making=heard.append)
    result = evaluate(Making(clock, fault), TRIAL, context)
    assert (result.failure, result.seconds, heard) == (failure, seconds, told)


def test_stopped_while_something_is_made_ready_puts_the_trial_back(tmp_path):
    store = MemoryStore()
    store.add(Proposal((0,)), "key", 1)
    with pytest.raises(PutBack):
        run_once(
            store,
            Making([0.0], PutBack("stopped")),
            "w0",
            lambda trial: WorkerContext(store, tmp_path, trial.id, on_look=lambda: True),
        )
    assert [trial.status for trial in store.unfinished()] == ["pending"]


@dataclass
class AllThere:
    """Asks for all members of the round of a trial."""

    seen: list = field(default_factory=list)

    def make_ready(self, trial, context):
        self.seen.append([(row.id, row.status) for row in context.members(trial.proposal.budget)])

    def evaluate(self, trial, context):
        return Result({"x": 1.0})


def test_a_trial_is_put_back_until_all_of_its_round_are_in_the_table(tmp_path):
    store, evaluator = MemoryStore(), AllThere()

    def once():
        return run_once(store, evaluator, "w0", lambda trial: WorkerContext(store, tmp_path, trial.id))

    store.add(Proposal((9,)), "other", 1, Result({"x": 1.0}))
    for place in range(3):
        assert once() is None and evaluator.seen == []
        assert [trial.status for trial in store.unfinished()] == ["pending"] * place
        store.add(Proposal((place,), budget=2, notes={"place": place, "members": 3}), str(place), 1)
    assert not once().failure and not once().failure
    assert evaluator.seen == [
        [(2, "running"), (3, "pending"), (4, "pending")],
        [(2, "done"), (3, "running"), (4, "pending")],
    ]


def test_what_a_run_shares_lies_beside_its_trials(tmp_path):
    assert WorkerContext(MemoryStore(), tmp_path / "trials", 1).shared == tmp_path / "shared"
    assert (tmp_path / "shared").is_dir()
    assert WorkerContext(MemoryStore(), None, 1, shared_folder=tmp_path / "own").shared == tmp_path / "own"
    with pytest.raises(RuntimeError, match=r"this search has no folder; .* let trials share files"):
        _ = WorkerContext(MemoryStore(), None, 1).shared
