from dataclasses import replace
from itertools import pairwise

import matplotlib
import numpy as np
import pytest

from netwright.core.objectives import Objective
from netwright.core.records import Proposal, Result, Trial
from netwright.report import costs, curves, figures, files
from netwright.report.figures import RunData
from netwright.report.history import History


def made(scores, start=None, first_id=1):
    """Trials with these scores, None: failed; from number `start` on each the child of the one before."""
    trials = []
    for number, score in enumerate(scores):
        parents = (first_id + number - 1,) if start is not None and number >= start else ()
        metrics = {} if score is None else {"valid_accuracy": abs(score), "params": 2_000_000.0 + number}
        result = Result(metrics, failure="" if score is not None else "error")
        trial_id = first_id + number
        status = "done" if score is not None else "failed"
        found = None if score is None else (score,)
        trials.append(Trial(trial_id, Proposal((0,), parents), str(trial_id), 0, status, result, found, number + 1))
    return trials


RISING = made([0.5, None, 0.6, 0.55, 0.7, 0.8, 0.75], start=3)


def lineage_of(trials):
    return figures.lineage(History.of(trials), np.arange(len(trials)))


def note_texts(figure):
    return [text.get_text() for text in figure.axes[0].texts]


def test_fitness_shows_every_trial_its_average_and_the_start_population():
    figure = figures.fitness([RunData("a", History.of(RISING))])
    axes = figure.axes[0]
    points = axes.collections[0].get_offsets()
    np.testing.assert_allclose(points, [(1, 0.5), (3, 0.6), (4, 0.55), (5, 0.7), (6, 0.8), (7, 0.75)])
    average = curves.moving_average(History.of(RISING).scores, 5)
    assert any(np.array_equal(line.get_ydata(), average, equal_nan=True) for line in axes.lines)
    assert any(list(line.get_xdata()) == [3.5, 3.5] for line in axes.lines)
    assert note_texts(figure) == ["start population: 3"]
    assert "failed" in axes.get_title(loc="left")
    assert figure.legends == []


@pytest.mark.parametrize("drawn", [figures.fitness, figures.parameters])
@pytest.mark.parametrize("objective", ["valid_accuracy", "-valid_loss"])
@pytest.mark.parametrize("many", [7, 40])
def test_words_about_the_start_population_lie_over_no_dot(drawn, objective, many):
    rng = np.random.default_rng(many)
    # a start population that reaches the best and the worst there is, beside the words
    trials = made([0.9, 0.1, 0.5, 0.9, 0.1, 0.89, *rng.uniform(0.1, 0.9, many)], start=5)
    figure = drawn([RunData("a", History.of(trials), Objective.read(objective))])
    figure.canvas.draw()
    (words,) = figure.axes[0].texts
    box = words.get_window_extent()
    dots = figure.axes[0].transData.transform(figure.axes[0].collections[0].get_offsets())
    assert not any(box.y0 - 2 <= y <= box.y1 + 2 for _, y in dots)


def test_best_so_far_is_drawn_in_steps_and_names_the_best_trial():
    figure = figures.best([RunData("a", History.of(RISING))])
    line = figure.axes[0].lines[0]
    np.testing.assert_allclose(line.get_xydata(), [(1, 0.5), (3, 0.6), (5, 0.7), (6, 0.8), (7, 0.8)])
    assert line.get_drawstyle() == "steps-post"
    assert "trial 6: 0.8000" in note_texts(figure)


def test_scores_of_other_budgets_are_pale_and_neither_averaged_nor_the_best():
    scores, budgets = [0.9, 0.3, 0.5, 0.2, 0.6], [1, 4, 4, 1, 4]
    trials = [
        replace(trial, proposal=replace(trial.proposal, budget=budget))
        for trial, budget in zip(made(scores), budgets, strict=True)
    ]
    axes = figures.fitness([RunData("a", History.of(trials))]).axes[0]
    pale, dots = (collection.get_offsets() for collection in axes.collections[:2])
    np.testing.assert_allclose(pale, [(1, 0.9), (4, 0.2)])
    np.testing.assert_allclose(dots, [(2, 0.3), (3, 0.5), (5, 0.6)])
    np.testing.assert_allclose(axes.lines[0].get_xydata(), [(2, 0.3), (3, 0.4), (5, 1.4 / 3)])
    assert "at the largest budget" in axes.get_title(loc="left")
    figure = figures.best([RunData("a", History.of(trials))])
    np.testing.assert_allclose(figure.axes[0].lines[0].get_xydata(), [(2, 0.3), (3, 0.5), (5, 0.6), (5, 0.6)])
    assert History.of(made([0.1, 0.2])).is_judged.all()


def test_a_minimized_objective_is_shown_as_measured():
    run = RunData("a", History.of(made([-5.0, -3.0, -4.0])), Objective("params", -1))
    figure = figures.best([run])
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [5, 3, 3])
    assert figure.axes[0].get_ylabel() == "params (lower is better)"
    np.testing.assert_allclose(figures.shown_scores(run), [5, 3, 4])


def test_parameters_are_scaled_to_their_unit():
    figure = figures.parameters([RunData("a", History.of(made([0.1, 0.2])))])
    assert figure.axes[0].get_ylabel() == "parameters (millions)"
    np.testing.assert_allclose(figure.axes[0].collections[0].get_offsets()[:, 1], [2.0, 2.000001])


