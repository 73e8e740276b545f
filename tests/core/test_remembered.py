"""What a table remembers of its run may come from a stranger: it is what it must be, or is refused in a sentence."""

import pytest

from netwright.core import remembered
from netwright.core.baselines import Baseline
from netwright.core.errors import StoreError
from netwright.core.finals import Candidate
from netwright.core.objectives import Objective
from netwright.stores.memory import MemoryStore

READERS = {
    "hours": lambda store: remembered.number(store, "hours"),
    "caveats": lambda store: remembered.texts(store, "caveats"),
    "versions": lambda store: remembered.table(store, "versions"),
    "measures": remembered.measures,
    "baselines": remembered.baselines,
    "candidates": remembered.candidates,
}


def _read(name, text):
    store = MemoryStore()
    store.remember(name, text)
    return READERS[name](store)


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "text",
    ["", "{", "null", "true", '"x"', '[{"a": 1}]', "[1]", "[" * 10_000, "NaN", "-1", '{"a": [1]}', "9" * 5000],
)
def test_a_fact_of_another_kind_is_refused(name, text):
    with pytest.raises(StoreError, match=f"its fact '{name}' is .*; restore a copy"):
        _read(name, text)


def test_facts_are_read_as_what_they_are():
    assert _read("baselines", '[{"name": "a", "value": 1, "words": "w"}]') == (Baseline("a", 1.0, "w"),)
    assert _read("measures", '[{"name": "a", "sign": -1, "shown": "share"}]') == (Objective("a", -1, "share"),)
    [found] = _read("candidates", '[{"label": "BEST", "genotype": [1, 0.5], "trial_id": 3}]')
    assert found == Candidate("BEST", (1, 0.5), 3)
    assert [type(value) for value in found.genotype] == [int, float]


@pytest.mark.parametrize(
    "text",
    [
        '[{"label": "BEST", "genotype": 3}]',
        '[{"label": "BEST", "genotype": ["3"]}]',
        '[{"label": 1, "genotype": [3]}]',
        '[{"label": "BEST", "genotype": [3], "trial_id": "x"}]',
    ],
)
def test_candidates_that_are_none_are_refused(text):
    with pytest.raises(StoreError, match="candidates"):
        _read("candidates", text)


@pytest.mark.parametrize("text", ["1e308", "1e12", "inf", "nan", "-1", "x"])
def test_hours_that_no_clock_can_have_counted_are_damage(text):
    store = MemoryStore()
    store.remember("simulated_hours", text)
    with pytest.raises(StoreError, match="which is no number"):
        remembered.number(store, "simulated_hours")
