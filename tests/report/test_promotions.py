import math

import numpy as np
import pytest

from netwright.core import objectives
from netwright.core.objectives import Objective
from netwright.core.records import Proposal, Result, Trial
from netwright.report import curves, markup, promotions
from netwright.report.history import History
from netwright.report.parts import budgets


def trial(number, score, budget, continues=None, bracket=None):
    """Trial `number`; a score of None: it failed."""
    parents = () if continues is None else (continues,)
    notes = {} if bracket is None else {"bracket": bracket}
    result = Result(failure="error") if score is None else Result({"valid_accuracy": score})
    scores = None if score is None else (score,)
    proposal = Proposal((number,), parents, budget, continues, notes)
    return Trial(number, proposal, str(number), 1, "failed" if score is None else "done", result, scores, number)


# of four networks, three rise to 2 and two of these to 4
SEARCH = [
    trial(1, 0.1, 1, bracket=0),
    trial(2, 0.2, 1, bracket=0),
    trial(3, 0.3, 1, bracket=0),
    trial(4, None, 1, bracket=0),
    trial(5, 0.5, 2, 3, bracket=0),
    trial(6, 0.4, 2, 2, bracket=0),
    trial(7, 0.6, 2, 1, bracket=0),
    trial(8, 0.9, 4, 5, bracket=0),
    trial(9, 0.7, 4, bracket=1),
    trial(10, 0.8, 4, 7, bracket=0),
]


def test_where_every_network_is_measured_at_both_none_was_selected():
    """A network that failed at one budget has no place in an order, but it was not left behind."""
    scores = {1: (0.1, 0.2, 0.3, 0.4, None), 2: (0.2, 0.1, 0.3, None, 0.5)}
    panel = [trial(n, score, 1) for n, score in enumerate(scores[1], 1)]
    panel += [trial(n + 5, score, 2, n) for n, score in enumerate(scores[2], 1)]
    found = promotions.summarize(History.of(panel))
    [whole] = found.agreements
    assert (whole.networks, whole.spearman, whole.selected) == (3, 0.5, False)
    assert promotions.sentences(found) == [
        "rank agreement of budgets 1 and 2: Spearman 0.50, Kendall 0.33, 3 networks, none selected"
    ]
    page = budgets.section("", found, markup.Html(""), Objective("valid_accuracy"))
    assert "all, none selected" in page and "so that no selection lowers it" in page
    [promoted] = promotions.summarize(History.of(panel[:-1])).agreements
    assert promoted.selected


def test_rungs_and_brackets():
    found = promotions.summarize(History.of(SEARCH))
    assert [(r.budget, r.trials, r.failed, r.promoted, r.best) for r in found.rungs] == [
        (1, 4, 1, 3, 0.3),
        (2, 3, 0, 2, 0.6),
        (4, 3, 0, 0, 0.9),
    ]
    assert [(r.budget, r.trials) for r in found.brackets[1]] == [(4, 1)]


def test_rank_agreement_follows_each_network_over_its_budgets():
    """From 1 to 2 the networks 1, 2, 3 have 0.6, 0.4, 0.5; from 1 to 4 only two are known."""
    first, far, last = promotions.summarize(History.of(SEARCH)).agreements
    assert (first.low, first.high, first.networks) == (1, 2, 3)
    assert (first.spearman, first.kendall) == (pytest.approx(-0.5), pytest.approx(-1 / 3))
    assert (far.low, far.high, far.networks) == (1, 4, 2) and math.isnan(far.spearman)
    assert (last.low, last.high, last.networks) == (2, 4, 2)


def test_lines_are_the_promoted_networks():
    history = History.of(SEARCH)
    found = promotions.lines(history)
    lines = [history.ids[found.line(number)].tolist() for number in range(3)]
    assert lines == [[2, 6], [3, 5, 8], [1, 7, 10]] and history.ids[found.bests].tolist() == [6, 8, 10]
    assert history.ids[found.members(np.array([0, 2]))].tolist() == [1, 2, 6, 7, 10]


def test_nothing_to_say_without_promotions():
    assert promotions.summarize(History.of([trial(1, 0.5, None), trial(2, 0.6, 4)])) is None
    assert promotions.summarize(History.of([])) is None


