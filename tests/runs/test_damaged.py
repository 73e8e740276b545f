"""A run whose table was damaged goes on to what it would have found, and says what it set aside."""

import shutil
import sqlite3
from contextlib import closing

import pytest
from typer.testing import CliRunner

from netwright.cli import options
from netwright.cli.app import app
from netwright.core.choosing import Which
from netwright.core.errors import BadReference, StoreError
from netwright.core.run_file import Limits
from netwright.report import progress
from netwright.runs import candidates, run_folder
from netwright.runs.run import Run

TOYS = "netwright.testing.toys"
PARTS = {"space": f"{TOYS}:ToySpace", "task": f"{TOYS}:ToyTask", "evaluator": f"{TOYS}:ToyEvaluator"}


def run_in(folder, trials=8):
    return Run(folder, **PARTS, strategy="aging(population=4,sample=2)", executor="inline", trials=trials)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("searched") / "run"
    run_in(folder).search()
    return folder


@pytest.fixture
def run(searched, tmp_path):
    """The run, copied: the damage is the test's own."""
    return run_in(shutil.copytree(searched, tmp_path / "run"))


def rows(run):
    return [(row.id, row.proposal, row.seed, row.finish, row.result.metrics) for row in run.trials]


def change(run, statements):
    with closing(sqlite3.connect(run.folder / run_folder.TABLE)) as db:
        db.executescript(statements)


def test_it_goes_on_to_the_same_rows(run, capsys):
    before = rows(run)
    change(run, "UPDATE trials SET metrics = '{}' WHERE id = 5; UPDATE trials SET genotype = '[1]' WHERE id IN (2, 8)")
    with pytest.raises(StoreError, match=r"is damaged \(trial 2: .*`netwright search --out .*/run` keeps that aside"):
        run.trials  # noqa: B018
    capsys.readouterr()
    assert run_in(run.folder).search().ended.progress.finished == 8
    said = capsys.readouterr().out
    assert [f"set aside, and asked again: trial {number} is damaged" in said for number in (2, 5, 8)] == [True] * 3
    assert "8/8 finished" in said
    assert "9/8 finished" not in said
    assert rows(run) == before
    assert run_in(run.folder).search().ended.work == "", "it was done"


def test_status_names_what_is_damaged_shows_the_rest_and_fails(run):
    change(run, "UPDATE trials SET metrics = '{\"valid_accuracy\":0.999}' WHERE id = 5")
    for more in ([], ["--json"]):
        done = CliRunner().invoke(app, ["status", str(run.folder), *more])
        assert done.exit_code == 2
        assert "trial 5 is damaged" in done.output
        assert "0.999" not in done.output
    assert "7 of 8 trials finished" in CliRunner().invoke(app, ["status", str(run.folder)]).output


def test_rows_that_are_missing_are_said(run):
    table = run.folder / run_folder.TABLE
    before, older = rows(run), table.read_bytes()
    run_in(run.folder, 10).search()
    table.write_bytes(older)
    done = CliRunner().invoke(app, ["status", str(run.folder)])
    assert (done.exit_code, "2 trials are missing: 10 were asked, 8 are there" in done.output) == (2, True)
    with pytest.raises(StoreError, match="2 results are missing"):
        run.trials  # noqa: B018
    run_in(run.folder, 10).search()
    assert rows(run)[:8] == before
    assert len(rows(run)) == 10


def test_a_table_that_is_gone_is_not_begun_anew(run):
    (run.folder / run_folder.TABLE).unlink()
    for begin in (lambda: Run(run.folder), lambda: run.search(), lambda: run_folder.open_table(run.folder, "read")):
        with pytest.raises(StoreError, match="is missing, though a table with 8 trials was there"):
            begin()


@pytest.mark.parametrize(
    "fact",
    [
        *("hours: nan", "versions: [1]", "caveats: inf", "measures: {}", "measures: [{}]", "baselines: {}"),
        *(
            'baselines: ["x"]',
            "baselines: [{}]",
            'baselines: [{"name": "a", "value": "b", "words": ""}]',
            "baselines: [",
        ),
        'baselines: [{"name": "a", "value": NaN, "words": "c"}]',
    ],
)
def test_facts_are_what_they_must_be(run, fact):
    name, _, text = fact.partition(": ")
    with closing(run_folder.open_table(run.folder, "join")) as store:
        store.remember(name, text)
    with pytest.raises(StoreError, match=f"its fact '{name}' is"):
        run.reported()


def test_sums_of_a_large_table_are_those_of_its_rows(run, monkeypatch):
    with closing(run_folder.open_table(run.folder, "read")) as store:
        names = run_folder.named_objectives(store, run.settings)
        whole = progress.of_table(store, names)
        monkeypatch.setattr(progress, "IN_FULL", 0)
        assert progress.of_table(store, names) == whole
    assert whole.best == max(run.trials, key=lambda row: row.scores)
    assert Limits(trials=8) == run.settings.limits


@pytest.mark.parametrize("command", [["report"], ["show"], ["show", "--json"]])
def test_report_and_show_leave_out_what_is_damaged_and_fail(run, command):
    best = max(run.trials, key=lambda row: row.scores)
    change(run, f"UPDATE trials SET seconds = 9 WHERE id = {best.id}; UPDATE facts SET text = 'x' WHERE name = 'hours'")
    words = [command[0], str(run.folder), "--trust", *command[1:]]
    done = CliRunner().invoke(app, words, obj=options.Typed((), "", 0.0))
    assert done.exit_code == 2
    assert f"damaged: trial {best.id} is damaged" in done.output
    assert "damaged: the fact 'hours' is damaged" in done.output
    assert done.stdout.strip(), "the rest is shown"
    if command == ["report"]:
        page = (run.folder / "report" / "report.html").read_text(encoding="utf-8")
        assert f"trial {best.id} is damaged" in page


def test_the_best_of_a_damaged_table_is_not_trained_but_any_whole_trial_may_be(run):
    change(run, "UPDATE trials SET seconds = 9 WHERE id = 3")
    history = run_folder.history(run.folder, None)
    for asked in ({"which": Which()}, {"which": Which(knee=True)}, {"which": Which(), "top": 2}):
        with pytest.raises(StoreError, match=r"trial 3 is damaged.*may be the best; .*--trial"):
            candidates.chosen(run.folder, history, **asked)
    assert candidates.chosen(run.folder, history, Which(trial=4))[0].trial_id == 4
    with pytest.raises(BadReference, match="no finished trial 3"):
        candidates.chosen(run.folder, history, Which(trial=3))
