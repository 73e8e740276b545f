import numpy as np
import pytest

from netwright.core.objectives import Objective, with_scores
from netwright.core.records import Proposal, Result, Trial
from netwright.core.run_file import RunFile
from netwright.report import page, spread
from netwright.report.history import History
from netwright.report.parts.spread import figure
from netwright.report.reported import ReportedRun
from netwright.testing.toys import ToySpace
from tests.report.test_page import read

NAMES = ("valid_accuracy", "-memory_per_sample")
GOALS = tuple(map(Objective.read, NAMES))
SPACE = ToySpace()


def panel(groups, memory=lambda genotype, value: 1000.0 + genotype):
    """Trials of genotypes 0, 1, ...: round after round, as the strategy asks for them; None: the trial failed."""
    trials = []
    for repeat in range(max(map(len, groups))):
        for genotype, values in enumerate(groups):
            if repeat >= len(values):
                continue
            value, n = values[repeat], len(trials) + 1
            asked = Proposal(SPACE.trivial())
            metrics = {"valid_accuracy": value, "memory_per_sample": memory(genotype, value)}
            result = Result(failure="error") if value is None else Result(metrics)
            trials.append(Trial(n, asked, str(genotype), n, "done" if result.metrics else "failed", result, None, n))
    return History.of(with_scores(trials, NAMES))


def test_components_of_variance_by_hand():
    groups = [(0.1, 0.3), (0.2, 0.4), (0.5, 0.7), (0.6, 0.8), (0.9, 1.1)]
    [accuracy, _] = spread.of_history(panel(groups), GOALS).spreads
    means = np.mean(groups, 1)
    within, across = 0.02, 2 * np.var(means, ddof=1)
    assert accuracy.within**2 == pytest.approx(within)
    assert accuracy.between**2 == pytest.approx((across - within) / 2)
    assert accuracy.share == pytest.approx(accuracy.between**2 / (accuracy.between**2 + within))
    assert accuracy.low < accuracy.share < accuracy.high <= 1
    assert accuracy.good == pytest.approx(accuracy.poor) == pytest.approx(accuracy.within)


def test_the_interval_holds_the_share_as_often_as_it_says():
    rng, held = np.random.default_rng(0), 0
    for _ in range(200):
        values = rng.normal(size=(10, 1)) + 0.5 * rng.normal(size=(10, 4))
        found = spread._spread(GOALS[0], list(values))
        held += found.low <= 0.8 <= found.high
    assert 0.9 < held / 200 <= 0.99


def test_networks_of_good_generators_may_differ_less():
    rng = np.random.default_rng(0)
    groups = [tuple(1 - g / 10 + (0.001 if g < 4 else 0.02) * rng.normal(size=8)) for g in range(8)]
    found = spread.of_history(panel(groups), GOALS)
    assert found.spreads[0].good < 0.3 * found.spreads[0].poor
    assert found.ties[0] == pytest.approx(-1.0), "memory rises as accuracy falls"
    assert found.sentences() == [
        "Spearman's correlation of valid accuracy and memory per sample over genotypes is -1.00."
    ]


def test_failures_are_left_out_and_counts_may_differ():
    groups = [(0.1, 0.2, None), (0.3, None, None), (0.4, 0.5, 0.6), (0.1, 0.1), (0.2, 0.3), (0.7, 0.8)]
    found = spread.of_history(panel(groups), GOALS)
    assert sorted(map(len, found.places)) == [2, 2, 2, 2, 3] and spread.title(found).endswith("measured 2 to 3 times")
    assert found.facts()["measurements"] == 11 and found.facts()["objectives"][0]["metric"] == "valid_accuracy"


def test_a_search_that_hardly_repeats_has_no_such_part():
    assert spread.of_history(panel([(0.1, 0.2)] * 4), GOALS) is None
    assert spread.of_history(panel([(0.1, 0.2)] * 5 + [(0.3,)] * 11), GOALS) is None
    assert spread.of_history(History.of([]), GOALS) is None


def test_nothing_varies():
    flat = spread.of_history(panel([(0.5, 0.5)] * 6), GOALS).spreads[0]
    assert (flat.within, flat.between, flat.share) == (0, 0, 0)
    exact = spread.of_history(panel([(0.1 * g,) * 2 for g in range(6)]), GOALS).spreads[0]
    assert exact.within == 0 and exact.share == exact.low == exact.high == 1


def test_the_page_shows_a_column_for_each_genotype_and_a_panel_for_each_objective(tmp_path):
    groups = [(0.1 * g, 0.1 * g + 0.05) for g in range(7)]
    history = panel(groups, lambda genotype, value: 2.0**20 * (1 + genotype))
    accuracy, memory = figure(history, spread.of_history(history, GOALS)).axes
    assert len(accuracy.lines) == 14 and accuracy.lines[0].get_ydata().tolist() == pytest.approx([0.6, 0.65])
    assert memory.lines[0].get_ydata().tolist() == [7, 7] and "MiB" in memory.get_ylabel()
    run = ReportedRun("a run", RunFile(objectives=NAMES), history, SPACE)
    text = " ".join(read(page.write(tmp_path, [run])).text)
    assert "Spread of repeated measurements" in text and "7 genotypes, each measured 2 times" in text