def test_several_runs_have_colors_of_their_own_and_a_legend():
    runs = [RunData("first", History.of(RISING)), RunData("_$\\bad{$", History.of(made([0.4, 0.5], first_id=50)))]
    for draw in (figures.fitness, figures.best, figures.parameters):
        figure = draw(runs)
        figure.draw_without_rendering()  # labels are not read as mathematics
        legend = figure.legends[0]
        assert [text.get_text().strip("\u200b") for text in legend.get_texts()] == ["first", "_$\\bad{$"]
        colors = {line.get_color() for line in legend.get_lines()}
        assert len(colors) == 2 and colors <= {line.get_color() for line in figure.axes[0].lines}


def test_long_runs_are_thinned_and_keep_the_best():
    scores = np.random.default_rng(0).random(20_000)
    figure = figures.fitness([RunData("a", History.of(made(scores.tolist())))])
    points = figure.axes[0].collections[0].get_offsets()
    assert len(points) <= figures.POINTS
    assert scores.max() in points[:, 1]
    assert figure.axes[0].collections[0].get_rasterized()


def test_a_few_hopeless_trials_do_not_flatten_the_rest():
    scores = [0.1, *np.linspace(0.9, 0.91, 400)]
    axes = figures.fitness([RunData("a", History.of(made(scores)))]).axes[0]
    assert axes.get_ylim()[0] > 0.89
    assert "beyond the axis" in axes.get_title(loc="left")
    assert any(line.get_marker() == "v" and list(line.get_xdata()) == [1] for line in axes.lines)
    assert (
        figures.fitness([RunData("a", History.of(made(scores[1:])))]).axes[0].get_title(loc="left").count("axis") == 0
    )


def test_lineage_names_the_trial_at_each_point():
    figure = lineage_of(made([0.1, 0.3, 0.2], first_id=40))
    assert note_texts(figure) == ["40", "41", "42"]
    np.testing.assert_allclose(figure.axes[0].lines[0].get_ydata(), [0.1, 0.3, 0.2])


def test_names_along_forty_generations_do_not_overlap():
    scores = 0.9 - 0.5 * 0.9 ** np.arange(41)
    figure = lineage_of(made(scores.tolist(), first_id=6000))
    figure.draw_without_rendering()
    boxes = [text.get_window_extent() for text in figure.axes[0].texts]
    assert len(boxes) == 41
    assert not any(a.overlaps(b) for a, b in pairwise(boxes))


def test_a_very_long_lineage_names_some_first_and_last_among_them():
    names = note_texts(lineage_of(made([0.5] * 500)))
    assert len(names) <= figures.NAMED + 1
    assert names[0] == "1" and names[-1] == "500"


@pytest.mark.parametrize("trials", [[], made([None]), made([None, None]), made([0.5])])
def test_of_nothing_there_is_no_figure_and_a_single_point_is_large(trials):
    is_measured = any(trial.scores for trial in trials)
    for draw in (figures.fitness, figures.best, figures.parameters, costs.size):
        figure = draw([RunData("a", History.of(trials))])
        assert (figure is not None) == is_measured
        if figure is None:
            continue
        figure.draw_without_rendering()
        [axes] = figure.axes
        large = [size for points in axes.collections for size in points.get_sizes()]
        large += [line.get_markersize() ** 2 for line in axes.lines if line.get_marker() == "o"]
        assert max(large) >= 25
    lineage_of(trials).draw_without_rendering()


@pytest.mark.parametrize("count", [5, 100])
def test_the_line_of_means_lies_below_the_points(count):
    axes = figures.fitness([RunData("a", History.of(made([0.5] * count)))]).axes[0]
    assert axes.collections[0].get_zorder() > max(line.get_zorder() for line in axes.lines)


def test_no_text_of_a_figure_is_below_ten_pixels_on_a_phone():
    """335 pixels are left of 400."""
    for draw in (figures.fitness, figures.best, figures.parameters, costs.size):
        figure = draw([RunData("a", History.of(RISING))])
        figure.draw_without_rendering()
        assert files.smallest_text(figure) * 335 / (72 * figure.get_figwidth()) >= 10


def test_no_global_setting_is_changed():
    before = dict(matplotlib.rcParams)
    figures.fitness([RunData("a", History.of(RISING))]).draw_without_rendering()
    assert dict(matplotlib.rcParams) == before


def test_of_a_lineage_of_thousands_some_generations_are_drawn():
    figure = lineage_of(made(np.random.default_rng(0).random(5000).tolist()))
    line = figure.axes[0].lines[0]
    assert len(line.get_xdata()) <= figures.RASTER and line.get_xdata()[-1] == 4999
    assert {tuple(text.xy) for text in figure.axes[0].texts} <= set(map(tuple, line.get_xydata()))
    assert f"{len(line.get_xdata()):,} of 5,000 generations" in " ".join(figure.axes[0].get_title(loc="left").split())


def test_legends_say_how_many_dots_there_are_and_are_not_cut():
    figure = figures.fitness([RunData("a", History.of(made([0.5, None] * 6000)))])
    axes, text = figure.axes[0], figure.axes[0].get_title(loc="left")
    assert f"dots: {len(axes.collections[0].get_offsets()):,} of 6,000 trials" in text
    assert max(map(len, text.splitlines())) <= figures.LETTERS
