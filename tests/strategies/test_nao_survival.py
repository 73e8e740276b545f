"""A search with NAO is killed in the middle of its rounds and goes on: the table is that of an undisturbed one."""

import json
import sqlite3
import subprocess
import sys
import time

from netwright.controller import Search
from netwright.core.run_file import Limits
from netwright.executors.inline import Inline
from netwright.stores.memory import MemoryStore
from netwright.strategies.nao import Nao
from netwright.testing.toys import ToyEvaluator, ToySpace, ToyTask
from tests.cli.test_bad_input import run
from tests.verified import VERIFIED

TRIALS, SEED = 28, 3
OPTIONS = {"seeds": 8, "new": 8, "top": 4, "lag": 4, "epochs": 20, "flavor": "pt2"}
TOYS = "netwright.testing.toys"


def words(folder, seconds):
    """The command line; everything in one process."""
    return [
        *("search", "--out", str(folder), "--seed", str(SEED), "--trials", str(TRIALS), "--executor", "inline"),
        *("--space", f"{TOYS}:ToySpace", "--task", f"{TOYS}:ToyTask", "--evaluator", f"{TOYS}:ToyEvaluator"),
        *("--evaluator.seconds", str(seconds), "--strategy", "nao", "--json"),
        *(word for name, value in OPTIONS.items() for word in (f"--strategy.{name}", str(value))),
    ]


def rows(folder):
    """Everything but times."""
    if not (folder / "trials.sqlite").exists():
        return []
    with sqlite3.connect(folder / "trials.sqlite") as db:
        return db.execute(
            "SELECT id, genotype, parents, notes, key, seed, status, finish, metrics FROM trials ORDER BY id"
        ).fetchall()


def undisturbed():
    """The same search in memory."""
    space, store = ToySpace(), MemoryStore()
    executor = Inline(ToyEvaluator(space, ToyTask()))
    Search(space, Nao(space, **OPTIONS), store, executor, limits=Limits(trials=TRIALS), seed=SEED).run()
    return [
        (
            *(t.id, compact(t.proposal.genotype), compact(t.proposal.parents), compact(dict(t.proposal.notes))),
            *(t.key, t.seed, t.status, t.finish, compact(dict(t.result.metrics))),
        )
        for t in sorted(store.finished(), key=lambda t: t.id)
    ]


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def kill_at(folder, count):
    """Start the search, and kill it when so many rows have finished."""
    command = [sys.executable, "-m", "netwright.cli.main", *words(folder, 0.06)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    while process.poll() is None:
        if sum(row[6] == "done" for row in rows(folder)) >= count:
            process.kill()
            process.communicate()
            return
        time.sleep(0.005)
    process.kill()
    raise AssertionError(f"{count} trials did not finish: {process.communicate()[0].decode()}")


@VERIFIED
def test_a_killed_search_goes_on_as_if_it_had_not_been(tmp_path, capsys):
    kill_at(tmp_path, 13)  # in the first round, while the second one's model learns
    assert sum(row[6] == "done" for row in rows(tmp_path)) < TRIALS, "killed too late to matter"
    [first, *_] = (tmp_path / "strategy").iterdir()
    assert first.suffix == ".safetensors"
    code, out, errors = run(capsys, *words(tmp_path, 0.06))
    assert code == 0, errors
    found = rows(tmp_path)
    assert found == undisturbed()
    assert {json.loads(row[3]).get("round") for row in found} == {None, 1, 2, 3}
    told = json.loads(out)["model"]
    assert told["round"] == 3 and 0 <= told["learned_pairwise_accuracy"] <= 1 and told["learned_hamming"] >= 0
    assert json.loads(run(capsys, "status", tmp_path, "--json")[1])["model"] == told
    assert "model of round 3: " in run(capsys, "status", tmp_path)[1]
    assert "What the strategy learned" in (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
