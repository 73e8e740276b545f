"""The end of a timed run: who enters, who ships, for how long all are trained, and what a resume does not do twice."""

import io
import shutil
import time
from contextlib import closing, nullcontext
from dataclasses import dataclass, replace

import pytest
from rich.console import Console

from netwright.core import building, refs, remembered
from netwright.core import contest as records
from netwright.core.contest import ContestRecord, Entrant, Heat
from netwright.core.errors import BadRunFile, StoreError
from netwright.core.finals import PLAIN, SEARCHED, Candidate
from netwright.core.objectives import Objective
from netwright.core.records import Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.runs import ownership, retraining, run_folder
from netwright.runs.session import Drained, Session
from netwright.runs.timed import contest, heats, reference, timetable
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.states import Begun
from netwright.training import pace as training_pace
from tests.contest_toys import ToyStarting

ACCURACY = Objective("valid_accuracy", shown="share")
SPACE = ToyStarting()
BEST, SECOND, START = (3,) * 11 + (1,), (3,) * 10 + (0, 0), (2,) * 12


@dataclass(frozen=True)
class Times:
    finalists: int = 2
    rank_seconds: float = 20.0
    final_seconds: float = 60.0
    heats: tuple = ()


def run_with(rows, folder, **options):
    """A run whose search is over; rows are (genotype, score, budget), whose trials left states.

    A fourth entry of a row: metrics besides.
    """
    run = RunFile(
        space=Reference("tests.contest_toys:ToyStarting"),
        task=Reference("netwright.testing.toys:ToyTask"),
        evaluator=Reference("tests.contest_toys:PacedToy", {"pace": True, **options}),
        executor=Reference("inline"),
        strategy=Reference("random"),
        objectives=("valid_accuracy",),
        threads_per_trial=1,
    )
    with ownership.opened(folder, run) as opened, opened.table() as (store, _):
        for number, (genotype, score, budget, *more) in enumerate(rows, 1):
            store.add(Proposal(genotype, budget=budget), SPACE.key(genotype), number)
            store.claim("w")
            store.finish(number, Result({"valid_accuracy": score, "params": 10, **(more[0] if more else {})}))
            place = folder / "trials" / f"{number:06d}"
            place.mkdir(parents=True)
            (place / "end-0.safetensors").write_bytes(SPACE.key(genotype).encode())
    return run


def played(run, folder, seconds=600.0, reference=None, times=Times(), start_up=0.0):
    said = io.StringIO()
    session = Session(Console(file=said, width=300), lambda _c, _s: nullcontext(), "")
    found = contest.play(session, folder, run, times, time.monotonic() + seconds, reference, start_up)
    return found, said.getvalue()


def trained(folder):
    """Metrics of all trainings, by split and genotype."""
    found = {}
    for place in run_folder.trainings(folder):
        with closing(run_folder.open_table(place, "read")) as store:
            settings = run_folder.recorded_run(store, place)
            for row in store.finished():
                found[settings.evaluator.options["split"], row.proposal.genotype] = row
    return found


ROWS = [(START, 0.4, 2), (SECOND, 0.5, 2), (BEST, 0.6, 2), (BEST, 0.8, 9), (SECOND, 0.9, 9), ((1,) * 12, 0.99, 2)]


def test_the_best_by_validation_ships_and_only_it_and_the_reference_are_tested(tmp_path):
    run = run_with(ROWS, tmp_path / "run")
    found, said = played(run, tmp_path / "run")
    assert (found.shipped, found.winner.genotype, found.winner.trial_id) == ("searched", BEST, 4)
    assert (found.reference.genotype, found.reference.label) == (START, PLAIN)
    assert found.metric == "test_accuracy"
    rows = trained(tmp_path / "run")
    assert {genotype for split, genotype in rows if split == "valid"} == {BEST, SECOND, START}
    assert {genotype for split, genotype in rows if split == "test"} == {BEST, START}
    assert found.reason == f"the searched network of trial 4 has 94.44 % valid accuracy, the {PLAIN} 66.67 %"
    assert f"decided by validation: {found.reason}" in said
    assert "searched network 94.4 % against 66.7 % of the plain residual network on the test data: 27.8 points" in (
        found.verdict
    )


