import json
import math
from dataclasses import replace

import numpy as np
import pytest

from netwright.core.finals import SAMPLED, Candidate
from netwright.core.objectives import Objective
from netwright.core.records import Proposal, Result, Trial
from netwright.core.run_file import RunFile
from netwright.report import ranking
from netwright.report.files import smallest_text, svg
from netwright.report.history import History
from netwright.report.parts import ranking as part
from netwright.report.ranking import Trainings
from netwright.report.reported import ReportedRun
from netwright.testing.toys import ToySpace

ACCURACY = Objective("valid_accuracy", shown="share")
COUNT = 20


def history(objective=ACCURACY, noise=0.02):
    """A search of networks that are the better, the higher their number."""
    drawn = np.random.default_rng(0).normal(size=COUNT) * noise
    rows = [trial(n, objective.name, n / 25 + drawn[n - 1], sign=objective.sign) for n in range(1, COUNT + 1)]
    return History.of(rows)


def trial(number, metric, value, *, sign=1, seconds=1.0, counts=(), row=None):
    result = Result({metric: value, **dict(counts)}, seconds=seconds)
    row = row or number
    return Trial(row, Proposal((number,)), str(number), row, "done", result, (sign * value,), row)


def sample(values, seconds, setting, counts=lambda _number: (), numbers=range(1, COUNT + 1)):
    """Trainings of networks; a value of None: it failed."""
    listed = [Candidate(SAMPLED, (number,), number) for number in numbers]
    rows = []
    for number in numbers:
        value = values(number)
        made = trial(number, "valid_accuracy", value or 0.0, seconds=seconds, counts=counts(number))
        if value is None:
            result = Result({}, failure="error", seconds=seconds)
            made = Trial(number, made.proposal, made.key, number, "failed", result, None, number)
        rows.append(made)
    return Trainings(listed, rows, setting)


def long(number):
    return 0.5 + number / 50


def counts(number):
    return (("params", (number % 5) * 1e6), ("multiply_adds", number * 1e3))


def test_the_longest_training_is_the_truth_and_others_are_compared_with_it():
    short = sample(lambda number: (number * 7 % 20) / 20, 2.0, "1 epochs")
    for given in ([short, sample(long, 60.0, "30 epochs", counts)], [sample(long, 60.0, "30 epochs", counts), short]):
        found = ranking.of(history(), ACCURACY, given)
        assert (found.setting, found.seconds) == ("30 epochs", 60.0)
        assert found.truth == pytest.approx([long(n) for n in range(1, COUNT + 1)])
        names = [order.name for order in found.orders]
        assert names == ["score of the search", "parameters", "multiply-adds", "trained alone, 1 epochs"]
        assert found.orders[2].agreement.kendall.value == pytest.approx(1)
        assert [order.seconds for order in found.orders] == [1.0, None, None, 2.0]
        assert found.searched.agreement.top == 4
        assert "counting multiply-adds, by which Kendall's tau is 1.00" in found.sentences()[1]
    assert json.loads(json.dumps(found.facts()))["orders"][3]["by"] == "trained alone, 1 epochs"


def test_lengths_of_one_unit_say_which_training_is_the_longest():
    """Whatever the clock of a busy machine says; of equal ones the last."""
    short = replace(sample(lambda number: (number * 7 % 20) / 20, 90.0, "1 epochs"), length=("epochs", 1))
    whole = replace(sample(long, 60.0, "30 epochs"), length=("epochs", 30))
    again = replace(sample(long, 50.0, "30 epochs, lr 0.1"), length=("epochs", 30))
    assert ranking.of(history(), ACCURACY, [whole, short]).setting == "30 epochs"
    assert ranking.of(history(), ACCURACY, [whole, again, short]).setting == "30 epochs, lr 0.1"
    steps = replace(short, length=("steps", 9), setting="9 steps")
    assert ranking.of(history(), ACCURACY, [whole, steps]).setting == "9 steps", "else by the clock"


def test_a_score_bears_its_part_of_the_weights_that_networks_share():
    found = ranking.of(history(), ACCURACY, [sample(long, 60.0, "")], 40.0)
    assert found.searched.seconds == 1.0 + 40.0 / COUNT


def test_another_sample_is_not_compared():
    other = sample(lambda number: number / 50, 90.0, "60 epochs", numbers=range(1, 10))
    found = ranking.of(history(), ACCURACY, [other, sample(long, 60.0, "30 epochs")])
    assert (len(found.trials), found.setting, len(found.orders)) == (COUNT, "30 epochs", 1)
    latest = ranking.of(history(), ACCURACY, [sample(long, 60.0, "30 epochs"), other])
    assert (len(latest.trials), latest.setting) == (9, "60 epochs")
    assert [order.name for order in latest.orders] == ["score of the search", "trained alone, 30 epochs"]


def test_trainings_that_failed_are_named_and_left_out():
    found = ranking.of(history(), ACCURACY, [sample(lambda n: None if n in (2, 5) else long(n), 60.0, "")])
    assert found.failed == (2, 5) and len(found.trials) == COUNT - 2 == found.searched.agreement.networks
    assert found.sentences()[-1] == "not trained yet, or failed: trials 2, 5"
    assert ranking.of(history(), ACCURACY, [sample(lambda n: long(n) if n < 3 else None, 60.0, "")]) is None
    assert ranking.of(history(), ACCURACY, []) is None


def test_what_is_minimized_is_ordered_the_other_way():
    loss = Objective("valid_loss", -1)
    given = sample(lambda number: number / 50, 60.0, "30 epochs", counts)
    rows = [
        Trial(t.id, t.proposal, t.key, t.seed, t.status, Result({"valid_loss": 1 / t.id}), None, t.id)
        for t in given.rows
    ]
    found = ranking.of(history(loss, 0.0), loss, [Trainings(given.candidates, rows, "")])
    assert found.searched.agreement.kendall.value == pytest.approx(-1), (
        "its scores rise with the number, and so do losses"
    )
    assert found.facts()["networks"][1]["trained"] == 0.5


def test_the_part_of_the_page_can_be_read_on_a_phone():
    short = sample(lambda number: (number * 7 % 20) / 20, 2.0, "1 epochs, channels 64")
    found = ranking.of(history(), ACCURACY, [sample(long, 60.0, "30 epochs, channels 64", counts), short])
    assert found.orders[-1].name == "trained alone, 1 epochs", "but for what it shares with the truth"
    figure = part.figure(found)
    assert svg(figure, "ranking").startswith("<?xml") and smallest_text(figure) >= 9.5
    assert figure.axes[0].get_xlabel() == "valid accuracy in the search"
    dots = sum(len(each.get_offsets()) for each in figure.axes[0].collections)
    assert dots == COUNT and len(figure.axes[1].texts) == 4
    run = ReportedRun("a run", RunFile(objectives=("valid_accuracy",)), history(), ToySpace(), ranking=found)
    html = part.part.section(run, " of a run", "FIGURE")
    assert "Whether scores order networks as training does of a run" in html and "multiply-adds" in html
    assert part.part.figure(ReportedRun("a run", RunFile(), history(), ToySpace())) is None


def test_scores_that_are_all_equal_say_nothing():
    flat = ranking.of(history(), ACCURACY, [sample(lambda _n: 0.5, 60.0, "")])
    assert math.isnan(flat.searched.agreement.kendall.value)
    assert "not defined" in flat.sentences()[0]
    assert smallest_text(part.figure(flat)) >= 9.5
