"""A timed run from the word that was given to the facts at its end; only the contest and the measurement stand in."""

import io
import json
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from netwright.controller import Search
from netwright.core import timetable
from netwright.core.errors import BadReference, BadRunFile, MissingCapability, StoreError
from netwright.core.finals import Candidate, Final
from netwright.core.genes import Integer
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.core.timetable import PlayedHeat
from netwright.runs import run_folder
from netwright.runs.run import Run
from netwright.runs.session import Session
from netwright.runs.timed import beginning, crew
from netwright.runs.timed import play as playing
from netwright.runs.timed import timetable as plans
from netwright.runs.timed.defaults import Defaults
from netwright.runs.timed.stopwatch import FILE as USED
from netwright.runs.timed.stopwatch import Stopwatch
from netwright.runs.timed.timetable import Speed
from netwright.runs.timed.wish import Wish, holds_timed, image_task_of, is_timed
from netwright.spaces.residual import ResidualSpace

PACE = (1e-11, 1e-10, 1e-10, 1e-10, 1e-9, 1e-5, 1e-3)
# what the tests play in place of the defaults: seconds of budgets count as steps
SMALL = Defaults("residual", ("lr",), "asha", lambda plan, _: {"steps": 1, "horizon": plan.rungs[-1], "batch": 8})
GIVEN = {"executor": "inline", "space": f"{__name__}:Shallow", "constraints": ["params <= 1e6"]}


LOSS = {"objectives": ["-valid_loss"]}
TYPED = {"strategy": "asha(eta=2)", "evaluator": "training(momentum=0.8)"}  # the plan adds to what is typed
WITHOUT = {"space": {"with": "none"}}


class Shallow(ResidualSpace):
    @property
    def genes(self):
        return Integer("width", 4, 30), Integer("blocks", 1, 1)


@dataclass(frozen=True)
class Contest:
    shipped: str
    winner: Final
    reference: Final | None
    metric: str
    verdict: str
    heats: tuple = ()


class Contests:
    """Stands in for the contest: notes what it is called with, and trains nothing."""

    def __init__(self, fault=None, measure=Objective("test_accuracy", shown="share"), heats=()):
        self.calls, self.fault, self.measure, self.heats = [], fault, measure, heats

    def __call__(self, session, folder, settings, plan, until, reference, start_up):
        assert start_up >= 0
        self.calls.append((settings, plan, until, reference))
        if self.fault:
            raise self.fault
        best = Run(folder, session=session, trust=True).best
        measure = self.measure
        kept = (Candidate("x", best.proposal.genotype), settings.space, "1 s", measure, 100)
        one = Final(
            kept[0].label, best.id, kept[1], kept[0].genotype, kept[2], measure, 100, 0.75, None, 1, accuracy=0.25
        )
        other = replace(one, label="plain", mean=0.5, reference=True)
        return Contest("searched", one, other, measure.name, "the searched network is 25 points better", self.heats)


class Measurements:
    def __init__(self, pace=PACE):
        self.sides, self.pace = None, pace

    def __call__(self, task, sides, batch, threads, patience, device):
        self.sides = sides
        assert 0 < patience.seconds <= 60
        return [Speed(side, "float32", self.pace, side * 1e-7) for side in sides]


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    """Searches end after four trials, however fast the machine is; what others test is not made."""
    plan = plans.planned
    monkeypatch.setattr(crew, "cores", lambda: 1)  # several threads would wait for one another on a busy machine
    monkeypatch.setattr(Search, "_hours", lambda search: 0.05 * search._told / 3600)
    monkeypatch.setattr(
        plans, "planned", lambda given, speed: replace(plan(given, speed), search_seconds=0.2, rungs=(1, 3))
    )
    monkeypatch.setattr(Run, "export", lambda run, out, is_stage: out)
    monkeypatch.setattr(Run, "report", lambda run: run.folder / "report.html")


@pytest.fixture
def data(tmp_path):
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 2
    images = (rng.integers(0, 100, (60, 8, 8)) + 100 * labels[:, None, None]).astype(np.uint8)
    np.savez(tmp_path / "a.npz", images=images, labels=labels)
    return Reference("arrays", {"path": str(tmp_path / "a.npz"), "cache": str(tmp_path / "cache")})


