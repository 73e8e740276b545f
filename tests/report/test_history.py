"""Columns say what the trials do, of however many pages, and no command reads a whole table at once."""

import sqlite3
from contextlib import closing

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.core import objectives, ranking, run_file
from netwright.core.errors import StoreError
from netwright.core.records import Proposal, Result, Trial, has_stopped_early
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.report import curves, history, page, progress, promotions
from netwright.report.history import History
from netwright.runs import reporting, run_folder
from netwright.runs.run import Run
from netwright.spaces.hierarchical import HierarchicalSpace
from netwright.stores.sqlite import SqliteStore

SPACE = HierarchicalSpace()


@st.composite
def searches(draw):
    """Finished trials whose parents and continued trials may be any, themselves and missing ones included."""
    count = draw(st.integers(0, 12))
    ids = draw(st.permutations(range(1, count + 1)))
    some_id = st.integers(1, count + 2)
    trials = []
    for finish, trial_id in enumerate(ids, 1):
        score = draw(st.none() | st.integers(0, 3).map(float))
        proposal = Proposal(
            (0,),
            tuple(draw(st.lists(some_id, max_size=2))),
            draw(st.none() | st.integers(1, 3)),
            draw(st.none() | some_id),
            draw(st.dictionaries(st.sampled_from(["bracket", "round", "model_tau"]), st.integers(1, 2).map(float))),
        )
        result = Result(failure="error", message=draw(st.sampled_from(["a", "b"])))
        if score is not None:
            ended = {"stopped_early": 1.0} if draw(st.booleans()) else {}
            result = Result({"score": score, "params": 1.0, **ended}, seconds=draw(st.floats(0, 9)))
        scores = None if score is None else (score,)
        status = "failed" if score is None else "done"
        key = draw(st.sampled_from("xyz"))
        trials.append(Trial(trial_id, proposal, key, 0, status, result, scores, finish))
    return trials


@settings(max_examples=80, deadline=None)
@given(searches())
def test_what_columns_say_is_what_the_trials_say(trials):
    found = History.of(trials)
    best = found.best()
    assert (None if best is None else trials[best]) == objectives.best(trials)
    judged = objectives.judged_budget(trials)
    scored = [trial for trial in trials if trial.scores]
    is_one = all(trial.proposal.budget == judged for trial in scored)
    assert found.is_judged.tolist() == [is_one or trial.proposal.budget == judged for trial in trials]
    seen, top = {}, max((trial.proposal.budget or 0 for trial in scored), default=0)
    for trial in sorted(
        scored,
        key=lambda each: (top if has_stopped_early(each) else each.proposal.budget or 0, each.scores),
        reverse=True,
    ):
        seen.setdefault(trial.key, trial)
    assert curves.finalists(found) == list(seen.values())
    by_id = {trial.id: trial for trial in trials}
    for place, trial in enumerate(trials):
        line = [trial]
        while (parents := line[0].proposal.parents) and parents[0] in by_id and by_id[parents[0]] not in line:
            line.insert(0, by_id[parents[0]])
        assert found.trials(curves.lineage(found, place)) == line
    assert [found.trial(number) for number in range(1, len(trials) + 3)] == [
        by_id.get(number) for number in range(1, len(trials) + 3)
    ]


@settings(max_examples=80, deadline=None)
@given(searches())
def test_promotions_are_those_of_each_trial_followed_alone(trials):
    by_id = {trial.id: trial for trial in trials}
    pairs = {}
    for trial in trials:
        after, before = trial, by_id.get(trial.proposal.continues)
        while before is not None and (before.proposal.budget or 0) < (after.proposal.budget or 0):
            if before.proposal.budget is not None:
                both = pairs.setdefault((before.proposal.budget, trial.proposal.budget), [])
                both += [(before.scores[0], trial.scores[0])] if before.scores and trial.scores else []
            after, before = before, by_id.get(before.proposal.continues)
    found = promotions.summarize(History.of(trials))
    assert (found is None) == (not pairs)
    if found is None:
        return
    assert {(each.low, each.high): each.networks for each in found.agreements} == {k: len(v) for k, v in pairs.items()}
    for each in found.agreements:
        x, y = np.array(pairs[each.low, each.high]).reshape(-1, 2).T
        np.testing.assert_equal(each.kendall, ranking.kendall(x, y) if len(x) >= ranking.FEWEST else np.nan)
    continued = {trial.proposal.continues for trial in trials}
    for number, rungs in [(None, found.rungs), *found.brackets.items()]:
        for rung in rungs:
            here = [t for t in trials if t.proposal.budget == rung.budget]
            here = [t for t in here if number is None or t.proposal.notes.get("bracket") == number]
            scores = [t.scores[0] for t in here if t.scores]
            assert (rung.trials, rung.failed) == (len(here), len(here) - len(scores))
            assert (rung.promoted, rung.best) == (sum(t.id in continued for t in here), max(scores, default=None))