def test_all_are_trained_alike_from_the_states_that_the_search_left(tmp_path):
    run = run_with(ROWS, tmp_path / "run")
    played(run, tmp_path / "run", 600.0)
    rows = trained(tmp_path / "run")
    assert all(row.result.metrics["began"] for row in rows.values())
    for split in ("valid", "test"):
        alike = {
            (row.proposal.budget, row.result.metrics["horizon"]) for (where, _), row in rows.items() if where == split
        }
        assert len(alike) == 1
        budget, horizon = alike.pop()
        deadlines = {
            genotype: row.result.metrics["deadline"] for (where, genotype), row in rows.items() if where == split
        }
        less = 7 if split == "valid" else 0  # seconds of the search, which are made up for in the first heat
        assert deadlines[START] == pytest.approx(deadlines[BEST] + less)
        assert budget == horizon > heats.ROOM * deadlines[START], "the deadline decides"
    rank, final = (rows[split, BEST].result.metrics["deadline"] for split in ("valid", "test"))
    seconds = 20 * (600 - 2 * heats.START_SECONDS) / (3 * 20 + 2 * 60)
    assert rank == pytest.approx(seconds + (9 + 9 + 2) / 3 - 9, rel=0.05)
    assert final > 3 * rank, "what the first heat did not take goes to the last"
    assert rows["test", BEST].result.metrics["cooldown"] == timetable.COOLDOWN


def test_a_training_has_the_threads_of_its_heat_else_those_of_the_plan(tmp_path):
    """The rest of the machine is not given to it unasked: small networks may be slower by it."""
    run = replace(run_with(ROWS, tmp_path / "run"), executor=Reference("processes", {"workers": 2}))
    floor = heats.Floor(None, tmp_path / "run", run, None, Times(), time.monotonic() + 9)
    alone = Entrant(Candidate(PLAIN, START, is_reference=True))
    for number, expected in ((None, 1), (3, 3)):
        settings, given = heats._trainings(floor, Heat("final", (alone,), seconds=5.0, threads=number), [alone])
        found = retraining.run_of(settings, [alone.candidate], **given)
        assert (found.executor.options["workers"], found.threads_per_trial) == (1, expected)


def test_where_trainings_shared_cards_a_lone_one_does_not_come_to_its_budget(tmp_path):
    """It may be as many times as fast as the pace says."""
    run, found = run_with(ROWS, tmp_path / "run"), []
    heat = Heat("final", (Entrant(Candidate(PLAIN, START, is_reference=True)),), seconds=50.0)
    for each in ("auto", 4):
        own = replace(run, executor=Reference("processes", {"workers": 4, "trials_per_gpu": each}))
        floor = heats.Floor(None, tmp_path / "run", own, building.build_task(own), Times(), time.monotonic() + 99)
        found.append(heats.timed(floor, heat, {}).budget)
    assert found == [heats.ROOM * 50 + 1, 4 * heats.ROOM * 50 + 1]


def test_with_threads_that_are_twice_as_fast_states_count_for_half_of_their_seconds(tmp_path, monkeypatch):
    run, folder = run_with(ROWS, tmp_path / "run"), tmp_path / "run"
    gains = {"rank": 2.0, "final": 3.0}
    monkeypatch.setattr(
        contest.threads, "with_threads", lambda _floor, heat: replace(heat, threads=3, gain=gains[heat.name])
    )
    found, _ = played(run, folder, 600.0)
    rows = trained(folder)
    assert all(row.result.metrics["began"] for row in rows.values())
    for split, less in (("valid", 7 / 2), ("test", 0)):
        deadlines = [rows[split, genotype].result.metrics["deadline"] for genotype in (START, BEST)]
        assert deadlines[0] == pytest.approx(deadlines[1] + less)
        gain = gains["rank" if split == "valid" else "final"]
        assert rows[split, BEST].proposal.budget > gain * heats.ROOM * deadlines[0], "the deadline decides"
    assert {run_folder.settings_in(place).threads_per_trial for place in run_folder.trainings(folder)} == {3}
    assert [each.threads for each in found.heats] == [3, 3]
    rank, final = (contest.recorded(folder).heat(name) for name in gains)
    assert final.total == pytest.approx(final.seconds + 2 * rank.total / 3), "ranked at two thirds of the speed"


