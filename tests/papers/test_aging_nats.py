"""Aging evolution on the cells of NATS-Bench against an independent implementation, and numbers obtained elsewhere.

Signal: validation accuracy after 12 epochs; final: test accuracy after 200 epochs of the cell with the best signal so
far; regret: how far that signal is below the best of all cells. Settings: Dong et al. 2021, population 10, sample 3.
"""

import csv
import math
import os
from collections import Counter
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netwright.controller import Search
from netwright.core import refs, seeds
from netwright.core.records import Proposal, Result, Trial
from netwright.core.run_file import Limits
from netwright.evaluators.lookup import Lookup
from netwright.executors.inline import Inline
from netwright.spaces.nats import NatsTopology
from netwright.stores.memory import MemoryStore
from netwright.strategies.aging import AgingEvolution
from netwright.tables.nats_tss import nats_tss
from tests.verified import IS_VERIFIED, VERIFIED

SEEDS = 500 if IS_VERIFIED else 60
DATASETS = ("cifar10", "cifar100")
OPERATIONS = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
SPACE = NatsTopology()
# started small, so that what they do after the start is seen within few trials
OPTIONS = {
    "tournament": "initial=5",
    "aging": "population=5, sample=2",
    "non_aging": "population=5, sample=2",
    "nago_mobo": "chain_steps=40",
}
NEEDS_MORE = ("listed", "asha", "bohb", "mobo", "mobster", "vega_bohb")  # a list, a table with budgets, an extra
SAME = ("auto",)  # another name of one that is there

needs_data = pytest.mark.skipif("NETWRIGHT_DATA" not in os.environ, reason="NETWRIGHT_DATA names no folder of nats-tss")


def path():
    return Path(os.environ["NETWRIGHT_DATA"]) / "nats-tss" / "nats_tss.csv"


@lru_cache
def cells(dataset):
    """Signal and final of all cells, each of shape (5, 5, 5, 5, 5, 5): one axis per edge of the benchmark's string."""
    signal, final = np.full((5,) * 6, np.nan), np.full((5,) * 6, np.nan)
    with path().open() as file:
        for row in csv.DictReader(file):
            names = [part.split("~")[0] for part in row["arch"].replace("+", "").split("|") if part]
            cell = tuple(map(OPERATIONS.index, names))
            signal[cell], final[cell] = row[f"{dataset}_val_acc_12ep"], row[f"{dataset}_test_acc_200ep"]
    return signal, final


# the independent implementation, straight on the file: nothing of the package in it --------------------------------


def aging_evolution(signal, trials, rng, population=10, sample=3):
    """Cells in the order of their evaluation, shape (trials, 6)."""
    history = []
    while len(history) < trials:
        alive = history[-population:]
        if len(alive) < population:
            history.append(rng.integers(0, 5, 6))
            continue
        drawn = [alive[i] for i in rng.integers(0, population, sample)]
        child = max(drawn, key=lambda cell: signal[tuple(cell)]).copy()
        node = rng.integers(1, 4)
        edge = node * (node - 1) // 2 + rng.integers(node)
        child[edge] = (child[edge] + rng.integers(1, 5)) % 5
        history.append(child)
    return np.array(history)


def outcome(measured, final, best):
    """Final and regret after 100 trials and after 200, from the measures of each: (final, regret, final, regret)."""
    chosen = [int(np.argmax(measured[:trials])) for trials in (100, 200)]
    return [value for trial in chosen for value in (final[trial], best - measured[trial])]


# ----------------------------------------------------------------------------------------------------------------


@lru_cache
def table(dataset):
    return nats_tss(str(path()), dataset)


def searched(name, options, dataset, seed, trials=200, store=None):
    """A search by the package; returns its table."""
    store = MemoryStore() if store is None else store
    reference = refs.parse(f"{name}({options})" if options else name)
    strategy = refs.load("strategy", reference, space=SPACE, objectives=("signal",))
    executor = Inline(Lookup(table(dataset)))
    Search(SPACE, strategy, store, executor, ("signal",), Limits(trials=trials), seed).run()
    return store


@lru_cache
def ours(name, options, dataset):
    """Outcomes over the seeds, shape (SEEDS, 4)."""
    found, best = [], np.nanmax(table(dataset).scores("signal"))
    for seed in range(SEEDS):
        metrics = [row.result.metrics for row in searched(name, options, dataset, seed).finished()]
        found.append(outcome([m["signal"] for m in metrics], [m["final"] for m in metrics], best))
    return np.array(found)


