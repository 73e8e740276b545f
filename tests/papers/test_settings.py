"""The table of all recipes against their papers (`settings.py`): nothing differs unexplained, nothing is missing."""

import sys

import pytest

from tests.papers import settings

# recipes of no paper, and what they are
OF_NO_PAPER = {
    "fast-cifar10": "a training of our own, of a published cell, for ten minutes of a card",
    "rnn-text": "a search on a text of one's own, for five minutes of a laptop",
}
ENTRIES = settings.entries()


def test_every_recipe_is_in_the_table():
    recipes = {path.stem for path in settings.RECIPES.glob("*.toml")}
    assert ENTRIES.keys() | OF_NO_PAPER.keys() == recipes
    assert not ENTRIES.keys() & OF_NO_PAPER.keys()


@pytest.mark.parametrize("name", ENTRIES)
def test_what_differs_from_the_paper_is_explained(name):
    entry = ENTRIES[name]
    found = settings.rows(entry)
    unexplained = [(row.setting, row.ours, row.published) for row in found if not row.is_explained]
    assert not unexplained, "say in published/*.toml why, or follow the paper"
    assert not settings.stale(entry), "reasons for what is as published"
    assert sum(row.is_equal for row in found) >= 3, "it follows its paper in something"


@pytest.mark.parametrize("paper", settings.papers())
def test_every_published_list_is_followed_by_a_recipe(paper):
    followed = {name for entry in settings.entries().values() if entry.paper == paper for name in entry.of}
    assert followed == settings.papers()[paper]["published"].keys()


def test_a_recipe_that_deviates_is_found(monkeypatch, tmp_path):
    """Another value, a setting that was left out, one that no paper has."""
    text = (settings.RECIPES / "hierarchical-cifar10.toml").read_text(encoding="utf-8")
    changed = text.replace("lr = 0.1\n", "lr = 0.2\naccumulate = 2\n").replace("repeats = 4\n", "")
    (tmp_path / "hierarchical-cifar10.toml").write_text(changed, encoding="utf-8")
    monkeypatch.setattr(settings, "RECIPES", tmp_path)
    found = settings.rows(ENTRIES["hierarchical-cifar10"])
    wrong = {row.setting: (row.ours, row.published) for row in found if not row.is_explained}
    assert wrong == {
        "evaluator.lr": (0.2, 0.1),
        "evaluator.repeats": (1, 4),
        "evaluator.accumulate": (2, settings.NONE),
    }


def test_the_command_prints_it(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["settings", "hierarchical-cifar10"])
    settings.main()
    head, rule, *lines = capsys.readouterr().out.splitlines()
    assert head == "| recipe | setting | ours | published | source | why they differ |" and set(rule) == {"|", "-"}
    assert len(lines) == len(settings.rows(ENTRIES["hierarchical-cifar10"]))
    assert any(line.startswith("| hierarchical-cifar10 | evaluator.steps | 5000 | 5000 | section 7") for line in lines)