def test_averaged_weights_rank_without_a_fall_of_the_rate_and_go_on_from_there(tmp_path):
    run = run_with(ROWS, tmp_path / "run", averaging=0.5)
    played(run, tmp_path / "run")
    rows = trained(tmp_path / "run")
    rank, final = (rows[split, BEST] for split in ("valid", "test"))
    assert rank.result.metrics["horizon"] > rank.proposal.budget, "it stops on its way, and leaves its state"
    assert final.result.metrics["horizon"] == final.proposal.budget
    assert final.proposal.budget >= rank.proposal.budget + final.result.metrics["deadline"]
    place = next(each for each in run_folder.trainings(tmp_path / "run") if "rank" in options_in(each)["begin"])
    left = place / "trials" / f"{rank.id:06d}" / "end-0.safetensors"
    begun = tmp_path / "run" / "begin" / "final" / f"{rank.key}-0.safetensors"
    assert begun.samefile(left)


def options_in(place):
    return run_folder.settings_in(place).evaluator.options


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_trainings_that_no_deadline_can_end_have_a_budget_that_fits(tmp_path, averaging):
    run = run_with(ROWS, tmp_path / "run", schedule="cosine", averaging=averaging)
    played(run, tmp_path / "run")
    rows = trained(tmp_path / "run")
    rank, final = (rows[split, BEST] for split in ("valid", "test"))
    alike = 20 * 597 / 180 + (9 + 9 + 2) / 3
    assert rank.proposal.budget == pytest.approx(alike, abs=2), "the seconds that it should take, with what they had"
    assert final.proposal.budget <= rank.proposal.budget + 300
    for each in (rank, final):
        assert each.result.metrics["horizon"] == each.proposal.budget, "rates are laid out to the last step"
        assert each.result.metrics["deadline"] == 0


def test_a_trial_that_had_nothing_left_to_learn_enters_like_one_of_the_highest_rung(tmp_path):
    run = run_with([(BEST, 0.95, 2, {"stopped_early": 1}), (SECOND, 0.9, 9), ((1,) * 12, 0.8, 9)], tmp_path / "run")
    played(run, tmp_path / "run")
    assert {genotype for split, genotype in trained(tmp_path / "run") if split == "valid"} == {BEST, SECOND, START}


def test_where_the_last_training_fails_the_verdict_says_why_the_reference_ships(tmp_path, monkeypatch):
    held = heats.held

    def failing(floor, heat):
        found = held(floor, heat)
        return [each for each in found if heat.name != "final" or each[0].candidate.is_reference]

    monkeypatch.setattr(heats, "held", failing)
    run = run_with(ROWS, tmp_path / "run")
    found, _ = played(run, tmp_path / "run")
    assert (found.shipped, found.winner.genotype) == ("reference", START)
    assert "the training of the other failed, so the plain residual network ships" in found.verdict


def test_a_ranking_for_which_no_time_is_left_has_a_deadline_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(contest, "SHORTEST", 0.0)
    folder = tmp_path / "run"
    run = run_with([(SECOND, 0.5, 2), (BEST, 0.6, 2)], folder)
    shutil.rmtree(folder / "trials")  # with the states: all begin anew, so that one deadline holds for all
    played(run, folder, seconds=0.0)
    found = [row.result.metrics["deadline"] for (split, _), row in trained(folder).items() if split == "valid"]
    assert found == [heats.LEAST_SECONDS] * 3


def test_the_start_of_a_set_of_trainings_takes_what_was_measured(tmp_path):
    slow, fast = (
        sum(row.result.metrics["deadline"] for row in trained(folder).values())
        for folder, start_up in ((tmp_path / "slow", 50.0), (tmp_path / "fast", 0.0))
        if played(run_with(ROWS, folder), folder, start_up=start_up)
    )
    once = heats.STARTS * 50  # both heats share what is left when the first begins, in proportion
    assert fast - slow == pytest.approx(2 * once * (3 * 20) / (3 * 20 + 2 * 60) + once, rel=0.05)


