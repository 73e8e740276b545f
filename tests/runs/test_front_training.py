"""A front chosen from, and trained anew: by commands and from Python."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors.torch
from rich.console import Console

from netwright.core import front
from netwright.core.choosing import Which
from netwright.core.errors import BadReference, BadRunFile
from netwright.runs import front_training
from netwright.runs.run import Run
from tests.cli.test_bad_input import run as command
from tests.runs.test_several_objectives import GOALS, made
from tests.verified import VERIFIED

SMALL = {
    "space": {"ref": "hnag", "limit": 2000, "n_top": [3, 5], "n_mid": [1, 1], "n_bottom": [3, 3]},
    "strategy": "random",
    "executor": "inline",
    "task": {"ref": "digits", "train_limit": 60},
    "evaluator": {"ref": "training", "steps": 1},
    "objectives": ["valid_accuracy", "-memory_per_sample"],
    "limits": {"trials": 4},
    "threads_per_trial": 1,
}


@pytest.fixture(scope="module")
def generators(tmp_path_factory):
    """A search of generators by two objectives, whose front was trained anew, and what that said."""
    out = io.StringIO()
    run = Run(tmp_path_factory.mktemp("generators") / "run", SMALL, console=Console(file=out, width=300))
    run.search(is_stage=True)
    found = run.train(front=True, networks=2, reference=False, changes={"evaluator": {"steps": 1}})
    return run, found, out.getvalue()


def test_a_front_of_generators_is_trained_anew(generators):
    run, found, said = generators
    again = run.retrained_front()
    on_front = {trial.id: trial for trial in run.front()}
    assert {point.trial for point in again.points} == on_front.keys()
    new = np.array([[mean.value for mean in point.new] for point in again.points]) * [1, -1]
    assert [point.is_on_front for point in again.points] == list(front.nondominated(new))
    for point in again.points:
        accuracy, memory = point.new
        assert point.n == 2 and accuracy.sd is not None and memory.sd is not None
        assert np.array(point.old) * [1, -1] == pytest.approx(on_front[point.trial].scores)
        final = next(each for each in found if each.genotype == point.genotype and not each.is_tested)
        seeds = {each.seed for each in final.repetitions}
        assert len(seeds) == 2 and on_front[point.trial].seed not in seeds, "fresh"
        assert accuracy.value == pytest.approx(np.mean([each.value for each in final.repetitions]))
        assert point.seed == max(final.repetitions, key=lambda each: each.value).seed
    assert f"points of the front are still nondominated: trials {again.points[0].trial}" in said
    assert "on average" in said and " KiB" in said and "still on the front" in said


def test_the_network_that_did_best_is_trained_in_full(generators):
    run, found, _ = generators
    chosen, best = found[0], run.retrained_front().points[0]
    assert chosen.is_tested and (chosen.trial_id, chosen.n) == (best.trial, 1)
    tried = next(each for each in found[1:] if each.trial_id == best.trial)
    assert dict(chosen.space.options)["seed"] == best.seed
    names = {tuple(sorted(_shapes(folder))) for folder in (chosen.folder, _folder(tried, best.seed))}
    assert len(names) == 1, "the wiring that was chosen, whatever the seed of its training"


@pytest.mark.parametrize("asked", ["knee", "at"])
def test_the_point_to_train_in_full_is_chosen_by_the_new_values(generators, asked):
    """Of the front that is in the table already, so that one network is trained more."""
    run, _, _ = generators
    again = run.retrained_front()
    least = min(point.new[1].value for point in again.points)
    given = {"at": [f"memory_per_sample<={least!r}"]} if asked == "at" else {"knee": True}
    expected = again.chosen(Which(knee=asked == "knee", at=tuple(given.get("at", ()))))
    assert asked == "knee" or expected.new[1].value == least
    steps = {"evaluator": {"steps": 1}}
    chosen, *others = run.train(front=True, networks=2, reference=False, changes=steps, **given)
    assert chosen.trial_id == expected.trial and chosen.is_tested and "trained anew" in chosen.label
    assert sum(other.n for other in others) == 2 * len(again.points)


@VERIFIED
def test_a_recipe_says_how_a_front_is_trained_and_the_search_by_what(generators, tmp_path):
    run, _, _ = generators
    recipe = tmp_path / "recipe.toml"
    task = 'task = {ref = "digits", train_limit = 60}'
    recipe.write_text(f'space = {{ref = "hnag"}}\n{task}\nevaluator = {{ref = "training", steps = 1}}\n')
    found = run.train(front=True, recipe=recipe, reference=False)
    again = run.retrained_front()
    assert again.setting == "1 steps" and [goal.name for goal in again.goals] == ["valid_accuracy", "memory_per_sample"]
    assert found[0].trial_id == again.points[0].trial


@pytest.fixture(scope="module")
def held(tmp_path_factory):
    """A search of generators that are held to one network each, and its front trained anew."""
    space = {**SMALL["space"], "fixed": True, "seed": 5}
    run = Run(tmp_path_factory.mktemp("held") / "run", {**SMALL, "space": space}, console=Console(file=io.StringIO()))
    run.search(is_stage=True)
    changes = {"evaluator": {"steps": 1, "save": True}}
    return run, run.train(front=True, repeats=2, reference=False, changes=changes)


def test_a_generator_that_is_held_to_one_network_keeps_it(held):
    run, found = held
    assert dict(found[0].space.options)["seed"] == 5 and found[0].n == 2
    assert len({tuple(_shapes(final.folder)) for final in found if final.trial_id == found[0].trial_id}) == 1
    with pytest.raises(BadRunFile, match="--networks goes with a space of generators"):
        run.train(front=True, networks=2)


@VERIFIED
def test_a_network_of_a_generator_is_exported_as_it_was_trained(held, tmp_path):
    run, found = held
    where = run.export(tmp_path / "out")  # which is checked against what was trained
    stored = safetensors.torch.load_file(next(where.glob("*.safetensors")))
    assert sum(w.numel() for w in stored.values()) >= found[0].params


def test_what_a_front_cannot_be_chosen_by_is_refused_before_it_is_trained(generators):
    run, _, _ = generators
    before = set(run.folder.glob("train-*"))
    with pytest.raises(BadReference, match="latency_ms, which was not measured"):
        run.train(front=True, at=["latency_ms<=5"], epochs=7)
    assert set(run.folder.glob("train-*")) == before


def test_a_generator_that_cannot_be_held_to_a_network_is_refused_before_it_is_trained(generators, monkeypatch):
    monkeypatch.setattr(front_training, "refs", SimpleNamespace(locate=lambda *_: None, options_of=lambda _: {}))
    with pytest.raises(BadReference, match="the space hnag has no option `fixed` to hold to it"):
        front_training.candidates(generators[0].folder, generators[0].settings, None, Which())


def test_the_command_that_repeats_a_front(generators):
    _, found, _ = generators
    assert " --front " in found[-1].command and "--trial" not in found[-1].command


def test_the_page_shows_then_and_now(generators):
    run, _, _ = generators
    page = (run.folder / "report" / "report.html").read_text(encoding="utf-8")
    assert "The front, trained anew" in page and "valid accuracy, searched" in page


def _folder(final, seed):
    return final.folder.parent / f"{[each.seed for each in final.repetitions].index(seed) + int(final.folder.name):06d}"


def _shapes(folder):
    return [(name, *w.shape) for name, w in safetensors.torch.load_file(folder / "weights.safetensors").items()]


def test_one_point_for_every_command(generators, tmp_path, capsys):
    run, _, _ = generators
    facts = json.loads(command(capsys, "status", run.folder, "--json")[1])
    points = {row["trial"]: row for row in facts["front"]}
    bound = min(row["memory_per_sample"] for row in points.values())
    last = next(trial for trial, row in points.items() if row["memory_per_sample"] == bound)
    for words, trial in ((["--knee"], facts["knee"]), (["--at", f"memory_per_sample<={bound}"], last)):
        shown = json.loads(command(capsys, "show", run.folder, *words, "--json")[1])
        assert shown["key"] == next(row.key for row in run.trials if row.id == trial)


@pytest.fixture(scope="module")
def toy(tmp_path_factory):
    """A search by two objectives, and one by the first of them."""
    place = tmp_path_factory.mktemp("toy")
    for name, goals in (("run", GOALS), ("single", GOALS[:1])):
        made(place / name, trials=6, objectives=goals)[0].search(is_stage=True)
    return place


def test_what_was_not_trained_is_not_exported(toy, tmp_path, capsys):
    knee = json.loads(command(capsys, "status", toy / "run", "--json")[1])["knee"]
    code, _, err = command(capsys, "export", toy / "run", "--trust", "--knee", "--out", tmp_path / "out")
    assert code == 2 and f"no trained network of trial {knee}; train one with `netwright train" in err
    assert f"--trial {knee}`" in err


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--knee", "--trial", "2"], "--trial and --knee are given; give one of them"),
        (["--knee", "--top", "2"], "--knee does not go with --top"),
        (["--front", "--trial", "2"], "more than one is given"),
        (["--at", "params<=5"], "no point of the front meets --at 'params <= 5': the smallest is "),
        (
            ["--at", "latency_ms<=5"],
            "latency_ms, which was not measured; of the front are known: params, valid_accuracy",
        ),
        (["--at", "small"], "--at 'small' cannot be read; write it as"),
    ],
)
def test_what_cannot_be_chosen_is_one_sentence(toy, capsys, words, sentence):
    code, _, err = command(capsys, "train", toy / "run", "--trust", *words)
    assert code == 2 and sentence in err and err.count("\n") == 1


@pytest.mark.parametrize("words", [["train", "--knee"], ["train", "--front"], ["show", "--at", "params<=5"]])
def test_one_objective_has_no_front_to_choose_from(toy, capsys, words):
    code, _, err = command(capsys, words[0], toy / "single", "--trust", *words[1:])
    assert code == 2 and "several objectives" in err and "search with --objectives" in err and err.count("\n") == 1


def test_what_is_no_run_has_no_front(capsys):
    code, _, err = command(capsys, "show", "zoo:hierarchical", "--knee")
    assert code == 2 and "--knee goes with the folder of a run; zoo:hierarchical is none" in err
