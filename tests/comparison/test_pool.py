"""Processes play what a direct call plays, whatever strategies do to them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

from netwright.comparison import courses, plan, pool, tabular
from netwright.comparison.courses import Cell
from netwright.core import refs
from netwright.core.errors import WorkerError
from netwright.core.run_file import Limits
from tests.comparison import small


@pytest.fixture
def table(tmp_path):
    return small.prepared(small.write(tmp_path / "t.csv")).plan.tables[0]


def order(table, *strategies, trials=12):
    return pool.Order({"t": str(table)}, {name: name for name in strategies}, trials, None)


def cells(seeds, *strategies):
    return [Cell(name, "t", seed) for seed in range(seeds) for name in strategies]


def without_time(cell, course):
    line = courses.to_line(cell, course)
    return line.replace(f'"seconds": {course.seconds}', "")


@pytest.mark.parametrize("workers", [1, 3])
def test_every_cell_is_played_once_and_as_by_a_direct_call(table, tmp_path, workers):
    names = ("random", "local_search", "aging(population=4,sample=2)")
    played = list(pool.play(order(table, *names), cells(5, *names), workers, tmp_path / "logs"))
    assert sorted(map(str, (each.cell for each in played))) == sorted(map(str, cells(5, *names)))
    loaded = refs.load("table", table)
    for each in played:
        reference = refs.parse(each.cell.strategy)
        strategy, source = tabular.strategy_of(reference, loaded), tabular.source_of(reference)
        expected = tabular.play(loaded, strategy, Limits(trials=12), each.cell.seed, source)
        assert without_time(each.cell, each.course) == without_time(each.cell, expected)


def test_a_fault_of_a_strategy_ends_one_cell_and_says_where(table, tmp_path):
    raising, stray = f"{small.STRANGE}:Raising", f"{small.STRANGE}:Stray"
    played = list(pool.play(order(table, raising, stray, "random"), cells(3, raising, stray, "random"), 2, tmp_path))
    faults = {each.cell.strategy: each.fault for each in played}
    assert faults["random"] == ""
    assert faults[raising].startswith("KeyError: 'two\\nlines' (strange.py:")
    assert "the strategy proposed 100 genotypes that do not fit the space" in faults[stray]
    assert sum(each.course is None for each in played) == 6


def test_a_process_that_dies_costs_the_cell_it_was_at(table, tmp_path):
    dying = f"{small.STRANGE}:Dying"
    played = list(pool.play(order(table, dying, "random"), cells(4, "random", dying), 2, tmp_path / "logs"))
    assert len(played) == 8
    faults = {each.cell: each.fault for each in played if each.course is None}
    assert set(faults) == set(cells(4, dying))
    assert all("its process ended with exit code -9" in fault and "last words" in fault for fault in faults.values())


def test_what_a_dead_process_had_before_it_is_played_by_another(table, tmp_path):
    """Groups are large by then: the cells behind the one that killed it go back, and none is played twice."""
    name = f"{small.STRANGE}:Fragile"
    played = list(pool.play(order(table, name), cells(40, name), 1, tmp_path / "logs"))
    assert sorted(each.cell.seed for each in played) == list(range(40))
    assert 3 <= sum(each.course is None for each in played) <= 15


def test_what_strategies_print_goes_to_the_log(table, tmp_path):
    name = f"{small.STRANGE}:Printing"
    played = list(pool.play(order(table, name), cells(2, name), 1, tmp_path))
    assert all(each.course is not None for each in played)
    assert "hello" in (tmp_path / "p0.log").read_text()


def test_processes_that_cannot_start_are_said_to(table, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(WorkerError, match="a process that plays searches cannot start: it said nothing in"):
        list(pool.play(order(table, "random"), cells(1, "random"), 1, tmp_path))


def test_slow_strategies_are_given_out_in_small_groups(table):
    waiting = pool._Waiting(cells(100, "slow", "fast"), 2)
    loaded = refs.load("table", table)
    course = tabular.play(loaded, tabular.strategy_of(refs.parse("random"), loaded), Limits(trials=3), 0)
    assert [len(waiting.next()), len(waiting.next())] == [1, 1], "of what is not known, one"
    for name, seconds in (("slow", 0.3), ("fast", 1e-4)):
        waiting.learn(
            Cell(name, "t", 0), courses.Course(*[course.signals] * 2, course.is_repeat, "trials", seconds / 3)
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
    playing = pool.play(order(table, name, "random"), cells(1, "random", name), 2, tmp_path)
    next(playing)
    children = psutil.Process().children()
    mine = [child for child in children if "netwright.comparison.player" in " ".join(child.cmdline())]
    assert len(mine) == 2
    playing.close()
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in mine)


def test_nobody_is_left_when_the_parent_is_killed(table, tmp_path):
    """However busy: the end of the input reaches a process in the middle of an ask."""
    name = f"{small.STRANGE}:Slow(seconds=60.0)"
    program = f"""
        from pathlib import Path
        from netwright.comparison import pool
        from netwright.comparison.courses import Cell
        order = pool.Order({{"t": {str(table)!r}}}, {{{name!r}: {name!r}}}, 5, None)
        list(pool.play(order, [Cell({name!r}, "t", seed) for seed in range(2)], 2, Path({str(tmp_path)!r})))
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


def test_labels_are_enough_to_make_a_strategy_in_another_process():
    for text in ("aging(population=4,sample=2)", "listed(genotypes=[[0,1,2]])"):
        assert plan.label(refs.parse(text)).replace(" ", "") == text