@pytest.mark.parametrize("searched_fails", [False, True])
def test_where_all_last_trainings_fail_the_best_of_the_others_ships(tmp_path, searched_fails):
    """The first values: 2 the reference, 3 the two best of the search, 1 another one of it."""
    third = (1,) + (3,) * 11
    expected, folder = third if searched_fails else (1,) * 12, tmp_path / "run"
    rows = [*ROWS[:4], (third, 0.5, 9)] if searched_fails else [((1,) * 12, 0.5, 9), ((0,) * 12, 0.4, 9)]
    run = run_with(rows, folder, fails_tested=[2, 3])
    found, said = played(run, folder, times=Times(3))
    assert (found.shipped, found.winner.genotype, found.reference) == ("searched", expected, None)
    assert f"failed, so the searched network of trial {5 if searched_fails else 1} ships instead" in found.reason
    assert "is trained instead" in said and "the training of the plain residual network failed" in found.verdict
    assert contest.recorded(folder).genotype == expected, "it is what is exported"
    again, _ = played(run, folder, 1.0, times=Times(3))
    assert (again.verdict, len(run_folder.trainings(folder))) == (found.verdict, 3), "nothing is trained twice"


def test_all_last_trainings_failed_and_there_is_no_other(tmp_path):
    run = run_with([(START, 0.9, 9)], tmp_path / "run", fails_tested=[2])
    with pytest.raises(StoreError, match="the last training of the plain residual network failed; see the logs"):
        played(run, tmp_path / "run")


def test_a_cooldown_that_broke_off_is_said(tmp_path):
    run = run_with(ROWS, tmp_path / "run", breaks_off=[2])
    found, said = played(run, tmp_path / "run")
    told = "; the deadline broke off the cooldown at step "
    assert told in found.verdict and found.verdict.endswith("of 10,000 of the plain residual network")
    assert told in said and told in found.reason
    assert found.winner.broken_off == ""


def test_heats_are_repeated_without_a_clock(tmp_path):
    first, _ = played(run_with(ROWS, tmp_path / "one"), tmp_path / "one")
    times = Times(heats=first.heats)
    again, said = played(run_with(ROWS, tmp_path / "two"), tmp_path / "two", 5.0, times=times)
    assert again.heats == first.heats and [each.name for each in first.heats] == ["rank", "final"]
    assert (again.verdict, again.reason) == (first.verdict, first.reason) and "by the clock" not in said
    one, two = (trained(tmp_path / name) for name in ("one", "two"))
    assert one.keys() == two.keys()
    for row in two:
        assert (one[row].proposal, one[row].seed) == (two[row].proposal, two[row].seed)
        for name in ("steps_1", "span_1", "began", "horizon", "cooldown"):
            assert one[row].result.metrics[name] == two[row].result.metrics[name], name
        assert one[row].result.metrics["clocked"] and not two[row].result.metrics["clocked"]


def test_lengths_that_an_earlier_release_did_not_note_are_not_given_to_be_repeated(tmp_path):
    found, _ = played(run_with(ROWS, tmp_path / "run", span=0), tmp_path / "run")
    assert {ends for heat in found.heats for each in heat.ends for ends in each} == {()}


def test_a_search_that_decided_does_so_again(tmp_path):
    first, _ = played(run_with(ROWS, tmp_path / "one"), tmp_path / "one", -5.0)
    again, said = played(run_with(ROWS, tmp_path / "two"), tmp_path / "two", times=Times(heats=first.heats))
    assert "the search decided" in said and again.heats == first.heats
    assert [each.name for each in first.heats] == ["final"]


def test_other_networks_than_those_of_the_timetable_go_by_the_clock(tmp_path):
    first, _ = played(run_with(ROWS, tmp_path / "one"), tmp_path / "one")
    rows = [*ROWS[:4], ((1,) * 12, 0.9, 9)]
    _, said = played(run_with(rows, tmp_path / "two"), tmp_path / "two", times=Times(heats=first.heats))
    assert "the search did not come to the networks of the timetable, so its contest goes by the clock" in said
    assert all(row.result.metrics["clocked"] for row in trained(tmp_path / "two").values())


