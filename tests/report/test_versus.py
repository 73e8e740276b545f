from dataclasses import replace

import numpy as np
import pytest

from netwright.core.finals import Repetition
from netwright.core.objectives import Objective
from netwright.core.refs import Reference
from netwright.report import page, versus
from netwright.report.parts.versus import part
from netwright.strategies.random import RandomSearch
from tests.report import test_page
from tests.report.test_fronts import reported
from tests.report.test_page import read

RNG = np.random.default_rng


def searched(name, strategy, points, **settings):
    run = reported(points, name, **settings)
    return replace(run, run=replace(run.run, strategy=Reference(strategy)))


def test_a_front_dominates_where_every_point_of_the_other_is_beaten():
    good = searched("hnag", "mobo", [(0.9, 50.0), (0.7, 20.0)])
    poor = searched("rnag", "mobo", [(0.8, 60.0), (0.6, 20.0), (0.5, 90.0)])
    [over, under] = versus.dominations([good, poor])
    assert (over.over, over.under, over.dominated, over.points, over.is_whole) == ("hnag", "rnag", 2, 2, True)
    assert (under.dominated, under.points, under.is_whole) == (0, 2, False)
    assert over.sentence() == "The front of hnag dominates that of rnag: all 2 points of it."
    assert under.sentence() == "The front of rnag dominates 0 of 2 points on that of hnag."


def test_a_point_that_is_equal_is_not_beaten():
    runs = [searched("a", "mobo", [(0.9, 50.0), (0.7, 20.0)]), searched("b", "mobo", [(0.9, 50.0), (0.6, 20.0)])]
    assert [each.dominated for each in versus.dominations(runs)] == [1, 0]


def test_fronts_of_other_objectives_are_not_compared():
    other = searched("b", "mobo", [(0.9, 1.0, 2.0)], goals=("valid_accuracy", "-params", "-latency_ms"))
    assert versus.dominations([searched("a", "mobo", [(0.9, 50.0)]), other]) == []


def test_what_a_search_gained_over_random_networks():
    search = searched("bohb", "bohb", [(0.9, 1.0), (0.7, 1.0)])
    chance = searched("chance", "random", [(0.4, 1.0), (0.6, 1.0), (0.2, 1.0)])
    [advantage] = versus.advantages([chance, search], RNG(0))
    assert (advantage.searched, advantage.sampled, advantage.what) == ("bohb", "chance", "trials at the judged budget")
    assert advantage.ratio == pytest.approx(2) and advantage.low < 2 < advantage.high
    assert advantage.sentence().startswith("Searched over random, bohb by chance: 2.000 (")
    assert versus.advantages([search, search], RNG(0)) == [], "none is random"
    elsewhere = replace(chance, run=replace(chance.run, space=Reference("other")))
    assert versus.advantages([search, elsewhere], RNG(0)) == [], "of another space"


@pytest.mark.parametrize("strategy", ["random", "panel", f"{__name__}:Uniform"])
def test_a_strategy_says_that_its_trials_are_a_random_sample(strategy):
    search = searched("a", "mobo", [(0.9, 1.0), (0.7, 1.0)])
    chance = searched("b", strategy, [(0.4, 1.0), (0.6, 1.0)])
    assert [each.sampled for each in versus.advantages([search, chance], RNG(0))] == ["b"]
    gone = searched("c", "somewhere.unknown:Uniform", [(0.4, 1.0), (0.6, 1.0)])
    assert versus.advantages([search, gone], RNG(0)) == [], "what it says cannot be known here"


class Uniform(RandomSearch):
    """Of a user; it says what the class above it says."""


def measured_otherwise(run, **settings):
    return replace(run, run=replace(run.run, **settings))


@pytest.mark.parametrize(
    "settings",
    [{"task": Reference("digits", {"train_limit": 60})}, {"evaluator": Reference("training", {"epochs": 9})}],
)
def test_what_was_not_trained_alike_is_not_compared(settings):
    search = searched("a", "mobo", [(0.9, 50.0), (0.7, 20.0)])
    chance = searched("b", "random", [(0.4, 60.0), (0.6, 70.0)])
    assert versus.advantages([search, chance], RNG(0)) and versus.dominations([search, chance])
    other = measured_otherwise(chance, **settings)
    assert versus.advantages([search, other], RNG(0)) == [] == versus.dominations([search, other])


def test_a_budget_is_a_length():
    """A search over budgets has its length from them, random networks of that length from an option."""
    evaluators = [Reference("training", {"epochs": 9, "horizon": 4}), Reference("training", {"epochs": 4})]
    points = [(0.9, 1.0), (0.8, 1.0)]
    search, chance = (searched(n, n, points, budgets=b) for n, b in (("bohb", [4, 4]), ("random", ())))
    search, chance = (measured_otherwise(r, evaluator=e) for r, e in zip((search, chance), evaluators, strict=True))
    assert len(versus.advantages([search, chance], RNG(0))) == 1
    longer = measured_otherwise(chance, evaluator=evaluators[0])
    assert versus.advantages([search, longer], RNG(0)) == []


def test_of_a_loss_less_is_a_gain():
    runs = [searched(n, n, [(0.4,)], goals=("-valid_loss",)) for n in ("bohb", "random")]
    assert versus.advantages(runs, RNG(0))[0].sentence().endswith("(trials at the judged budget; lower is better).")


def test_a_front_trained_anew_on_the_training_data_is_not_training_in_full():
    again = test_page.trained_in_full("on the front", objective=Objective("valid_accuracy", 1), mean=0.99)
    again = replace(again, repetitions=(Repetition(1, 7, 0.99),))
    search = replace(searched("bohb", "bohb", [(0.8, 1.0)]), finals=(again,))
    [advantage] = versus.advantages([search, searched("chance", "random", [(0.4, 1.0)])], RNG(0))
    assert advantage.what == "trials at the judged budget" and advantage.ratio == pytest.approx(2)


def test_networks_trained_in_full_count_where_random_ones_measured_the_same():
    values = (Repetition(1, 7, 0.96), Repetition(2, 7, 0.94))
    final = test_page.trained_in_full(repetitions=values)
    search = replace(searched("bohb", "bohb", [(0.9, 1.0)]), finals=(final,))
    chance = searched("chance", "random", [(0.9, 1.0), (1.0, 1.0)], goals=("test_accuracy", "-params"))
    [advantage] = versus.advantages([search, chance], RNG(0))
    assert advantage.metric == "test accuracy" and advantage.what == "networks trained in full"
    assert advantage.ratio == pytest.approx(1)


def test_the_page_and_the_facts_of_two_runs_say_it(tmp_path):
    runs = [searched("a", "mobo", [(0.9, 50.0), (0.7, 20.0)]), searched("b", "random", [(0.8, 60.0)])]
    text = " ".join(" ".join(read(page.write(tmp_path, runs)).text).split())
    assert "The front of a dominates that of b: all 1 point of it." in text and "Searched over random, a by b" in text
    told = versus.facts(runs, RNG(0))
    assert told["dominations"][0]["dominates"] is True and told["advantages"][0]["low"] is None, "one random network"
    assert part.instead(runs[0], "") == "", "alone"
