"""Fronts of runs: what stands on them, and what a page shows of them."""

import re
from dataclasses import replace

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from netwright.core import front
from netwright.core.objectives import with_scores
from netwright.core.records import Proposal, Result, Trial
from netwright.core.run_file import RunFile
from netwright.report import fronts, page
from netwright.report.files import smallest_text
from netwright.report.history import History
from netwright.report.markup import Html
from netwright.report.parts.front import figure, part, section
from netwright.report.reported import ReportedRun
from netwright.testing.toys import ToySpace
from tests.report.test_page import read

TWO, THREE = ("valid_accuracy", "-params"), ("valid_accuracy", "-params", "-latency_ms")
SPACE = ToySpace()


def reported(points, name="a run", goals=TWO, reference=(0.0, 100.0), budgets=()):
    """A run whose trials measured these values; None: the trial failed."""
    names = [goal.removeprefix("-") for goal in goals]
    trials = []
    for number, values in enumerate(points, 1):
        asked = Proposal(SPACE.trivial(), budget=budgets[number - 1] if budgets else None)
        result = Result(dict(zip(names, values, strict=True))) if values else Result(failure="error", message="no")
        trials.append(Trial(number, asked, f"k{number}", 0, "done" if values else "failed", result, None, number))
    history = History.of(with_scores(trials, goals))
    return ReportedRun(name, RunFile(objectives=goals), history, SPACE, reference_point=reference)


CLOUD = [(0.9, 90.0), (0.5, 20.0), None, (0.8, 30.0), (0.4, 80.0), (0.8, 30.0), (0.5, 10.0)]


def test_the_front_is_that_of_the_judged_budget_without_equals():
    run = reported(CLOUD)
    assert run.history.ids[fronts.places(run.history)].tolist() == [1, 4, 7]
    run = reported(CLOUD, budgets=[9, 9, 9, 3, 9, 3, 9])
    assert run.history.ids[fronts.places(run.history)].tolist() == [1, 7]
    found = fronts.of_history(run.history, run.objectives, (0.0, 100.0))
    assert found.hypervolume == pytest.approx(0.5 * 90 + 0.4 * 10)
    assert fronts.covered(run.history, run.objectives, (0.0, 100.0))[-1] == pytest.approx(found.hypervolume)
    assert found.facts()["front"][0] == {"trial": 1, "valid_accuracy": 0.9, "params": 90.0}
    assert fronts.of_history(run.history, run.objectives[:1], None) is None
    assert fronts.of_history(History.of([]), run.objectives, None) is None


def test_the_front_is_drawn_as_steps_with_its_knee_and_what_it_covered():
    run = reported(CLOUD)
    pair, covered = figure([run]).axes
    steps, dots, ring = (line.get_xydata() for line in pair.get_lines())
    assert steps.tolist() == [[10, 0.5], [30, 0.8], [90, 0.9]] and dots.tolist() == steps.tolist()[::-1]
    assert ring.tolist() == [[30, 0.8]] and [note.get_text() for note in pair.texts] == ["knee: trial 4"]
    assert len(pair.collections[1].get_offsets()) == 6, "every trial with values is a dot"
    assert covered.get_lines()[0].get_xydata()[-1] == pytest.approx([7, 0.5 * 90 + 0.3 * 70 + 0.1 * 10])
    text = " ".join(re.sub("<[^>]*>", " ", section(run, "", Html(""))).split())
    assert "The front Front: 3 trials, hypervolume 67.0000 before valid_accuracy 0.0000, params 100.0000." in text
    assert "4 0.8000 30.0000 knee k4" in text


def test_one_objective_has_no_front():
    run = reported(CLOUD)
    alone = History.of(with_scores(run.history.trials([0]), TWO[:1]))
    assert part.figure(replace(run, run=RunFile(objectives=TWO[:1]), history=alone)) is None
    assert part.figure(reported([None, None])) is None, "nor has a run without any success"


def test_several_runs_are_overlaid_and_measured_from_one_point(tmp_path):
    runs = [reported(CLOUD), reported([(0.85, 15.0), (0.95, 85.0)], name="another", reference=(0.1, 95.0))]
    pair, covered = figure(runs).axes
    assert len(pair.get_lines()) == 6 and not pair.texts
    ends = [line.get_xydata()[-1, 1] for line in covered.get_lines() if line.get_drawstyle() == "steps-post"]
    assert ends == pytest.approx([67.0, 0.85 * 85 + 0.1 * 15])
    text = " ".join(" ".join(read(page.write(tmp_path, runs)).text).split())
    assert "The front of another" in text and (tmp_path / "front.svg").exists()
    assert "measured from one reference point, that of the first run" in text
    other = replace(runs[1], run=RunFile(objectives=("valid_accuracy", "-weight")), overlaid=())
    alone = part.figure(replace(runs[0], overlaid=(runs[0], other)))
    assert len(alone.axes[0].get_lines()) == 3, "other objectives cannot be overlaid"


def test_of_more_objectives_every_pair_has_a_panel():
    rng = np.random.default_rng(0)
    points = [tuple(row) for row in rng.random((30, 3))]
    run = reported(points, goals=THREE, reference=None)
    panels = figure([run]).axes
    assert len(panels) == 3, "and none without a reference point"
    scores = np.array(points)[:, :2] * [1, -1]
    line = panels[0].get_lines()[0].get_xydata()
    assert sorted(line[:, 1]) == pytest.approx(sorted(scores[front.nondominated(scores), 0]))


@pytest.mark.parametrize("goals", [TWO, THREE, ("valid_accuracy", "throughput"), ("-valid_loss", "-memory_per_sample")])
def test_words_stay_on_the_paper(goals):
    rng = np.random.default_rng(1)
    points = [tuple(row) for row in rng.random((40, len(goals))) * [1, 9_000_000, 30][: len(goals)]]
    drawn = figure([reported(points, goals=goals, reference=tuple(np.ones(len(goals))))])
    FigureCanvasAgg(drawn).draw()
    assert smallest_text(drawn) >= 9
    for axes in drawn.axes:
        for words in (axes.xaxis.label, axes.yaxis.label, axes._left_title, *axes.texts):
            box = words.get_window_extent()
            assert min(box.x0, box.y0) >= 0, words
            assert box.x1 <= drawn.bbox.width and box.y1 <= drawn.bbox.height, words