@lru_cache
def theirs(dataset):
    """Outcomes of the independent implementation, shape (SEEDS, 4)."""
    signal, final = cells(dataset)
    found = []
    for seed in range(SEEDS):
        history = tuple(aging_evolution(signal, 200, np.random.default_rng(seed)).T)
        found.append(outcome(signal[history], final[history], signal.max()))
    return np.array(found)


@needs_data
@pytest.mark.parametrize("dataset", DATASETS)
def test_final_and_regret_are_those_of_the_independent_implementation(dataset):
    we, they = ours("aging", "population=10, sample=3", dataset), theirs(dataset)
    difference = we.mean(axis=0) - they.mean(axis=0)
    assert np.all(np.abs(difference) < 3 * np.hypot(error(we), error(they)))


@needs_data
@pytest.mark.parametrize(
    ("dataset", "means", "errors"),
    [
        ("cifar10", (93.92, 0.71, np.nan, 0.33), (0.02, 0.03, np.nan, np.nan)),
        ("cifar100", (71.89, 1.18, np.nan, 0.44), (0.05, 0.05, np.nan, np.nan)),
    ],
)
def test_final_and_regret_of_aging_evolution_obtained_elsewhere(dataset, means, errors):
    """500 seeds; where no standard error was given, it is taken to be ours at as many."""
    we = ours("aging", "population=10, sample=3", dataset)
    elsewhere = np.where(np.isnan(errors), error(we) * math.sqrt(SEEDS / 500), errors)
    rounding = 0.005
    is_near = np.abs(we.mean(axis=0) - means) < 3 * np.hypot(error(we), elsewhere) + rounding
    assert np.all(is_near | np.isnan(means))


@needs_data
@pytest.mark.parametrize(("dataset", "mean"), [("cifar10", 93.72), ("cifar100", 71.16)])
def test_final_of_random_search_obtained_elsewhere_and_that_evolution_is_better(dataset, mean):
    random = ours("random", "", dataset)
    assert abs(random[:, 0].mean() - mean) < 3 * error(random)[0] * math.sqrt(1 + SEEDS / 500) + 0.005
    aging = ours("aging", "population=10, sample=3", dataset)
    lead = random.mean(axis=0) - aging.mean(axis=0)
    assert lead[3] > 3 * np.hypot(error(random), error(aging))[3]  # at 100 trials it takes more seeds to see it


@needs_data
@pytest.mark.parametrize("dataset", DATASETS)
def test_local_search_is_hard_to_beat(dataset):
    """Its regret at 100 trials is under half that of aging evolution."""
    regret = ours("local_search", "", dataset)[:, 1].mean()
    assert regret < 0.5 * ours("aging", "population=10, sample=3", dataset)[:, 1].mean()


@needs_data
@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=VERIFIED if name == "nago_mobo" else ())  # which samples a model at each ask
        for name in refs.available("strategy")
        if name not in NEEDS_MORE + SAME
    ],
)
@settings(max_examples=100 if IS_VERIFIED else 3)
@given(seed=st.integers(0, 2**31), cut=st.integers(1, 39), dataset=st.sampled_from(DATASETS))
def test_a_search_that_is_taken_up_again_goes_on_as_the_undisturbed_one(name, seed, cut, dataset):
    options = OPTIONS.get(name, "")
    undisturbed = searched(name, options, dataset, seed, 40)
    resumed = searched(name, options, dataset, seed, 40, searched(name, options, dataset, seed, cut))
    assert [row.proposal for row in resumed.finished()] == [row.proposal for row in undisturbed.finished()]


def test_14_children_differ_in_one_edge_and_early_nodes_more_often():
    """Section 7.1: a node, then one of its incoming edges, then a different operation, each uniform."""
    strategy, streams, draws = AgingEvolution(SPACE, population=1, sample=1), seeds.Streams(0), 20_000
    parent = (0, 1, 2, 3, 4, 0)
    row = Trial(1, Proposal(parent), "", 1, "done", Result({"valid_accuracy": 0.5}), (0.5,), 1)
    strategy.tell(row, streams.rng(seeds.TELL, 1))
    changes = Counter()
    for n in range(draws):
        child = strategy.ask(streams.rng(seeds.ASK, n), ()).genotype
        ((edge, value),) = [(edge, new) for edge, new in enumerate(child) if new != parent[edge]]
        changes[edge, value] += 1
    for edge, chance in enumerate((1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9)):
        for value in set(range(5)) - {parent[edge]}:
            expected = draws * chance / 4
            assert abs(changes[edge, value] - expected) < 4.5 * math.sqrt(expected)


def error(outcomes):
    """Standard errors of the means, shape (4,)."""
    return outcomes.std(axis=0, ddof=1) / math.sqrt(len(outcomes))