@pytest.mark.parametrize(
    ("had", "workers", "expected"),
    [
        ([[0, 0, 0]], 1, 10),
        ([[2, 9, 9]], 1, 10 + 20 / 3),
        ([[2, 9, 9]], 3, 12),
        ([[9, 9], [0]], 2, 29 / 2),
        ([[100, 0]], 1, 20),
    ],
)
def test_all_come_to_the_same_seconds_within_the_time_of_a_heat(had, workers, expected):
    assert heats.total(10.0, had, workers) == pytest.approx(expected)


def test_the_reference_ships_where_nothing_is_better(tmp_path):
    run = run_with([((1,) * 12, 0.9, 9), ((0,) * 12, 0.8, 9)], tmp_path / "run")
    found, _ = played(run, tmp_path / "run")
    assert found.shipped == "reference"
    assert found.winner is found.reference
    assert found.winner.genotype == START
    assert {genotype for split, genotype in trained(tmp_path / "run") if split == "test"} == {START}
    assert found.verdict.startswith("the plain residual network ships: 66.7 % on the test data; the plain residual")
    assert "which is not better" in found.verdict


@pytest.mark.parametrize("others", [[], [(BEST, 0.1, 9)]])
def test_a_search_that_holds_the_plain_network_best(tmp_path, others):
    run = run_with([(START, 0.9, 9), *others], tmp_path / "run")
    found, said = played(run, tmp_path / "run")
    assert found.shipped == ("searched" if others else "reference"), "the others may still win"
    assert ("is the plain residual network itself" in said) == (not others)
    assert len(run_folder.trainings(tmp_path / "run")) == (2 if others else 1)


def test_without_time_the_search_decides(tmp_path):
    run = run_with(ROWS, tmp_path / "run")
    found, said = played(run, tmp_path / "run", -5.0)
    assert found.winner.genotype == SECOND, "the best of the search"
    assert "the search decided: there is no time to rank its best networks anew" in said
    assert {split for split, _ in trained(tmp_path / "run")} == {"test"}


def test_no_trial_has_succeeded(tmp_path):
    run = run_with([], tmp_path / "run")
    found, _ = played(run, tmp_path / "run")
    assert (found.shipped, found.winner.genotype) == ("reference", START)
    assert "no trial has succeeded" in found.reason


def test_a_training_that_fails_does_not_cost_the_run(tmp_path):
    run = run_with(ROWS, tmp_path / "run", fails=[2])
    found, _ = played(run, tmp_path / "run")
    assert (found.shipped, found.reference) == ("searched", None)
    assert "the training of the plain residual network failed" in found.verdict
    run = run_with(ROWS, tmp_path / "other", fails=[2, 3])
    with pytest.raises(StoreError, match="all trainings failed"):
        played(run, tmp_path / "other")


def test_splits_of_the_search_rank_and_all_data_is_trained_on_in_the_end(tmp_path):
    run = run_with(ROWS, tmp_path / "run", splits=3, repeats=3)
    played(run, tmp_path / "run")
    rows = trained(tmp_path / "run")
    assert [rows[split, BEST].result.metrics["splits"] for split in ("valid", "test")] == [3, 1]


@pytest.mark.parametrize("kill_at", [2, 3, 5])
def test_what_was_trained_is_not_trained_again(tmp_path, kill_at, monkeypatch):
    run = run_with(ROWS, tmp_path / "run")
    whole, _ = played(run_with(ROWS, tmp_path / "whole"), tmp_path / "whole")
    calls = []
    save, train = heats.Floor.saved, retraining.train

    def counted(do):
        def call(*given, **named):
            calls.append(do.__name__)
            if len(calls) == kill_at:
                raise Drained
            return do(*given, **named)

        return call

    monkeypatch.setattr(heats.Floor, "saved", counted(save))
    monkeypatch.setattr(retraining, "train", counted(train))
    try:
        played(run, tmp_path / "run")
    except Drained:
        monkeypatch.setattr(heats.Floor, "saved", save)
        monkeypatch.setattr(retraining, "train", train)
        played(run, tmp_path / "run", 200.0)
    found, _ = played(run, tmp_path / "run", 1.0)
    assert (found.shipped, found.verdict, found.reason) == (whole.shipped, whole.verdict, whole.reason)
    places = run_folder.trainings(tmp_path / "run")
    assert len(places) == 2
    for place in places:
        with closing(run_folder.open_table(place, "read")) as store:
            assert store.tally().finished == (3 if len(store.finished()) == 3 else 2)


