"""Table 1 of Liu et al. 2018: its searches and trainings, each played to its end with two channels and few steps."""

import re
from pathlib import Path

import numpy as np
import pytest
import tomli_w

from netwright.core import run_file
from netwright.core.errors import BadRunFile
from netwright.core.records import IO
from netwright.report import page, trained
from netwright.runs.run import Run
from netwright.spaces.hierarchical import HierarchicalSpace
from tests.tiny_data import cifar, photos
from tests.verified import VERIFIED

RECIPES = Path(__file__).parents[2] / "recipes"
SMALL = {"channels": 4, "repeats": 1}
SEARCHES = (
    "hierarchical-cifar10",
    "flat-constrained-typical-cifar10",
    *(
        pytest.param(name, marks=VERIFIED)
        for name in (
            *("hierarchical-random-200", "hierarchical-random-7000", "flat-cifar10"),
            *("flat-random-200", "flat-constrained-cifar10"),
        )
    ),
)


@pytest.fixture(autouse=True)
def no_page(monkeypatch):
    """Pages are looked at elsewhere; drawing their figures would take most of the time."""
    monkeypatch.setattr(page, "write", lambda folder, *_: folder)


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Options of a task of ten classes of noise, in place of CIFAR-10."""
    place = tmp_path_factory.mktemp("images")
    return {"path": str(cifar(place / "cifar10")), "valid": 20, "cache": str(place / "cache")}


def _searched(folder, name, images):
    cell = {"nodes": 4} if "flat" in name else {"motifs": [2, 1], "nodes": [3, 3]}
    changes = {"space": {"channels": 2, **cell}, "task": images, "executor": {"workers": 1}}
    changes |= {"strategy": {"initial": 2}} if "random" not in name else {}
    changes |= {"evaluator": {"steps": 1, "batch": 8, "repeats": 1}}
    tables = run_file.merged(run_file.read(RECIPES / f"{name}.toml"), changes)
    run = Run(folder, {**tables, "executor": "inline"}, trials=2)
    assert run.search(is_stage=True).best is not None
    return run


def _tables(finals):
    """The cells of each row, by table, of what stands beside what papers print."""
    tables = [re.findall("<tr>(<td.*?)</tr>", text) for text in trained.published([("", each) for each in finals])]
    return [[re.findall("<td[^>]*>(.*?)</td>", row) for row in table] for table in tables]


@pytest.mark.parametrize("name", SEARCHES)
def test_searches_of_the_table_come_to_their_end(name, images, tmp_path):
    run = _searched(tmp_path / name, name, images)
    assert (run.progress.done, run.settings.reuse) == (2, "genotype")


def test_both_representations_are_trained_by_one_recipe_and_stand_beside_what_is_printed(images, tmp_path):
    """Its best, and its first sample, which is a random architecture, in the host of the recipe."""
    run = _searched(tmp_path / "flat", "flat-constrained-typical-cifar10", images)
    small = {"space": {"channels": 4}, "task": images, "evaluator": {"steps": 1, "batch": 8, "lr": 1e-4}}
    for name in ("large-cifar10", "small-cifar10"):  # workers would take most of the time
        tables = {**run_file.read(RECIPES / f"{name}.toml"), "executor": "inline"}
        (tmp_path / f"{name}.toml").write_text(tomli_w.dumps(tables))
    [best] = run.train(recipe=tmp_path / "large-cifar10.toml", repeats=2, reference=False, changes=small)
    [first] = run.train(recipe=tmp_path / "small-cifar10.toml", trial=1, repeats=1, reference=False, changes=small)
    assert (best.space.name, best.space.options["repeats"], best.n) == ("flat", 2, 2)
    assert (first.label, first.space.options["repeats"], first.setting) == (
        "trial 1",
        1,
        "1 steps, channels 4, repeats 1",
    )
    assert best.published[-1].error == 3.75 and first.published == ()
    [table] = _tables([first, best])
    assert ["hierarchical, evolution, 7,000 samples", "published", "3.75 ± 0.12", "–", "15,700,000", "5", "–"] in table
    error = f"{100 * (1 - best.mean):.2f} ± {100 * best.sd:.2f}"
    assert table[-1][:4] == [best.name, "here", error, "–"], "ours as an error in percent, beside it"


@pytest.mark.parametrize(
    ("name", "entry", "space"),
    [
        pytest.param("larger-cifar10", "hierarchical", {"channels": 2}, marks=VERIFIED),
        ("imagenet", "hierarchical", {"channels": 2, "repeats": 1}),
        pytest.param("amoebanet-imagenet", "amoebanet_a", SMALL, marks=VERIFIED),
        pytest.param("amoebanet-code-imagenet", "amoebanet_a", SMALL, marks=VERIFIED),
        pytest.param("amoebanet-d-imagenet", "amoebanet_d", SMALL, marks=VERIFIED),
        pytest.param("naonet-imagenet", "naonet_a", SMALL, marks=VERIFIED),
    ],
)
def test_trainings_come_to_their_end_with_the_errors_that_are_printed(name, entry, space, images, tmp_path):
    """On ImageNet, top-5 errors stand beside top-1."""
    task = images
    if name != "larger-cifar10":
        folder = photos(tmp_path / "photos", tuple("abcdef"), images=10, side=16)
        task = {
            "path": str(folder),
            "size": 32 if name == "imagenet" else 144,
            "valid": 0.2,
            "cache": str(tmp_path / "cache"),
        }
    changes = {"space": space, "task": task, "evaluator": {"steps": 1, "batch": 8, "lr": 1e-4}}
    run = Run(tmp_path / name, RECIPES / f"{name}.toml", executor="inline")
    [final] = run.train(published=entry, repeats=1, reference=False, changes=changes)
    [table] = _tables([final])
    assert [row[0] for row in table[:-1]] == [each.network for each in final.published] != []
    if name == "larger-cifar10":
        assert not final.further
        return
    [top5] = final.further
    assert (top5.objective.name, final.mean <= top5.value <= 1) == ("test_top5", True)
    assert table[0][3] == f"{final.published[0].top5_error:g}"
    assert table[-1][2:4] == [f"{100 * (1 - final.mean):.2f}", f"{100 * (1 - top5.value):.2f}"]


def test_a_recipe_that_does_not_fit_the_search_is_refused(images, tmp_path):
    run = _searched(tmp_path / "flat", "flat-random-200", images)
    for space, message in (("flat(nodes=7)", "changes the genes"), ("nasnet(auxiliary=true)", "sets space.auxiliary")):
        recipe = tmp_path / "other.toml"
        recipe.write_text(f'space = "{space}"\n')
        with pytest.raises(BadRunFile, match=f"{recipe} {message}"):
            run.train(recipe=recipe)


def test_both_readings_of_the_constraint():
    """The published cell's size is above all random hierarchical cells; 95 of 100 stay below the other cap."""
    caps = []
    for name in ("flat-constrained-cifar10", "flat-constrained-typical-cifar10"):
        [text] = run_file.from_tables(run_file.read(RECIPES / f"{name}.toml")).constraints
        caps.append(int(text.removeprefix("params <= ")))
    rng, space = np.random.default_rng(0), HierarchicalSpace(channels=16, repeats=1)
    sizes = np.array([space.count(space.sample(rng), IO(3, 32, 32, 10)).params for _ in range(400)])
    assert caps[0] == 542_138 > sizes.max()
    assert (sizes < caps[1]).mean() == pytest.approx(0.95, abs=0.03)