class Played:
    def __init__(self, folder, task, contest=None, out=None, pace=PACE, defaults=SMALL, **wish):
        self.contest, self.measure, self.out = contest or Contests(), Measurements(pace), out or io.StringIO()
        self.watch = Stopwatch()
        session = Session(Console(file=self.out, width=200), lambda *_: nullcontext(), "a command", self.watch.outlook)
        given = {**GIVEN, **wish.pop("given", {})}
        asked = Wish(folder, task, given=given, **wish)
        self.facts = None
        try:
            self.facts = playing.play(asked, session, self.watch, self.contest, self._check, defaults, self.measure)
        finally:
            self.said = self.out.getvalue()

    @staticmethod
    def _check(text, io, bounds):
        assert bounds == ("params <= 1e6",)
        if text == "wrong":
            raise BadReference("--reference 'wrong' cannot be used")


def test_a_run_from_data_to_facts(data, tmp_path):
    found = Played(tmp_path / "run", data, taken="a.npz: images", reference="mylab:net")
    assert found.said.startswith("a.npz: images\nno --hours are given: 30 minutes, the default\n")
    for part in ("measuring how fast", "the plan, whose numbers stand in", "search, ", "to go; ", "ranking"):
        assert part in found.said, part
    lines = found.said.splitlines()
    assert lines[-5] == "the searched network is 25 points better"
    assert lines[-4] == "test accuracy 75.00 % of what ships, the searched network, 50.00 % of the reference"
    assert lines[-1].startswith("done in ")
    facts = {name: found.facts[name] for name in ("shipped", "metric", "test_accuracy", "reference_test_accuracy")}
    assert facts == {
        "shipped": "searched",
        "metric": "test_accuracy",
        "test_accuracy": 0.75,
        "reference_test_accuracy": 0.5,
    }
    assert found.facts["export"] == str(tmp_path / "run" / "export") and found.facts["params"] == 100
    settings, plan, until, reference = found.contest.calls[0]
    assert reference == "mylab:net" and settings.constraints == ("params <= 1e6",)
    assert settings.objectives == ("valid_accuracy",)
    assert settings.task == Reference(data.name, {**data.options, "rotation": 15.0, "zoom": 0.15})
    left = until - found.watch.now()
    assert 0.9 * 1800 < left + plans.closing_seconds(0.5) <= 1800, "what the search left over is the contest's"
    stored = timetable.read(tmp_path / "run" / timetable.FILE)
    assert stored == plan and stored.played == {"trials": 4, "cut": 1}
    assert json.loads((tmp_path / "run" / playing.RESULT).read_text()) == found.facts
    assert 0 < float((tmp_path / "run" / USED).read_text()) < 60


@pytest.mark.parametrize(("step", "turned"), [(10.0, 0), (5.0, "less"), (1.0, 10)])
def test_mirrored_images_are_turned_by_how_often_the_plain_network_would_see_them(data, tmp_path, step, turned):
    """A step of so many seconds, and half an hour: about 25, 50 and 250 passes."""
    mirrored = Reference(data.name, {**data.options, "flip": True})
    pace = (0, 0, 0, 0, 0, 0, step)
    found = Played(tmp_path / "run", mirrored, pace=pace)
    options = found.contest.calls[0][0].task.options
    assert 0 < options["rotation"] < 10 if turned == "less" else options.get("rotation", 0) == turned
    assert ("images are not turned, since the plain network would see each 2" in found.said) is (turned == 0)
    again = Played(
        tmp_path / "again", mirrored, pace=(0, 0, 0, 0, 0, 0, 3.0), timetable=tmp_path / "run/timetable.toml"
    )
    assert again.contest.calls[0][0].task.options == options, "by the timetable, not by this machine"


@pytest.mark.parametrize(
    ("given", "side"),
    [
        ({}, 4),
        ({"early_size": 1.0}, None),
        ({"schedule": "cosine"}, None),
        ({"keep_best": True}, None),
    ],
)
def test_images_are_smaller_at_first_unless_what_is_typed_goes_without(data, tmp_path, given, side):
    """Which the plan says; nobody is refused for an option that the default brings."""
    options = {"steps": 1, "batch": 8, "schedule": "constant", "early_size": 0.5}
    defaults = replace(SMALL, training=lambda plan, _: {**options, "horizon": plan.rungs[-1]})
    found = Played(tmp_path / "run", data, defaults=defaults, changes={"evaluator": given})
    played = found.contest.calls[0][0].evaluator.options
    assert played["early_size"] == (1.0 if side is None else side / 8)
    told = f"8 pixels a side ({side} until the rate falls), 8 a step" if side else "8 pixels a side, 8 a step"
    assert told in found.said


