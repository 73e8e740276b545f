"""A contest of real trainings: what it leaves is what is reported, and exported, with its verdict first."""

import io
import shutil
import time
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from rich.console import Console

from netwright.cli.main import main
from netwright.core.errors import BadReference, MissingCapability
from netwright.core.objectives import Objective
from netwright.core.records import IO
from netwright.core.shapes import Classes, Image
from netwright.export import write as export_write
from netwright.runs import run_folder
from netwright.runs.run import Run
from netwright.runs.session import Session
from netwright.runs.timed import averaging, contest, decision, heats
from tests.runs.timed.test_contest import Times

SPACE = "tests.contest_toys:Starting"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A run of three networks on images of two classes, dark and light."""
    folder = tmp_path_factory.mktemp("contested")
    rng, labels = np.random.default_rng(0), np.arange(60) % 2
    bright = 100 * labels[:, None, None, None].astype(np.uint8)
    names = ("train", "valid", "test")
    parts = {f"x_{name}": rng.integers(128, size=(60, 8, 8, 1), dtype=np.uint8) + bright for name in names}
    np.savez(folder / "x.npz", **parts, **{f"y_{name[2:]}": labels for name in parts})
    recipe = folder / "recipe.toml"
    recipe.write_text(
        f'task = {{ref = "arrays", path = "{folder}/x.npz", cache = "{folder}/cache"}}\nexecutor = "inline"\n'
        f'space = "{SPACE}"\nstrategy = {{ref = "listed", genotypes = [[6, 1], [4, 1], [5, 1]]}}\n'
        'evaluator = {ref = "training", steps = 2, batch = 20, lr = 0.05}\nthreads_per_trial = 1\n'
    )
    run = Run(folder / "run", recipe, trials=3, trust=True, console=Console(file=io.StringIO()))
    run.search()
    return run


def contested(run, folder, reference=None):
    """The contest of a copy of the run, and what it said."""
    shutil.copytree(run.folder, folder)
    said = io.StringIO()
    session = Session(Console(file=said, width=300), lambda _c, _s: nullcontext(), "")
    settings = replace(run.settings, final={"steps": 4})
    found = contest.play(session, folder, settings, Times(3), time.monotonic() + 1000.0, reference)
    return found, said.getvalue()


def exported(folder, monkeypatch):
    """What an export would be made of, and what it says."""
    kept, said = [], io.StringIO()
    monkeypatch.setattr(export_write, "write", lambda out, model, **_: kept.append(model) or out)
    Run(folder, trust=True, console=Console(file=said, width=300)).export(folder / "export")
    return kept[0], said.getvalue()


def _ships(place):
    """A decision for the network that stands at that place."""
    return lambda ranked, *_: (ranked[place][0], "it is better")


def test_what_ships_is_exported_and_the_verdict_stands_first_in_the_report(searched, tmp_path, monkeypatch):
    monkeypatch.setattr(decision, "best_of", _ships(0))
    found, _ = contested(searched, tmp_path / "run")
    assert "on 60 test images" in found.verdict
    assert "95 % interval" in found.verdict
    assert found.reference.genotype == (4, 1)
    model, said = exported(tmp_path / "run", monkeypatch)
    assert (model.genotype, model.verdict) == (found.winner.genotype, found.verdict)
    assert model.weights == found.winner.folder / "weights.safetensors"
    assert found.verdict in said
    with pytest.raises(SystemExit, match="0"):
        main(["report", str(tmp_path / "run"), "--trust"])
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    first = page.index("<h2")
    assert first < page.index("Verdict") < page.index(found.verdict[1:].split("%")[0]) < page.index("Trained in full")
    assert f"What ships: searched network, trial {found.winner.trial_id}</h2>" in page
    assert "Best architecture" not in page and "The architecture that ships, at every level" in page
    assert not (tmp_path / "run" / "report" / "report.html").exists(), "its owner finds one page"
    assert (tmp_path / "run" / "report" / "best.svg").exists()
    assert Run(tmp_path / "run", trust=True, console=Console(file=io.StringIO())).report().name == "report.html"


def test_the_verdict_is_left_to_who_says_it_at_the_end(searched, tmp_path, monkeypatch):
    found, _ = contested(searched, tmp_path / "run")
    monkeypatch.setattr(export_write, "write", lambda out, *_, **__: out)
    said = io.StringIO()
    run = Run(tmp_path / "run", trust=True, console=Console(file=said, width=300))
    run.export(tmp_path / "export", is_stage=True)
    assert "exporting " in said.getvalue() and found.verdict not in said.getvalue()


def test_a_reference_that_ships_is_exported(searched, tmp_path, monkeypatch):
    monkeypatch.setattr(decision, "best_of", _ships(-1))
    found, _ = contested(searched, tmp_path / "run")
    assert found.shipped == "reference"
    model, said = exported(tmp_path / "run", monkeypatch)
    assert (model.genotype, model.name) == ((4, 1), "plain residual network")
    assert "the plain residual network ships: " in said
    assert "it is better" in model.verdict
    reported = Run(tmp_path / "run", trust=True, console=Console(file=io.StringIO())).reported()
    assert reported.shipped == found.winner and reported.io == IO(1, 8, 8, 2)


def test_a_network_of_the_user_s_takes_part_but_is_no_source(searched, tmp_path, monkeypatch):
    text = "tests.contest_toys:net(features=3)"
    monkeypatch.setattr(decision, "best_of", _ships(0))
    found, _ = contested(searched, tmp_path / "a", text)
    assert (found.reference.label, found.reference.params) == (f"network {text}", 3 * 10 + 3 * 2 + 2)
    assert found.reference.space.name == "own"
    monkeypatch.setattr(decision, "best_of", _ships(-1))
    found, _ = contested(searched, tmp_path / "b", text)
    assert found.shipped == "reference"
    with pytest.raises(MissingCapability, match=r"an export needs .*; own has none: load the weights, .*safetensors"):
        Run(tmp_path / "b", trust=True, console=Console(file=io.StringIO())).export(tmp_path / "export")
    typed = Run(tmp_path / "a", space=SPACE, reference=text, console=Console(file=io.StringIO()))
    assert typed.finals()[-1].label == f"network {text}"
    with pytest.raises(BadReference, match="add --trust"):
        Run(tmp_path / "b", space=SPACE, console=Console(file=io.StringIO())).export(tmp_path / "export")


def test_averaged_outputs_are_distilled_where_they_are_better_and_it_pays(searched, tmp_path, monkeypatch):
    monkeypatch.setattr(averaging, "_measured", _better_together(averaging._measured))
    monkeypatch.setattr(averaging, "SHARE_OF_TIME", 1.0)
    monkeypatch.setattr(decision, "best_of", _ships(0))
    _, said = contested(searched, tmp_path / "run")
    assert "the averaged outputs of 3 networks have 100.00 % valid accuracy, the best alone 0.00 %" in said
    assert "distilled from the averaged outputs, it has" in said
    taught = [run_folder.settings_in(place).evaluator.options for place in run_folder.trainings(tmp_path / "run")]
    assert sum("teachers" in options for options in taught) == (2 if "so it is trained so" in said else 1)
    assert [heat.name for heat in contest.recorded(tmp_path / "run").heats] == ["rank", "distill", "final"]


def test_averaged_outputs_that_are_no_better_are_left_alone(searched, tmp_path, monkeypatch):
    monkeypatch.setattr(averaging, "_measured", lambda *_: 0.5)
    monkeypatch.setattr(averaging, "SHARE_OF_TIME", 1.0)
    monkeypatch.setattr(decision, "best_of", _ships(0))
    _, said = contested(searched, tmp_path / "run")
    told = "the averaged outputs of 3 networks have 50.00 % valid accuracy"
    assert f"nothing is distilled: {told}, not 1.00 points more than the 50.00 % of the best alone" in said


def test_networks_of_several_divisions_teach_none():
    """Each has seen the images that another one was measured on, so that their average would look too good."""
    task = SimpleNamespace(io=IO(Image(1, 8, 8), Classes(2)))
    floor = SimpleNamespace(task=task, takes=lambda _: True, option={"splits": 3}.get, left=1e9)
    best = SimpleNamespace(objective=Objective("valid_accuracy", shown="share"))
    entrant = SimpleNamespace(space="")
    reason = averaging._why_not(floor, SimpleNamespace(seconds=1.0), [], entrant, best)
    assert "several divisions of the images" in reason


def _better_together(measured):
    def call(floor, place, networks, metric):
        value = measured(floor, place, networks, metric)
        assert 0 <= value <= 1
        return float(len(networks) > 1)

    return call


def test_one_worker_repeats_a_contest_by_the_clock_bit_for_bit(tmp_path, monkeypatch):
    """Searched once, contested by the clock, then by the steps that came of it; the reference began anew."""
    monkeypatch.setattr(contest, "SHORTEST", 0.0)
    monkeypatch.setattr(heats, "START_SECONDS", 0.0)
    pace = [0.0] * 6 + [0.02]
    tables = {
        "task": {"ref": "digits", "train_limit": 100},
        "executor": "inline",
        "space": {"ref": SPACE},
        "strategy": {"ref": "listed", "genotypes": [[6, 1]], "budget": 1},
        "evaluator": {"ref": "training", "batch": 20, "schedule": "constant", "averaging": 0.2, "horizon": 1000}
        | {"pace": pace, "splits": 2},
        "threads_per_trial": 1,
        "objectives": ["valid_accuracy"],
    }
    run = Run(tmp_path / "one", tables, trials=1, space=SPACE, console=Console(file=io.StringIO()))
    run.search()
    shutil.copytree(run.folder, tmp_path / "two")
    first = _by_clock(run, tmp_path / "one", Times(1, 1.0, 1.0), 1.0)
    again = _by_clock(run, tmp_path / "two", Times(1, 1.0, 1.0, first.heats), 0.1)
    assert again.heats == first.heats and (again.verdict, again.reason) == (first.verdict, first.reason)
    assert [heat.name for heat in first.heats] == ["rank", "final"]
    ends = {heat.name: {end for own in heat.ends for end in own} for heat in first.heats}
    assert {len(end) for end in ends["rank"]} == {2}, "two divisions of the images"
    options = [run_folder.settings_in(place).evaluator.options for place in run_folder.trainings(tmp_path / "one")]
    assert any("deadlines" in each for each in options) and not any("cuts" in each for each in options)
    assert {len(end) for end in ends["final"]} == {1}
    weights = [
        [path.read_bytes() for place in run_folder.trainings(folder) for path in sorted(place.rglob("weights.*"))]
        for folder in (tmp_path / "one", tmp_path / "two")
    ]
    assert len(weights[0]) >= 3 and weights[0] == weights[1]


def _by_clock(run, folder, times, seconds):
    session = Session(Console(file=io.StringIO()), lambda _c, _s: nullcontext(), "")
    return contest.play(session, folder, run.settings, times, time.monotonic() + seconds)