def test_what_lost_its_beginning_or_runs_in_circles_ends():
    assert promotions.summarize(History.of([trial(5, 0.5, 2, 3)])) is None
    assert not len(promotions.lines(History.of([trial(5, 0.5, 2, 3)])).ends)
    assert promotions.summarize(History.of([trial(1, 0.5, 2, 2), trial(2, 0.6, 1, 1)])).agreements[0].networks == 1


def test_very_many_networks_are_thinned():
    count = 3000
    trials = [trial(n, n / 9999, 1) for n in range(1, count + 1)]
    trials += [trial(count + n, n / 9999, 2, n) for n in range(1, count + 1)]
    [found] = promotions.summarize(History.of(trials)).agreements
    assert (found.networks, found.spearman, found.kendall) == (count, pytest.approx(1), pytest.approx(1))
    assert len(budgets.figure(History.of(trials)).axes[0].lines) < 1000


def test_json_and_sentences():
    found = promotions.summarize(History.of(SEARCH))
    facts = promotions.facts(found)
    undefined = {"low": 1, "high": 4, "networks": 2, "spearman": None, "kendall": None, "selected": True}
    assert facts["rank_agreement"][1] == undefined
    assert facts["budgets"][0] == {"budget": 1, "trials": 4, "failed": 1, "promoted": 3, "best": 0.3}
    assert [each["bracket"] for each in facts["brackets"]] == [0, 1]
    assert promotions.sentences(found)[:2] == [
        "rank agreement of budgets 1 and 2: Spearman -0.50, Kendall -0.33, 3 promoted networks",
        "rank agreement of budgets 1 and 4: not defined, 2 promoted networks",
    ]


def test_the_figure_has_a_line_for_each_promoted_network():
    axes = budgets.figure(History.of(SEARCH)).axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["1", "2", "4"]
    dots, *lines, best = axes.lines
    np.testing.assert_allclose(dots.get_ydata(), [0.7])
    assert len(lines) == 3
    np.testing.assert_allclose(best.get_ydata(), [0.3, 0.5, 0.9])
    assert axes.texts[0].get_text() == "trial 8: 0.9000"


def test_a_minimized_objective_is_shown_as_measured():
    trials = [trial(1, -3.0, 1), trial(2, -1.0, 2, 1)]
    assert list(budgets.figure(History.of(trials), Objective("valid_loss", -1)).axes[0].lines[-1].get_ydata()) == [
        3.0,
        1.0,
    ]


# the best of the small budget fails at the next one, and the other does worse there
SMALL_IS_HIGHER = [trial(1, 0.9, 1), trial(2, 0.8, 1), trial(3, 0.85, 1), trial(4, None, 4, 1), trial(5, 0.5, 4, 2)]


def test_the_best_is_that_of_the_judged_budget_though_a_smaller_one_scored_higher():
    assert objectives.best(SMALL_IS_HIGHER).id == 5
    axes = budgets.figure(History.of(SMALL_IS_HIGHER)).axes[0]
    assert axes.texts[0].get_text() == "trial 5: 0.5000"
    np.testing.assert_allclose(axes.lines[-1].get_ydata(), [0.8, 0.5])
    found = promotions.summarize(History.of(SMALL_IS_HIGHER))
    shown = budgets.section("", found, markup.Html(""), Objective("valid_accuracy"))
    assert "0.5000" in shown and "0.9000" not in shown


def test_where_all_promotions_failed_the_budget_below_is_judged():
    trials = [trial(1, 0.9, 1), trial(2, 0.8, 1), trial(3, None, 4, 1), trial(4, None, 4, 2)]
    assert objectives.best(trials).id == 1
    assert budgets.figure(History.of(trials)).axes[0].texts[0].get_text() == "trial 1: 0.9000"
    assert "0.9000" in budgets.section(
        "", promotions.summarize(History.of(trials)), markup.Html(""), Objective("valid_accuracy")
    )
    assert History.of(trials).is_judged.all()


def test_a_promotion_is_no_descendant():
    assert curves.start_population(History.of(SEARCH)) == 0