def test_the_machine_is_judged_by_the_images_that_are_asked_for(tmp_path):
    """Whole ones take longer steps, so that there are fewer in the same time."""
    rng = np.random.default_rng(0)
    np.savez(tmp_path / "a.npz", images=rng.integers(0, 256, (60, 32, 32), np.uint8), labels=np.arange(60) % 2)
    task = image_task_of(Reference("arrays", {"path": str(tmp_path / "a.npz"), "cache": str(tmp_path / "cache")}))
    named = Reference("arrays", {"path": str(tmp_path / "a.npz"), "cache": str(tmp_path / "cache")})
    alone = crew.Crew(None, 1, cards=0, is_asked=False)
    session = Session(Console(file=io.StringIO()), lambda *_: nullcontext(), "a command")
    speeds = []

    def planned(given, speed):
        speeds.append(speed)
        return plan(given, speed)

    plan = plans.planned
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "planned", planned)
        for asked in ({"early_size": 0.75}, {"early_size": 1}, {"schedule": "cosine"}, {"keep_best": True}):
            beginning._planned(named, task, 0.5, alone, session, Stopwatch(), Measurements(), None, asked)
    seconds = [each.image_seconds for each in speeds[1::2]]
    assert seconds[1] == seconds[2] == seconds[3] > 1.2 * seconds[0]


def test_a_constraint_that_cannot_be_read_is_refused_before_anything_is_measured(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Measurements, "__call__", lambda *_: pytest.fail("the machine was measured"))
    with pytest.raises(BadRunFile, match="'params <= lots' cannot be read"):
        Played(tmp_path / "run", data, given={"constraints": ["params <= lots"]})
    assert not (tmp_path / "run").exists()


def test_an_accuracy_is_told_whatever_decided(data, tmp_path):
    """The mean is a loss, and stands in the verdict; what is called an accuracy is one."""
    found = Played(tmp_path / "run", data, Contests(measure=Objective("test_loss", -1)), given=LOSS)
    facts = {name: found.facts[name] for name in ("metric", "test_accuracy", "reference_test_accuracy")}
    assert facts == {"metric": "test_accuracy", "test_accuracy": 0.25, "reference_test_accuracy": 0.25}
    balanced = Contests(measure=Objective("test_balanced_accuracy", shown="share"))
    found = Played(tmp_path / "other", data, balanced)
    assert (found.facts["metric"], found.facts["test_accuracy"]) == ("test_balanced_accuracy", 0.75)


def test_heats_that_were_played_stand_in_the_timetable_and_are_given_again(data, tmp_path):
    heat = PlayedHeat(name="final", keys=("a",), repeats=1, budget=9, ends=((((3, 3),),),))
    Played(tmp_path / "one", data, Contests(heats=(heat,)), hours=0.1)
    plan = tmp_path / "one" / timetable.FILE
    assert timetable.read(plan).heats == (heat,)
    with pytest.raises(KeyboardInterrupt):
        Played(tmp_path / "two", data, Contests(KeyboardInterrupt()), timetable=plan)
    again = Played(tmp_path / "two", data, timetable=plan)
    assert again.contest.calls[0][1].heats == (heat,), "also where it was stopped"


def test_a_second_process_is_refused_and_counts_no_seconds(data, tmp_path, monkeypatch):
    """It would note its own seconds over those of the process that plays."""
    folder, refusals = tmp_path / "run", []
    monkeypatch.setattr("netwright.runs.timed.stopwatch.NOTE_EVERY", 1e6)

    class Second(Contests):
        def __call__(self, *given):
            (folder / USED).write_text("77.0\n")
            out = io.StringIO()
            with pytest.raises(StoreError) as refused:
                Played(folder, data, out=out, hours=0.1)
            refusals.append((str(refused.value), (folder / USED).read_text(), out.getvalue()))
            return super().__call__(*given)

    Played(folder, data, Second(), hours=0.1)
    [(said, used, printed)] = refusals
    assert printed == "", "it does not say that it goes on"
    assert "is played by another process; wait for its end, or give another folder with --out" in said
    assert used == "77.0\n"


