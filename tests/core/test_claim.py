"""A run has one controller, whatever is tidied away; a claim is broken only when its owner is dead."""

import os
import threading
from dataclasses import replace

import pytest

from netwright.controller import Search
from netwright.core import claim, liveness
from netwright.core.claim import FACT, Owner, Watch, living_owner, taken
from netwright.core.errors import ControlLost
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.strategies.random import RandomSearch
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask

TABLE = 7


@pytest.fixture
def store():
    return MemoryStore()


def the_table():
    return TABLE


def left_behind(store, **changes):
    """A claim that an owner left without giving it back."""
    owner = replace(Owner(os.getpid(), liveness.birth(), "here", TABLE, 3), **changes)
    store.remember(FACT, owner.to_json())
    return owner


def elsewhere():
    boot, _, ticks = liveness.birth().split("/")
    return f"{boot}/1/{ticks}"


def never(_seconds):
    raise AssertionError("it can be seen, and is not watched")


def test_one_at_a_time_and_given_back(store):
    with taken(store, the_table, never):
        assert living_owner(store, TABLE).pid == os.getpid()
        with pytest.raises(claim.Taken, match=f"process {os.getpid()} on "), taken(store, the_table, never):
            pass
    assert store.recall(FACT) is None and living_owner(store, TABLE) is None


def test_of_many_at_once_one_gets_it(store):
    got, barrier, done = [], threading.Barrier(8), threading.Event()

    def take():
        barrier.wait()
        try:
            with taken(store, the_table, never):
                got.append(1)
                done.wait(30)
        except claim.Taken:
            got.append(0)
        if len(got) == 8:
            done.set()

    team = [threading.Thread(target=take) for _ in range(8)]
    for thread in team:
        thread.start()
    while len(got) < 8:
        done.wait(0.01)
    done.set()
    for thread in team:
        thread.join()
    assert sorted(got) == [0] * 7 + [1]


def test_the_claim_of_a_dead_process_is_broken_at_once(store):
    place = liveness.birth().rpartition("/")[0]
    left_behind(store, born=f"{place}/1")
    with taken(store, the_table, never) as own:
        own.check()


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"pid": "x"}', '{"pid": 1, "born": 2, "host": 3}', "[" * 9999])
def test_what_names_no_process_is_no_claim(store, text):
    store.remember(FACT, text)
    with taken(store, the_table, never):
        pass


def test_a_copy_of_the_table_is_nobodys(store):
    left_behind(store)
    assert living_owner(store, TABLE + 1, never) is None
    with taken(store, lambda: TABLE + 1, never):
        pass


@pytest.mark.parametrize(
    "born", [elsewhere(), "another-boot/1/99", "host far//12.00"], ids=["container", "boot", "host"]
)
def test_an_owner_that_cannot_be_seen_is_watched(store, born):
    """One that counts on is alive, one that does not is dead."""
    owner = left_behind(store, born=born)

    def counting(_seconds):
        store.remember(FACT, replace(owner, beats=owner.beats + 1).to_json())

    with pytest.raises(claim.Taken), taken(store, the_table, counting):
        pass
    waits = []
    with taken(store, the_table, waits.append):
        assert sum(waits) == claim.WATCH


def test_who_wakes_up_and_finds_its_claim_taken_stops(store):
    """Its rows are another controller's by now: it puts none of them back."""
    space = ToySpace()
    with taken(store, the_table) as own:
        other = Owner(1, "another-boot/1/99", "there", TABLE)

        class Thief:
            def asked(self, trial):
                if trial.id == 3:
                    store.remember(FACT, other.to_json())
                    store.claim("theirs")
                    own.count()

            def told(self, trial):
                pass

            def tick(self):
                pass

        search = Search(
            space,
            RandomSearch(space),
            store,
            Inline(ToyEvaluator(space, ToyTask())),
            limits=Limits(trials=9),
            watchers=(Thief(), own),
        )
        with pytest.raises(ControlLost, match="is being searched by process 1 on there now"):
            search.run()
    assert [trial.status for trial in store.unfinished()] == ["running"]
    assert Owner.from_json(store.recall(FACT)) == other, "it gives back what is its own alone"


@pytest.mark.parametrize("later", [0, TABLE + 1])
def test_a_table_that_is_no_more_where_it_was_is_controlled_by_nobody(store, later):
    numbers = iter([TABLE, TABLE, later])
    with taken(store, lambda: next(numbers, later)) as own:
        own.count()
        own.check()
        own.count()
        with pytest.raises(ControlLost, match="was removed or replaced while it was searched"):
            own.check()


def test_a_worker_leaves_with_the_controller_it_came_for(store, monkeypatch):
    owner = left_behind(store)
    assert Watch(store, owner).is_there()
    place = owner.born.rpartition("/")[0]
    dead = left_behind(store, born=f"{place}/1")
    assert not Watch(store, dead).is_there()
    assert not Watch(store, owner).is_there(), "another one has the run"
    unseen, clock = left_behind(store, born=elsewhere()), [0.0]
    monkeypatch.setattr(claim.time, "monotonic", lambda: clock[0])
    watch = Watch(store, unseen)
    clock[0] = claim.WATCH - 1
    assert watch.is_there()
    left_behind(store, born=elsewhere(), beats=4)
    clock[0] = claim.WATCH + 5
    assert watch.is_there(), "it has counted on"
    clock[0] += claim.WATCH
    assert not watch.is_there()
    store.exchange(FACT, store.recall(FACT), None)
    assert not watch.is_there(), "it was given back"