def test_another_reference_than_it_began_with_is_refused(tmp_path):
    run = run_with(ROWS, tmp_path / "run")
    played(run, tmp_path / "run")
    with pytest.raises(BadRunFile, match="began without --reference; give the same, or another folder with --out"):
        played(run, tmp_path / "run", reference="mylab:net")


def test_a_record_that_was_changed_is_damage(tmp_path):
    run = run_with(ROWS, tmp_path / "run")
    assert contest.recorded(tmp_path / "none") is None
    for text in ('{"shipped": "both"}', "[]", "{", '{"heats": [{"name": "rank", "entrants": [], "seconds": NaN}]}'):
        with closing(run_folder.open_table(tmp_path / "run", "join")) as store:
            store.remember(records.FACT, text)
        with pytest.raises(StoreError, match="its fact 'contest' is"):
            played(run, tmp_path / "run")


def test_a_record_is_read_back():
    record = ContestRecord(
        "mylab:net",
        (
            Heat(
                "rank",
                (Entrant(Candidate(SEARCHED, (1, 0.5), 3)), Entrant(Candidate("x", (0,)), "own", "../t")),
                2.5,
                3,
            ),
        ),
        "searched",
        "it was better",
        "train-0",
        (1, 0.5),
        "better",
    )

    class Table:
        def recall(self, _name):
            return records.to_json(record)

    assert remembered.contest(Table()) == record


def test_a_training_that_ended_by_itself_enters_as_one_at_the_largest_budget(tmp_path):
    ended = {"stopped_early": 1.0}
    rows = [(SECOND, 0.9, 2, ended), (BEST, 0.8, 9), (START, 0.95, 2), ((1,) * 12, 0.5, 9)]
    run = run_with(rows, tmp_path / "run")
    task = building.build_task(run)
    floor = heats.Floor(None, tmp_path / "run", run, task, Times(finalists=4), time.monotonic() + 9)
    found = [trial.proposal.genotype for trial in contest._finalists(floor)]
    assert found == [SECOND, BEST, (1,) * 12, START]


@pytest.mark.parametrize(
    ("seconds", "pass_seconds", "seeds"),
    [
        (1.0, 0.0, 1),
        (2399.0, 0.0, 1),
        (2400.0, 0.0, 2),
        (1e6, 0.0, 3),
        (2400.0, 3.0, 2),
        (2400.0, 5.0, 1),
        (1e5, 300.0, 1),
    ],
)
def test_several_seeds_where_time_allows_and_images_are_seen_often_enough(seconds, pass_seconds, seeds):
    assert plans.seeds_for(seconds, pass_seconds) == seeds


def test_large_data_has_one_training_however_long_the_last_ones_are(tmp_path, monkeypatch):
    run = run_with(ROWS, tmp_path / "run")
    floor = heats.Floor(None, tmp_path / "run", run, building.build_task(run), Times(), time.monotonic() + 9)
    one = [Entrant(Candidate(PLAIN, START, is_reference=True))]
    assert floor.pass_seconds == 0, "a task without images has no such network"
    assert heats.last_seconds(floor, one, 9000.0) == (3, 3000.0)
    monkeypatch.setattr(heats.Floor, "pass_seconds", 100.0)
    assert heats.last_seconds(replace(floor), one, 9000.0) == (1, 9000.0)


def test_seconds_of_a_pass_are_those_of_the_pace_over_all_images_that_are_trained_on(tmp_path):
    pace = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.5]
    evaluator = Reference("training", {"pace": pace, "batch": 10, "schedule": "constant"})
    run = replace(run_with([], tmp_path / "run"), task=Reference("digits"), evaluator=evaluator)
    task = building.build_task(run)
    floor = heats.Floor(None, tmp_path / "run", run, task, Times(), time.monotonic() + 9)
    assert floor.pass_seconds == pytest.approx(0.05 * (task.examples("train") + task.examples("valid")))