def test_a_network_that_cannot_be_exported_is_reported_all_the_same(data, tmp_path, monkeypatch):
    def export(run, out, is_stage):
        raise MissingCapability("an export needs a layer plan; own has none: load the weights")

    monkeypatch.setattr(Run, "export", export)
    found = Played(tmp_path / "run", data)
    assert "nothing is exported: an export needs a layer plan; own has none: load the weights\n" in found.said
    assert "export: " not in found.said and found.said.splitlines()[-2].startswith("report: ")
    assert found.facts["export"] is None and found.facts["report"] == str(tmp_path / "run" / "report.html")


def test_what_was_stopped_goes_on_with_the_time_left(data, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        Played(folder, data, Contests(KeyboardInterrupt()), hours=0.2, given=TYPED, changes=WITHOUT)
    trials = timetable.read(folder / timetable.FILE).played["trials"]
    (folder / USED).write_text("500.0\n")
    again = Played(folder, data, hours=0.2, given=TYPED, changes=WITHOUT)
    assert "going on after 8 min 2" in again.said or "going on after 8 min 20 s" in again.said
    assert again.measure.sides is None, "nothing is measured or planned again"
    settings, plan, until, _ = again.contest.calls[0]
    assert plan.played["trials"] == trials, "the search is over"
    assert settings.strategy.options == {"budgets": [1, 3], "eta": 2} and settings.evaluator.options["momentum"] == 0.8
    assert "with" not in settings.space.options
    assert until - again.watch.now() <= 720 - 500 - plans.closing_seconds(0.2)
    assert again.facts["seconds"] >= 500
    third = Played(folder, None)
    assert third.facts == again.facts and not third.contest.calls
    assert "This run was done before" in third.said


def test_when_the_time_is_over_what_is_there_is_still_decided(data, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        Played(folder, data, Contests(KeyboardInterrupt()), hours=0.1)
    (folder / USED).write_text("360.0\n")
    again = Played(folder, data)
    assert 0 < again.contest.calls[0][2] - again.watch.now() <= playing.GRACE and again.facts["shipped"] == "searched"


def test_a_timetable_plays_the_same_trials_again(data, tmp_path):
    first = Played(tmp_path / "one", data, hours=0.1)
    plan = tmp_path / "one" / timetable.FILE
    again = Played(tmp_path / "two", data, timetable=plan)
    assert again.measure.sides is None
    one, two = (timetable.read(tmp_path / name / timetable.FILE) for name in ("one", "two"))
    assert replace(one, played={}) == replace(two, played={})
    assert two.played == {"trials": one.played["trials"], "cut": 0}
    rows = [
        [(t.proposal, t.seed, t.scores) for t in Run(tmp_path / name, trust=True).trials] for name in ("one", "two")
    ]
    assert rows[0] == rows[1] and rows[0]
    assert Played(tmp_path / "two", data, timetable=plan).facts == again.facts, "the same command goes on"
    plan.write_text(plan.read_text().replace("workers = 1", "workers = 7"))
    assert Played(tmp_path / "two", data, timetable=plan).facts == again.facts, "whoever works"
    assert first.facts["test_accuracy"] == again.facts["test_accuracy"]


@pytest.mark.parametrize(
    ("wish", "said"),
    [
        ({"hours": 0.001}, "0.001 hours (4 s) are too few for one training in full"),
        ({"hours": 0.0}, "--hours is 0; it must be above 0"),
        ({"hours": float("nan")}, "--hours is nan; it must be above 0"),
        ({"given": {"objectives": ["valid_accuracy", "-params"]}}, "--objectives names 2, and a timed run ships one"),
        ({"workers": 0}, "workers is 0; it must be a whole number of at least 1"),
        ({"workers": 2}, "workers is 2, but executor 'inline' has no such option"),
        ({"given": {"objectives": ["-seconds"]}}, "--objectives is '-seconds', by which a timed run cannot choose"),
        ({"reference": "wrong"}, "--reference 'wrong' cannot be used"),
        ({"hours": "ten"}, "--hours is 'ten'; it must be a number"),
        ({"given": {"strategy": "asha(eta=1)"}}, "strategy.eta is 1; it must be at least 2"),
        ({"given": {"space": "hierarchicle"}}, "did you mean 'hierarchical'"),
        ({"changes": {"evaluator": {"lr": -1.0}}}, "evaluator.lr is -1.0"),
    ],
)
def test_what_cannot_be_played_is_refused_before_anything_is_written(data, tmp_path, wish, said):
    with pytest.raises((BadRunFile, BadReference)) as refused:
        Played(tmp_path / "run", data, **wish)
    assert said in str(refused.value)
    assert not (tmp_path / "run").exists()


def test_a_timetable_that_the_run_would_write_over_stays_as_it_is(data, tmp_path):
    plan = tmp_path / "run" / timetable.FILE
    plan.parent.mkdir()
    plan.write_text("mine")
    with pytest.raises(BadRunFile, match="lies where the run writes its own; give another folder with --out"):
        Played(tmp_path / "run", data, timetable=plan)
    assert plan.read_text() == "mine"


def test_another_run_in_the_folder_is_refused(data, tmp_path):
    folder = tmp_path / "run"
    Played(folder, data, hours=0.1)
    with pytest.raises(
        BadRunFile, match=r"holds a run that was planned for 0\.1 hours, not 0\.2; go on with it by --hours 0"
    ):
        Played(folder, data, hours=0.2)
    with pytest.raises(BadRunFile, match="holds another run: its seed is 0, not 3"):
        Played(folder, data, hours=0.1, given={"seed": 3})


def test_a_run_that_is_over_answers_for_no_other_data(data, tmp_path):
    """As from folders of one name, of which both runs would lie in one place; or of images that were added."""
    folder, path = tmp_path / "run", Path(data.options["path"])
    verdict = Played(folder, data, hours=0.1).facts["verdict"]
    again = Played(folder, data, hours=0.1)
    assert again.facts["verdict"] == verdict
    assert "test accuracy 75.00 % of what ships" in again.said, "which is what one asks for"
    kept = path.rename(tmp_path / "kept.npz")
    images = np.load(kept)["images"]
    np.savez(tmp_path / "b.npz", images=images[:50], labels=np.arange(50) % 2)
    other = Reference("arrays", {**data.options, "path": str(tmp_path / "b.npz")})
    for asked in (data, other):
        if asked is data:
            np.savez(path, images=images[::-1].copy(), labels=np.arange(60) % 2)
        with pytest.raises(StoreError, match="have changed since this run began"):
            Played(folder, asked, hours=0.1)
    with pytest.raises(StoreError, match="have changed since this run began"):
        Played(folder, None, changes={"task": {"path": other.options["path"]}})
    moved = folder.rename(tmp_path / "moved")
    facts = Played(moved, None).facts
    assert (facts["folder"], facts["report"]) == (str(moved), str(moved / "report.html"))
    folder = moved
    path.unlink()
    with pytest.raises(BadReference, match="does not exist"):
        Played(folder, data, hours=0.1)
    assert Played(folder, None).facts["verdict"] == verdict, "where no data is named, none is looked at"


def test_a_run_goes_on_against_the_reference_that_it_began_with(data, tmp_path):
    folder, plan = tmp_path / "run", tmp_path / "run" / timetable.FILE
    with pytest.raises(KeyboardInterrupt):
        Played(folder, data, Contests(KeyboardInterrupt()), hours=0.1, reference="mylab:net")
    for other in ("mylab:other", ""):
        with pytest.raises(BadRunFile, match="holds a run that began with --reference mylab:net; give the same, or an"):
            Played(folder, data, hours=0.1, reference=other)
    with pytest.raises(BadReference, match="names 'mylab:net' for its reference, which is neither netwright's nor an"):
        Played(folder, None)
    assert Played(folder, None, trust=True).contest.calls[0][3] == "mylab:net"
    assert "This run was done before" in Played(folder, None).said, "then its code runs no more"
    with pytest.raises(BadRunFile, match="began with --reference mylab:net"):
        Played(folder, data, reference="mylab:other")
    again = Played(tmp_path / "two", data, timetable=plan, trust=True)
    assert again.contest.calls[0][3] == "mylab:net", "a timetable says which networks there were"
    assert Played(tmp_path / "three", data, timetable=plan, reference="my:own").contest.calls[0][3] == "my:own"


def test_a_run_with_settings_among_its_genes_is_none_without(data, tmp_path):
    folder = tmp_path / "run"
    verdict = Played(folder, data, hours=0.1).facts["verdict"]
    with pytest.raises(BadRunFile, match="holds another run: it searches settings of training too, and its"):
        Played(folder, data, hours=0.1, changes=WITHOUT)
    bare = tmp_path / "bare"
    assert Played(bare, data, hours=0.1, changes=WITHOUT).facts["verdict"] == verdict
    assert Played(bare, data, hours=0.1, changes=WITHOUT).facts["verdict"] == verdict


def test_a_run_that_began_against_the_plain_network_takes_no_other(data, tmp_path):
    folder = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        Played(folder, data, Contests(KeyboardInterrupt()), hours=0.1)
    with pytest.raises(BadRunFile, match="began without --reference; give the same"):
        Played(folder, data, hours=0.1, reference="mylab:net")
    assert Played(folder, data).contest.calls[0][3] is None


def test_a_folder_of_an_earlier_release_takes_the_reference_that_is_given(data, tmp_path):
    folder, plan = tmp_path / "run", tmp_path / "run" / timetable.FILE
    with pytest.raises(KeyboardInterrupt):
        Played(folder, data, Contests(KeyboardInterrupt()), hours=0.1, reference="mylab:net")
    plan.write_text(plan.read_text().replace('reference = "mylab:net"\n', ""))
    assert Played(folder, data, reference="mylab:net").contest.calls[0][3] == "mylab:net"


def test_a_reference_is_checked_at_the_size_of_images_that_is_chosen(tmp_path):
    """At the size that a folder has unless told otherwise it would be refused, or pass wrongly."""
    rng = np.random.default_rng(0)
    for number in range(60):
        place = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (100, 100, 3), np.uint8)).save(place)
    seen = []

    class Noting(Played):
        @staticmethod
        def _check(text, io, bounds):
            seen.append(io.height)
            if io.height > limit:
                raise BadReference(f"too large at {io.height}")

    task = Reference("image_folder", {"path": str(tmp_path / "photos"), "cache": str(tmp_path / "cache")})
    limit = 10
    with pytest.raises(BadReference, match="too large at 24"):
        Noting(tmp_path / "run", task, reference="mylab:net")
    assert seen == sorted(seen) and len(seen) > 1, "what could be at no size is refused at once"
    limit = 30
    with pytest.raises(BadReference, match="too large at 9"):
        Noting(tmp_path / "run", task, reference="mylab:net")
    assert not (tmp_path / "run").exists()


