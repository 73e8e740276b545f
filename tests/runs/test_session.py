"""Playing a run: what is refused before anything is written, what is noted, and how it is summed up."""

from contextlib import closing, contextmanager, nullcontext
from dataclasses import replace

import pytest
from rich.console import Console

from netwright.core import building
from netwright.core.errors import BadReference, StoreError
from netwright.core.refs import Reference
from netwright.core.run_file import Limits, RunFile
from netwright.runs import ownership, run_folder
from netwright.runs.session import Drained, Session
from netwright.stores import served_file
from netwright.stores.served_file import Served
from netwright.testing.toys import ToyEvaluator
from tests.comparison.tables import small

TOYS = "netwright.testing.toys"
RUN = RunFile(
    space=Reference(f"{TOYS}:ToySpace"),
    strategy=Reference("random"),
    task=Reference(f"{TOYS}:ToyTask"),
    evaluator=Reference(f"{TOYS}:ToyEvaluator"),
    executor=Reference("inline"),
    limits=Limits(trials=3),
)


def nobody(_controller, _say):
    return nullcontext()


def drained(controller, _say):
    controller.drain()
    return nullcontext()


@contextmanager
def drained_at_the_end(controller, _say):
    """One Ctrl-C while the last trial runs."""
    look = controller._ending

    def ending():
        if (found := look()) == "trials":
            controller.drain()
        return found

    controller._ending = ending
    yield


def play(folder, run=RUN, attended=nobody, **more):
    session, parts = Session(Console(quiet=True), attended, ""), building.build(run)
    with ownership.opened(folder, run) as opened:
        return session.play(opened, parts, title="toys", **{"facts": {"command": "netwright search x"}, **more})


def recalled(folder, name):
    with closing(run_folder.open_table(folder, "read")) as store:
        return store.recall(name)


def test_a_run_is_played_noted_and_summed_up(tmp_path):
    ended = play(tmp_path)
    assert [trial.finish for trial in ended.trials] == [1, 2, 3]
    assert all(trial.scores for trial in ended.trials)
    assert (ended.ending, recalled(tmp_path, "ending")) == ("trials", "trials")
    assert ended.work
    assert recalled(tmp_path, "command") == "netwright search x"
    assert recalled(tmp_path, "io") and recalled(tmp_path, "versions")


def test_more_of_it_goes_on_and_a_complete_one_has_nothing_to_do(tmp_path):
    first = play(tmp_path)
    more = play(tmp_path, replace(RUN, limits=Limits(trials=5)))
    assert more.trials[:3] == first.trials and len(more.trials) == 5
    again = play(tmp_path, replace(RUN, limits=Limits(trials=5)), when_ready=pytest.fail)
    assert (again.trials, again.work) == (more.trials, "")


def test_what_a_killed_server_left_is_taken_away_where_the_run_goes_on_without_one(tmp_path):
    play(tmp_path)
    Served("tcp://127.0.0.1:7077", "secret", "run").write(tmp_path)
    (tmp_path / served_file.CERTIFICATE).touch()
    left = []

    def looking(_controller, _say):
        left.extend(path.name for path in tmp_path.glob("served.*"))
        return nullcontext()

    play(tmp_path, replace(RUN, limits=Limits(trials=5)), looking)
    assert left == []


def test_what_is_refused_once_the_data_is_ready_leaves_nothing(tmp_path):
    def refuse():
        raise BadReference("no good")

    with pytest.raises(BadReference):
        play(tmp_path / "run", when_ready=refuse)
    assert not (tmp_path / "run").exists()


def test_a_strategy_with_nothing_more_to_ask_has_exhausted_the_space(tmp_path):
    ended = play(tmp_path, replace(RUN, strategy=Reference("listed", {"genotypes": [[1] * 12]})))
    assert (ended.ending, len(ended.trials)) == ("exhausted", 1)


class Remarking(ToyEvaluator):
    """Says on what it works."""

    def remarks(self):
        return ("trainings run on a card",)


def test_what_an_evaluator_remarks_is_said_before_the_first_trial_and_where_a_run_goes_on(tmp_path, monkeypatch):
    """Such as the precision: a run of an earlier version stores none, and goes on in that which is now the default."""
    said = []
    monkeypatch.setattr(Session, "say", lambda _self, text: said.append(text))
    run = replace(RUN, evaluator=Reference("tests.runs.test_session:Remarking"))
    for trials, times in ((3, 1), (3, 1), (5, 2)):
        play(tmp_path, replace(run, limits=Limits(trials=trials)))
        assert said.count("trainings run on a card") == times


def test_a_stop_on_the_way_is_no_end(tmp_path):
    with pytest.raises(Drained):
        play(tmp_path, attended=drained)
    assert recalled(tmp_path, "ending") is None
    assert len(play(tmp_path).trials) == 3


def test_other_data_is_refused_and_nothing_is_noted(tmp_path):
    data = tmp_path / "data"
    data.write_text("one")
    run = replace(RUN, task=Reference(f"{small.STRANGE}:Stamped", {"path": str(data)}))
    play(tmp_path / "run", run)
    data.write_text("two")
    more = replace(run, limits=Limits(trials=5))
    with pytest.raises(StoreError, match="have changed since this run began"):
        play(tmp_path / "run", more, facts={"command": "another"})
    assert recalled(tmp_path / "run", "command") == "netwright search x"
    assert run_folder.settings_in(tmp_path / "run").limits.trials == 3
    with pytest.raises(StoreError, match="have changed since this run began"):
        play(tmp_path / "run", run)  # nothing is left to do, and nothing that was done is of this data


def test_how_many_workers_may_join_is_noted_where_the_evaluator_says_so(tmp_path):
    play(tmp_path / "any")
    assert recalled(tmp_path / "any", "max_workers") is None
    options = {"pool": 6, "new": 2, "fresh": 1}
    shared = replace(RUN, evaluator=Reference(f"{TOYS}:ToySharedEvaluator", options), limits=Limits(trials=12))
    assert [trial.proposal.budget for trial in play(tmp_path / "one", shared).trials] == [1] * 6 + [2] * 6
    assert recalled(tmp_path / "one", "max_workers") == "1"


def test_a_stop_during_the_last_trial_is_heeded_where_the_command_would_go_on(tmp_path):
    """All trials are there, but what comes behind them must not begin."""
    assert play(tmp_path / "alone", attended=drained_at_the_end).ending == "trials"
    with pytest.raises(Drained):
        play(tmp_path / "stage", attended=drained_at_the_end, goes_on=True)
    again = play(tmp_path / "stage", goes_on=True)
    assert again.ending == "trials" and len(again.trials) == 3
