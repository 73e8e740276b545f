"""Who won, in a sentence, and the pairs that matter."""

import math
from typing import NamedTuple

import pytest

from netwright.comparison import leading
from netwright.comparison.bootstrap import Difference
from netwright.comparison.measures import MeanOfSeeds

MEANS = {"a": MeanOfSeeds(90.0, 0.1, 30), "b": MeanOfSeeds(92.0, 0.1, 30), "c": MeanOfSeeds(91.0, 0.1, 30)}


class Pair(NamedTuple):
    strategy: str
    other: str
    measure: str
    difference: Difference


def pairs(low, seeds=30):
    """b is 2 above a and 1 above c, whose interval begins at `low`."""
    return [
        Pair("a", "b", "final", Difference(-2.0, -2.5, -1.5, 0.001, seeds)),
        Pair("a", "c", "final", Difference(-1.0, -1.5, -0.5, 0.001, seeds)),
        Pair("b", "c", "final", Difference(1.0, low, 1.5, 0.001, seeds)),
        Pair("b", "c", "regret", Difference(0.3, 0.1, 0.5, 0.001, seeds)),
    ]


def of(low, seeds=30, sign=1):
    return leading.leading("final", "test", sign, MEANS, pairs(low, seeds))


def test_the_winner_is_named_with_its_nearest_rival():
    said = leading.sentence(of(0.5))
    assert said.startswith("b wins (test 92.00 ± 0.10), clearly before every other; the nearest is c (91.00 ± 0.10; ")
    assert said.endswith("difference +1.00, 95 % interval +0.50 to +1.50)")


@pytest.mark.parametrize(("low", "seeds", "names"), [(-0.1, 30, "c"), (0.5, 19, "c, a")])
def test_what_is_not_clear_is_no_win(low, seeds, names):
    assert leading.sentence(of(low, seeds)) == (
        f"no clear winner: b is first (test 92.00 ± 0.10), but not clearly before {names}"
    )


def test_lower_may_be_better():
    assert of(0.5, sign=-1).strategy == "a"
    assert [lead.other for lead in of(0.5, sign=-1).leads] == ["c", "b"]
    assert "a wins" in leading.sentence(of(0.5, sign=-1))


def test_only_pairs_with_the_first_are_shown_and_as_first_less_other():
    found = of(0.5)
    assert [(lead.other, lead.difference[:3]) for lead in found.leads] == [("c", (1, 0.5, 1.5)), ("a", (2, 1.5, 2.5))]
    [html] = leading.parts(found)
    assert html.count("<tr>") == 2 + 3 and "regret" in html.partition("<details>")[2]


def test_nothing_is_said_where_nothing_was_compared():
    lone = {"a": MEANS["a"], "b": MeanOfSeeds(math.nan, math.nan, 0)}
    assert leading.leading("final", "test", 1, lone, []) is None and leading.parts(None) == []


def test_nobody_is_first_by_what_no_pair_compares():
    """As the best scores of searches in rounds, which are by weights of their own."""
    assert leading.leading("hypervolume", "hypervolume", 1, MEANS, pairs(0.5)) is None