def test_a_kill_before_the_table_begins_anew(data, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / timetable.FILE).write_text("half")
    (folder / USED).write_text("100")
    assert not holds_timed(folder)
    assert Played(folder, data, hours=0.1).facts["seconds"] < 60


def test_a_kill_before_a_run_was_noted_in_its_table_begins_anew(data, tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    run_folder.open_table(folder, "write").close()
    (folder / timetable.FILE).write_text("that of the run that was killed")
    assert is_timed(Wish(folder, data), None, is_recipe=False) and not holds_timed(folder)
    found = Played(folder, data, hours=0.1)
    assert found.measure.sides and timetable.read(folder / timetable.FILE).hours == 0.1
    assert found.contest.calls[0][0].task.name == "arrays"


def test_hours_among_the_limits_are_those_of_the_whole_too(data, tmp_path):
    found = Played(tmp_path / "run", data, hours=0.1, changes={"limits": {"hours": 0.1}})
    assert found.contest.calls[0][0].limits.hours == pytest.approx(0.2 / 3600), "the search has its part of them"
    assert Played(tmp_path / "run", data, hours=0.1, changes={"limits": {"hours": 0.1}}).facts == found.facts


def test_classes_out_of_balance_are_searched_by_balanced_accuracy(tmp_path):
    labels = np.array([0] * 50 + [1] * 10)
    np.savez(
        tmp_path / "a.npz",
        images=np.zeros((60, 8, 8), np.uint8) + 100 * labels[:, None, None].astype(np.uint8),
        labels=labels,
    )
    task = Reference("arrays", {"path": str(tmp_path / "a.npz"), "cache": str(tmp_path / "cache")})
    found = Played(tmp_path / "run", task, hours=0.1)
    assert found.contest.calls[0][0].objectives == ("valid_balanced_accuracy",)


@pytest.mark.parametrize(
    ("task", "trials", "more", "expected"),
    [
        ("digits", None, {}, True),
        ("digits", 5, {}, False),
        ("digits", None, {"changes": {"limits": {"trials": 5}}}, False),
        ("digits", None, {"given": {"evaluator": "lookup(table='x')"}}, False),
        ("digits", None, {"given": {"evaluator": "training(batch=16)"}}, True),
        ("netwright.testing.toys:ToyTask", None, {}, False),
        (None, None, {}, False),
    ],
)
def test_which_commands_are_timed(tmp_path, task, trials, more, expected):
    wish = Wish(tmp_path / "run", task and Reference(task), **more)
    assert is_timed(wish, trials, is_recipe=False) is expected
    assert not is_timed(wish, trials, is_recipe=True)


def test_a_count_of_trials_does_not_go_with_a_timed_run(tmp_path, monkeypatch):
    monkeypatch.setattr("netwright.runs.timed.wish.holds_timed", lambda folder: True)
    with pytest.raises(BadRunFile, match="holds a run that ends by its hours"):
        is_timed(Wish(tmp_path), 5, is_recipe=False)


def test_the_folder_of_an_untimed_run_stays_one(tmp_path, monkeypatch):
    monkeypatch.setattr(run_folder, "has_begun", lambda folder: True)
    assert not is_timed(Wish(tmp_path, Reference("digits"), hours=1.0), None, is_recipe=False)


def test_too_few_hours_are_refused_before_images_are_decoded(data, tmp_path, monkeypatch):
    monkeypatch.setattr(Session, "prepare", lambda *_: pytest.fail("it could have been known"))
    with pytest.raises(BadRunFile, match="are too few for one training in full"):
        Played(tmp_path / "run", data, hours=0.001)
    assert not (tmp_path / "run").exists()


def test_more_trainings_than_cores_are_said_to_be_of_no_use(data):
    out, task = io.StringIO(), image_task_of(data)
    session = Session(Console(file=out, width=200), lambda *_: nullcontext(), "a command")
    for given in (
        crew.Crew(None, 4),
        crew.Crew(None, 1),
        crew.Crew(Reference("slurm"), 4),
        crew.Crew(None, 4, cards=1),
    ):
        beginning._planned(data, task, 0.2, given, session, Stopwatch(), Measurements(), None, {"device": "cpu"})
    assert out.getvalue().count("--workers is") == 1
    assert "--workers is 4, and this machine has 1 core: each training will have fewer steps than" in out.getvalue()


@pytest.mark.parametrize(("hours", "workers", "slowdown"), [(0.5, 4, 2.0), (0.2, 1, 1.0)])
def test_trainings_that_share_a_card_are_planned_with_the_steps_that_they_then_take(
    data, monkeypatch, hours, workers, slowdown
):
    monkeypatch.setattr(crew, "cores", lambda: 8)
    monkeypatch.setattr(crew.room, "held", lambda each: 6)
    asked, out = [], io.StringIO()

    def share(task, side, told, most):
        asked.append((side, told.precision, told.device, most))
        return {1: 100.0, 2: 160.0, 4: 200.0}

    session = Session(Console(file=out, width=200), lambda *_: nullcontext(), "a command")
    task = image_task_of(data)
    alone = crew.Crew(None, 1, cards=1, is_asked=False)
    measure = Measurements()
    _, _, plan, found = beginning._planned(
        data, task, hours, alone, session, Stopwatch(), measure, share, {"device": "cuda"}
    )
    assert asked == ([(8, "float32", "cuda", 6)] if workers > 1 else []), "a short run is not measured so"
    assert (plan.workers, found.workers) == (workers, workers)
    assert plan.threads == 8 // workers
    assert plan.pace == tuple(slowdown * number for number in PACE)
    assert ("4: 200" in out.getvalue()) == (workers > 1)
