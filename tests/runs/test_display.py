"""Lines and pictures for people who watch a search."""

import io
import re
import sys
from types import SimpleNamespace

from rich.console import Console

from netwright.core.objectives import Objective
from netwright.core.records import Proposal, Result, Trial
from netwright.runs.display import Display, write
from netwright.stores.memory import MemoryStore


def _told(rows, **kind):
    """What is printed of trials given as (score, budget, message)."""
    out = io.StringIO()
    console = Console(file=out, width=200, **kind)
    with Display(console, MemoryStore(), title="toy", trials=None, objective=Objective("valid_accuracy")) as display:
        for n, (score, budget, message) in enumerate(rows, 1):
            result = Result({"valid_accuracy": score}, message=message)
            display.told(Trial(n, Proposal((n,), budget=budget), str(n), 1, "done", result, (score,), n))
        picture = display._picture()
    Console(file=out, width=200).print(picture)
    return out.getvalue()


def test_scores_stand_with_their_budget_and_the_best_is_of_the_largest():
    out = _told([(0.9, 1, ""), (0.8, 1, ""), (0.5, 4, ""), (0.95, 1, "")])
    lines = out.splitlines()
    assert lines[0] == "trial 1: valid_accuracy 0.9000 at budget 1, 1 finished  best so far"
    assert lines[1] == "trial 2: valid_accuracy 0.8000 at budget 1, 2 finished"
    assert lines[2] == "trial 3: valid_accuracy 0.5000 at budget 4, 3 finished  best so far"
    assert lines[3] == "trial 4: valid_accuracy 0.9500 at budget 1, 4 finished"
    assert "best         trial 3, valid_accuracy 0.5000 at budget 4 (higher is better)" in out


def test_without_budgets_none_is_shown():
    assert _told([(0.5, None, "")]).startswith("trial 1: valid_accuracy 0.5000, 1 finished  best so far\n")


def test_a_promotion_that_was_trained_anew_says_so():
    out = _told([(0.5, 2, "trained anew: trial 1 left no checkpoint")])
    assert out.startswith("trial 1: valid_accuracy 0.5000 at budget 2 (trained anew), 1 finished")


def test_where_time_decides_a_line_comes_once_a_minute_and_says_when_all_is_over(monkeypatch):
    seconds = [1000.0]
    monkeypatch.setattr("netwright.runs.display.time.monotonic", lambda: seconds[0])
    out = io.StringIO()
    console = Console(file=out, width=200)
    display = Display(
        console,
        MemoryStore(),
        title="toy",
        trials=50,
        objective=Objective("valid_accuracy"),
        outlook=lambda: f"search; {seconds[0] - 1000:.0f} s used, all done about 12:30",
    )
    with display:
        for n in range(1, 181):
            seconds[0] += 1
            if n % 10 == 0:
                result = Result({"valid_accuracy": n / 200})
                display.told(Trial(n, Proposal((n,)), str(n), 1, "done", result, (n / 200,), n))
            display.tick()
        picture = display._picture()
    lines = out.getvalue().splitlines()
    assert lines[0] == "search; 0 s used, all done about 12:30"
    first, *later = lines[1:]
    assert first.startswith("search; 10 s used, all done about 12:30; 1/50 finished, 6 a minute; best: trial 10, ")
    assert len(later) == 2, "trials behind the first are no news"
    assert later[0].startswith("search; 70 s used, all done about 12:30; 7/50 finished, 6 a minute; best: trial 70, ")
    Console(file=out, width=200).print(picture)
    assert re.search(r"^now +search; 180 s used", out.getvalue(), re.MULTILINE)


def test_before_anything_finishes_lines_come_often_and_say_what_workers_are_at(monkeypatch):
    seconds = [0.0]
    monkeypatch.setattr("netwright.runs.display.time.monotonic", lambda: seconds[0])
    store, out = MemoryStore(), io.StringIO()
    store.add(Proposal((1,)), "1", 1)
    store.claim("w0")
    store.beat("w0", "step 20 of 60, valid_accuracy_so_far 0.5, train_loss 1.2")
    measure = Objective("valid_accuracy")
    console = Console(file=out, width=200)
    with Display(console, store, title="toy", trials=50, objective=measure, outlook=lambda: "search") as display:
        for _ in range(200):
            seconds[0] += 1
            display.tick()
        failed = Result(failure="error", message="no such thing")
        display.told(Trial(1, Proposal((1,)), "1", 1, "failed", failed, None, 1))
        display.told(Trial(2, Proposal((2,)), "2", 1, "done", Result({"valid_accuracy": 0.5}), (0.5,), 2))
    told = "search; 0/50 finished; w0: trial 1 step 20 of 60, valid_accuracy_so_far 0.5, train_loss 1.2"
    lines = out.getvalue().splitlines()
    assert lines[:7] == ["search", *[told] * 6], "after 15, 30, 45, 60, 120 and 180 s"
    assert lines[7] == "trial 1 failed: error: no such thing"
    assert lines[8].startswith("search; 2/50 finished") and "best: trial 2, valid_accuracy 0.5000" in lines[8]


def test_lines_in_a_notebook_are_plain_ones(capsys):
    """Of which notebooks make one output; `rich` would make one of each."""
    console = Console(file=io.StringIO(), width=20)
    console.is_jupyter = True
    write(console, "one [line] that is longer than the console")
    assert capsys.readouterr().out == "one [line] that is longer than the console\n"
    assert console.file.getvalue() == ""


def test_a_notebook_shows_one_output_with_a_bar(monkeypatch):
    shown, out = [], io.StringIO()

    class Handle:
        def update(self, made):
            shown.append(("update", made))

    def display(made, display_id):
        assert display_id is True
        shown.append(("display", made))
        return Handle()

    own = SimpleNamespace(HTML=str, display=display)
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(display=own))
    console = Console(file=out, width=200)
    console.is_jupyter = True
    seconds = [0.0]
    monkeypatch.setattr("netwright.runs.display.time.monotonic", lambda: seconds[0])
    objective = Objective("valid_accuracy", shown="share")
    with Display(console, MemoryStore(), title="a <b>", trials=4, objective=objective) as display_:
        for n in (1, 2):
            seconds[0] += 1
            display_.told(Trial(n, Proposal((n,)), str(n), 1, "done", Result({"valid_accuracy": n / 4}), (n / 4,), n))
            display_.tick()
    assert [kind for kind, _ in shown] == ["display", "update", "update"]
    assert 'value="2" max="4"' in shown[-1][1] and "a &lt;b&gt;" in shown[-1][1]
    assert "trial 2, valid_accuracy" in shown[-1][1]
    assert out.getvalue() == "", "no lines beside it"


def test_of_many_workers_some_are_shown():
    out, store = io.StringIO(), MemoryStore()
    for number in range(20):
        store.beat(f"w{number}")
        store.add(Proposal((number,)), str(number), number)
        store.claim(f"w{number}")
    console = Console(file=out, width=200)
    with Display(console, store, title="toy", trials=None, objective=Objective("valid_accuracy")) as display:
        console.print(display._picture())
    assert "w15" in out.getvalue()
    assert "w16" not in out.getvalue()
    assert "4 further workers, 4 of them at a trial" in out.getvalue()