def searched(folder, trials=25):
    """A run of mutants in a folder, of which every fifth fails."""
    folder.mkdir()
    rng, genotype = np.random.default_rng(0), SPACE.trivial()
    with closing(run_folder.open_table(folder, "write")) as store:
        store.remember("format", str(run_folder.FORMAT))
        store.remember("run", run_file.to_toml(RunFile(Reference("hierarchical"), objectives=("valid_accuracy",))))
        for number in range(1, trials + 1):
            proposal = Proposal(genotype, (number - 1,) if number > 1 else ())
            result = Result({"valid_accuracy": number / 100, "params": 7.0}, seconds=1.0)
            failed = Result(failure="error", message=f"no {number}")
            store.add(proposal, SPACE.key(genotype), 0, result if number % 5 else failed)
            genotype = SPACE.mutate(genotype, rng)
    return folder


def test_networks_have_the_same_numbers_in_every_process():
    """By them networks are drawn: Python's hash of a text, which differs from process to process, would draw others."""
    keys = ["a", "", "\u00e4", "a"]
    trials = [Trial(n, Proposal((0,)), key, 0, "done", Result({}), None, n) for n, key in enumerate(keys, 1)]
    found = History.of(trials).keys.tolist()
    assert found == [3405396810240292928, -5426141060434712860, 4152366542966443504, 3405396810240292928]


def test_a_table_is_read_in_pages(tmp_path, monkeypatch):
    """A report, what is trained and what is shown ask for no more than a page; the numbers are those of all rows."""
    folder = searched(tmp_path / "a")
    whole = Run(folder).trials
    monkeypatch.setattr(history, "PAGE", 4)
    monkeypatch.setattr(progress, "IN_FULL", 0)
    asked, finished = [], SqliteStore.finished

    def noted(self, after=0, most=None):
        asked.append(most)
        return finished(self, after, most)

    monkeypatch.setattr(SqliteStore, "finished", noted)
    run = reporting.reported(folder)
    page.write(tmp_path / "out", [run])
    assert {most is not None and most <= 4 for most in asked} == {True}
    assert Run(folder).best == whole[23]
    expected = History.of(whole)
    for name in history.COLUMNS:
        np.testing.assert_array_equal(getattr(run.history, name), getattr(expected, name), name)
    assert run.history.trials([3, 0, 24]) == [whole[3], whole[0], whole[24]]


def test_damaged_rows_are_named_and_left_out(tmp_path):
    folder = searched(tmp_path / "a")
    run = reporting.reported(folder)
    with closing(sqlite3.connect(folder / "trials.sqlite")) as db, db:
        db.execute("UPDATE trials SET metrics = replace(metrics, '0', '1') WHERE id IN (3, 7)")
    damaged = reporting.reported(folder)
    assert (len(damaged.history), len(damaged.faults), run.faults) == (23, 2, ())
    text = page.write(tmp_path / "out", [damaged]).read_text(encoding="utf-8")
    assert "trial 3 is damaged" in text
    assert "trial 7 is damaged" in text
    with pytest.raises(StoreError, match="have changed while it was read"):
        run.history.trials([2])


def test_reasons_of_failure_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr(history, "MOST_REASONS", 20)
    monkeypatch.setattr(page, "MOST_REASONS", 10)
    failed = [
        Trial(n, Proposal((0,)), "k", 0, "failed", Result(failure="error", message="x" * 999 + str(n % 50)), None, n)
        for n in range(1, 101)
    ]
    assert curves.failures(History.of(failed))[0].times == 100, "what is alike in its first letters is one reason"
    failed = [
        Trial(n, Proposal((0,)), "k", 0, "failed", Result(failure="error", message=f"no {n}"), None, n)
        for n in range(1, 101)
    ]
    groups = curves.failures(History.of(failed))
    assert (len(groups), groups[0].reason, groups[0].times, groups[0].trial_ids[0]) == (21, history.OTHER, 80, 21)
    folder = tmp_path / "out"
    text = page.write(
        folder,
        [reporting.ReportedRun("a", RunFile(Reference("hierarchical"), objectives=("s",)), History.of(failed), SPACE)],
    )
    assert "11 other reasons" in text.read_text(encoding="utf-8")
