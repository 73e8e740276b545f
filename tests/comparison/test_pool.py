"""Processes play what a direct call plays, whatever strategies do to them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

from netwright.comparison import courses, pool, strategy_refs
from netwright.comparison.courses import SearchCell
from netwright.comparison.tables import table_search
from netwright.comparison.tables.player import PROGRAM, TablesOrder
from netwright.core import refs
from netwright.core.errors import WorkerError
from netwright.core.run_file import Limits
from tests.comparison.tables import small


@pytest.fixture
def table(tmp_path):
    return small.prepared(small.write(tmp_path / "t.csv")).plan.tables[0]


def order(table, *strategies, trials=12):
    return vars(TablesOrder({"t": str(table)}, {name: name for name in strategies}, trials, None))


def cells(seeds, *strategies):
    return [SearchCell(name, "t", seed) for seed in range(seeds) for name in strategies]


def without_time(cell, course):
    return courses.to_line(cell, replace(course, elapsed=np.zeros(len(course), np.int64)))


@pytest.mark.parametrize("workers", [1, 3])
def test_every_cell_is_played_once_and_as_by_a_direct_call(table, tmp_path, workers):
    names = ("random", "local_search", "aging(population=4,sample=2)")
    played = list(pool.play(order(table, *names), cells(5, *names), workers, tmp_path / "logs", PROGRAM))
    assert sorted(map(str, (each.cell for each in played))) == sorted(map(str, cells(5, *names)))
    loaded = refs.load("table", table)
    for each in played:
        reference = refs.parse(each.cell.strategy)
        strategy, source = table_search.strategy_of(reference, loaded), strategy_refs.source_of(reference)
        expected = table_search.play(loaded, strategy, Limits(trials=12), each.cell.seed, source)
        assert without_time(each.cell, each.course) == without_time(each.cell, expected)


def test_a_fault_of_a_strategy_ends_one_cell_and_says_where(table, tmp_path):
    raising, stray = f"{small.STRANGE}:Raising", f"{small.STRANGE}:Stray"
    played = list(
        pool.play(order(table, raising, stray, "random"), cells(3, raising, stray, "random"), 2, tmp_path, PROGRAM)
    )
    faults = {each.cell.strategy: each.fault for each in played}
    assert faults["random"] == ""
    assert faults[raising].startswith("KeyError: 'two\\nlines' (strange.py:")
    assert "the strategy proposed 100 genotypes that do not fit the space" in faults[stray]
    assert sum(each.course is None for each in played) == 6


def test_a_process_that_dies_costs_the_cell_it_was_at(table, tmp_path):
    dying = f"{small.STRANGE}:Dying"
    played = list(pool.play(order(table, dying, "random"), cells(4, "random", dying), 2, tmp_path / "logs", PROGRAM))
    assert len(played) == 8
    faults = {each.cell: each.fault for each in played if each.course is None}
    assert set(faults) == set(cells(4, dying))
    said = "its process was killed by SIGKILL (9), perhaps because memory ran out: last words"
    assert all(fault.startswith(said) for fault in faults.values())


def test_what_is_no_course_is_the_fault_of_the_cell_that_was_played(table, tmp_path):
    loaded = refs.load("table", table)
    course = table_search.play(loaded, table_search.strategy_of(refs.parse("random"), loaded), Limits(trials=3), 0)
    [cell, other] = cells(2, "random")
    line = courses.to_line(cell, course)
    own = pool._Pool({}, pool._Waiting([cell, other], 1), tmp_path, PROGRAM)
    assert courses.to_line(cell, own._played(cell, line).course) == line
    assert own._played(other, line) is None, "a late answer of another cell"
    for noise in ("", "{}", "[]", "3", '{"fault": 3}', "[" * 9999, "9" * 5000, "no JSON"):
        assert own._played(cell, noise + "\n").fault.startswith("its process answered what is no course: ")
    assert own._played(cell, '{"fault": "too\\nlate"}\n').fault == "too\nlate"


def test_more_processes_than_memory_holds_are_refused_before_any_is_started(table, tmp_path, monkeypatch):
    monkeypatch.setattr(pool.room, "free_mb", lambda: 1000.0)
    monkeypatch.setattr(pool, "Popen", None)
    with pytest.raises(WorkerError, match=r"--workers is 1000000, but .* give fewer, at most 3"):
        list(pool.play(order(table, "random"), cells(1, "random"), 10**6, tmp_path / "logs", PROGRAM))
    assert not (tmp_path / "logs").exists()


def test_what_a_strategy_leaves_behind_ends_with_its_process(table, tmp_path):
    name = f"{small.STRANGE}:Spawning"
    list(pool.play(order(table, name), cells(1, name), 1, tmp_path, PROGRAM))
    pid = int((tmp_path / "p0.log").read_text())
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_strategy_that_ends_its_program_or_its_process(table, tmp_path):
    """The one is a fault like any other, the other no lack of memory."""
    leaving, exiting = f"{small.STRANGE}:Leaving", f"{small.STRANGE}:Exiting"
    played = list(pool.play(order(table, leaving, exiting), cells(2, leaving, exiting), 1, tmp_path / "logs", PROGRAM))
    faults = {each.cell.strategy: each.fault for each in played}
    assert len(played) == 4
    assert faults[leaving].startswith("SystemExit: enough (strange.py:")
    assert faults[exiting].startswith("its process ended with exit code 3: it said nothing in")


def test_what_a_dead_process_had_before_it_is_played_by_another(table, tmp_path):
    """Groups are large by then: the cells behind the one that killed it go back, and none is played twice."""
    name = f"{small.STRANGE}:Fragile"
    played = list(pool.play(order(table, name), cells(40, name), 1, tmp_path / "logs", PROGRAM))
    assert sorted(each.cell.seed for each in played) == list(range(40))
    assert 3 <= sum(each.course is None for each in played) <= 15


def test_what_strategies_print_goes_to_the_log(table, tmp_path):
    name = f"{small.STRANGE}:Printing"
    played = list(pool.play(order(table, name), cells(2, name), 1, tmp_path, PROGRAM))
    assert all(each.course is not None for each in played)
    assert "hello" in (tmp_path / "p0.log").read_text()


def test_processes_that_cannot_start_are_said_to(table, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(WorkerError, match="a process that plays searches cannot start: it said nothing in"):
        list(pool.play(order(table, "random"), cells(1, "random"), 1, tmp_path, PROGRAM))


def test_slow_strategies_are_given_out_in_small_groups(table):
    waiting = pool._Waiting(cells(100, "slow", "fast"), 2)
    loaded = refs.load("table", table)
    course = table_search.play(loaded, table_search.strategy_of(refs.parse("random"), loaded), Limits(trials=3), 0)
    assert [len(waiting.next()), len(waiting.next())] == [1, 1], "of what is not known, one"
    for name, seconds in (("slow", 0.3), ("fast", 1e-4)):
        waiting.learn(
            SearchCell(name, "t", 0), replace(course, elapsed=(np.arange(1, 4) * seconds / 3 * 1e6).astype(int))
        )
    groups = []
    while group := waiting.next():
        groups.append((group[0].strategy, len(group)))
    assert max(count for name, count in groups if name == "slow") == 3
    assert groups[0][0] == "slow", "what takes longest begins"
    fast = [count for name, count in groups if name == "fast"]
    assert max(fast) > 20 and fast[-1] == 1, "less and less towards the end"
    assert sum(count for _, count in groups) == 198


def test_nobody_is_left_when_the_iterator_is_closed(table, tmp_path):
    name = f"{small.STRANGE}:Slow(seconds=60.0)"
    playing = pool.play(order(table, name, "random"), cells(1, "random", name), 2, tmp_path, PROGRAM)
    next(playing)
    children = psutil.Process().children()
    mine = [child for child in children if "netwright.comparison.tables.player" in " ".join(child.cmdline())]
    assert len(mine) == 2
    playing.close()
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in mine)


def test_nobody_is_left_when_the_parent_is_killed(table, tmp_path):
    """However busy: the end of the input reaches a process in the middle of an ask."""
    name = f"{small.STRANGE}:Slow(seconds=60.0)"
    program = f"""
        from pathlib import Path
        from netwright.comparison import pool
        from netwright.comparison.courses import SearchCell
        from netwright.comparison.tables.player import PROGRAM, TablesOrder
        order = vars(TablesOrder({{"t": {str(table)!r}}}, {{{name!r}: {name!r}}}, 5, None))
        cells = [SearchCell({name!r}, "t", seed) for seed in range(2)]
        list(pool.play(order, cells, 2, Path({str(tmp_path)!r}), PROGRAM))
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], cwd=Path(__file__).parents[2])
    try:
        children = []
        while len(children) < 2 or any(child.num_threads() < 2 for child in children):  # one thread listens
            assert parent.poll() is None
            time.sleep(0.05)
            children = psutil.Process(parent.pid).children()
    finally:
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