def _floor_of_images(folder, share, **options):
    evaluator = {"schedule": "constant", "averaging": 0.2, "early_size": share, **options}
    run = replace(
        run_with([], folder),
        space=Reference("residual"),
        task=Reference("digits"),
        evaluator=Reference("training", evaluator),
    )
    return heats.Floor(None, folder, run, building.build_task(run), Times(), time.monotonic() + 99)


OWN = Entrant(Candidate(SEARCHED, (4, 1), 1))


@pytest.mark.parametrize(("share", "rival", "size"), [(0.5, "", 0.5), (0.5, "own", None), (1.0, "", None)])
def test_images_are_smaller_at_first_in_a_heat_if_all_of_its_networks_take_them(tmp_path, share, rival, size):
    """Else some would be measured by whole images, others by smaller ones; what is distilled is as in its ranking."""
    floor = _floor_of_images(tmp_path / "run", share)
    text = "tests.contest_toys:net"
    other = reference.of_text(text) if rival else Entrant(Candidate(PLAIN, (6, 1), is_reference=True))
    rank = heats.timed(floor, Heat("rank", (OWN, other), seconds=5.0), {})
    pupil = replace(rank, name="distill", entrants=(replace(OWN, teachers="../teachers"),))
    final = heats.timed(floor, Heat("final", (OWN, other), seconds=5.0), {})
    for heat in (rank, pupil, final):
        for entrants in heats.sets(heat.entrants):
            settings, given = heats._trainings(floor, heat, entrants)
            assert given["exactly"].get("early_size") == size
            assert given["exactly"]["cooldown"] == timetable.COOLDOWN
            trained = retraining.run_of(settings, [each.candidate for each in entrants], **given)
            assert trained.evaluator.options.get("early_size") == size, "as of the search, it is left out in full"


@pytest.mark.parametrize("rival", ["", "own"])
@pytest.mark.parametrize("name", ["rank", "final"])
def test_a_late_heat_goes_beyond_the_states_of_smaller_images_that_it_begins_from(tmp_path, name, rival):
    """Which had more steps in the same seconds than a training has that comes to whole images."""
    numbers = [10 * number for number in training_pace.USUAL.numbers]
    floor = _floor_of_images(tmp_path / "run", 0.5, pace=numbers, horizon=9000)
    other = reference.of_text("tests.contest_toys:net") if rival else Entrant(Candidate(PLAIN, (6, 1)))
    state = Begun(tmp_path, 300.0, 300.0)
    heat = heats.timed(floor, Heat(name, (OWN, other), seconds=1.0), {floor.key(OWN): state})

    def steps(budget, **options):
        evaluator = refs.load("evaluator", floor.run.evaluator, space=floor.space, task=floor.task)
        given = replace(evaluator, **options)
        trial = Trial(1, Proposal((4, 1), budget=budget), "key", 7, "running")
        return given._length(trial, given._epochs(trial, 0)).steps

    own = {"horizon": heat.budget, "cooldown": timetable.COOLDOWN} if name == "final" else {}
    assert steps(heat.budget, early_size=heat.early_size, **own) > steps(300), "of the search"


def test_waves():
    assert heats.waves([4], 1) == 4
    assert heats.waves([3, 1], 2) == 3


def test_every_second_finalist_is_costlier_than_those_before():
    """Short trials favor networks that cost little: the contest also hears one that gains more from time."""

    def of(number, cost):
        result = Result({"multiply_adds": cost})
        return Trial(number, Proposal((number,)), str(number), 0, "done", result)

    ranked = [of(1, 5), of(2, 6), of(3, 4), of(4, 11), of(5, 60), of(6, 21)]
    assert [each.id for each in contest.varied(ranked, 1)] == [1]
    assert [each.id for each in contest.varied(ranked, 4)] == [1, 4, 2, 5]
    assert [each.id for each in contest.varied(ranked[:3], 4)] == [1, 2, 3], "where none is, the next one enters"
    assert contest.varied([], 2) == []
