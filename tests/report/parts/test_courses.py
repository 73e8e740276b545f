from dataclasses import replace

from netwright.core.finals import BEST, Final, Repetition
from netwright.core.objectives import Objective
from netwright.core.records import Proposal, Result, Trial
from netwright.core.refs import Reference
from netwright.core.run_file import RunFile
from netwright.report.files import smallest_text, svg
from netwright.report.history import History
from netwright.report.parts import courses
from netwright.report.reported import ReportedRun
from netwright.testing.toys import ToySpace

PERPLEXITY = Objective("valid_perplexity", -1)
CURVE = ((40, 900.0), (80, 300.0), (120, 150.5), (160, 152.0))


def trial(number, value, curve, first="valid_perplexity"):
    result = Result({first: value, "valid_perplexity": value, "params": 9}, curve)
    return Trial(number, Proposal((0,)), f"key {number}", 7, "done", finish=number, result=result, scores=(-value,))


def reported(trials=(), finals=()):
    run = RunFile(objectives=("-valid_perplexity",))
    return ReportedRun("a run", run, History.of(trials), ToySpace(), finals=finals, measures=(PERPLEXITY,))


def final(curve, label=BEST):
    return Final(label, 7, Reference("flat"), (0,), "", PERPLEXITY.moved_to("test"), 9, 150.5, None, 1, curve=curve)


def test_networks_trained_in_full_come_first():
    run = reported([trial(1, 152.0, CURVE)], (final(CURVE), final(CURVE[:2], "too short")))
    assert [each.label for each in courses.courses(run)] == ["best of the search, trial 7"]
    html = courses.part.section(run, " of a run", "FIGURE")
    assert "While they were trained of a run" in html and "best of the search, trial 7: valid perplexity" in html
    assert "150.5" in html and ">120<" in html and "152" in html


def test_a_curve_is_of_the_test_data_where_it_ends_in_what_was_tested():
    """A training that goes by validation measures that on the way, and the test data once at the end."""
    ended = replace(final(CURVE), mean=CURVE[-1][1])
    found = courses.courses(reported([], (ended, final(CURVE))))
    assert [each.objective.name for each in found] == ["test_perplexity", "valid_perplexity"]
    first_of_two = replace(ended, mean=151.0, n=2, repetitions=(Repetition(1, 9, 152.0), Repetition(2, 9, 150.0)))
    assert courses.courses(reported([], (first_of_two,)))[0].objective.name == "test_perplexity"


def test_else_the_best_of_the_search():
    trials = [trial(1, 152.0, CURVE), trial(2, 140.0, CURVE[:3]), trial(3, 130.0, CURVE, first="valid_loss")]
    assert [each.label for each in courses.courses(reported(trials))] == ["trial 2", "trial 1"]


def test_without_curves_there_is_no_such_part():
    assert courses.part.figure(reported([trial(1, 152.0, CURVE[-1:])], (final(()),))) is None


def test_the_figure_has_an_axis_of_ratios_where_values_fall_far():
    figure = courses.part.figure(reported([], (final(CURVE), final(CURVE, "another"))))
    assert figure.axes[0].get_yscale() == "log" and len(figure.legends[0].get_texts()) == 2
    assert svg(figure, "courses").startswith("<?xml") and smallest_text(figure) >= 9.5
    near = tuple((step, 100 + value / 100) for step, value in CURVE)
    assert courses.part.figure(reported([], (replace(final(near)),))).axes[0].get_yscale() == "linear"
