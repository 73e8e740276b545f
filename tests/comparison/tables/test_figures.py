"""Curves of a comparison on tables: every strategy is there, and nothing covers them."""

from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from netwright.comparison.tables import figures
from tests.comparison.tables.test_summary import COURSES, MINUS, comparison, outcome, summarized
from tests.comparison.test_courses import made


@pytest.fixture
def found():
    return summarized(comparison(horizons=(2, 4)), outcome(COURSES))


def test_curves_have_their_bands_and_names(found):
    for draw, name in ((figures.regret, "regret"), (figures.final, "final")):
        figure = draw(found.curves)
        figure.draw_without_rendering()
        axes = figure.axes[0]
        for curve, line in zip(found.curves, axes.lines, strict=True):
            np.testing.assert_allclose(line.get_ydata(), getattr(curve, name))
        assert len(axes.collections) == 2
        assert [text.get_text() for text in figure.legends[0].get_texts()] == ["random", "aging"]
        assert figure.legends[0].get_window_extent().y0 >= axes.get_window_extent().y1, "the legend is above the curves"
        assert axes.get_xlabel() == "trials"


def test_axes_say_what_they_show(found):
    assert figures.regret(found.curves).axes[0].get_ylabel() == "regret in val"
    assert figures.regret(found.curves).axes[0].get_yscale() == "log"
    assert figures.final(found.curves).axes[0].get_ylabel() == "test of the incumbent"
    minus = summarized(comparison(MINUS, (3,), ("random",)), outcome({"random": [made([5, 3, 9])] * 2}, "loss"))
    assert figures.final(minus.curves).axes[0].get_ylabel() == "test of the incumbent\n(lower is better)"
    paid = outcome({"random": [made([70, 80], costs=[40, 60])] * 2})
    seconds = summarized(comparison(horizons=(), strategies=("random",), table_seconds=100.0), paid)
    assert figures.regret(seconds.curves).axes[0].get_xlabel() == "seconds of evaluation"


def test_many_strategies_of_long_names_stay_within_the_figure():
    names = [f"mylab.some_module:Strategy{n}(population=10,sample=3,replacement=False)" for n in range(9)]
    curves = summarized(comparison(strategies=("random",)), outcome({"random": COURSES["random"]})).curves
    figure = figures.regret([replace(curves[0], strategy=name) for name in [*names, "_$\\bad{$"]])
    figure.draw_without_rendering()
    extent = figure.legends[0].get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1
    assert len(figure.legends[0].get_texts()) == 10
    assert figure.axes[0].get_window_extent().height > 2 * figure.dpi, "names take nothing from the curves"
    label = figure.axes[0].yaxis.label.get_window_extent()
    assert label.y0 >= 0 and label.y1 <= extent.y0


def test_bands_of_regret_end_at_the_axis(found):
    """A mean less 1.96 standard errors may be below 0, which a logarithmic axis does not have."""
    curve = found.curves[0]
    wide = replace(curve, regret_error=curve.regret * 2)
    for curves in ([wide], [wide, replace(curve, regret=curve.regret * 0)]):
        axes = figures.regret(curves).axes[0]
        lowest = min(band.get_paths()[0].vertices[:, 1].min() for band in axes.collections)
        assert lowest == pytest.approx(axes.get_ylim()[0]) and lowest > 0


def test_no_global_setting_is_changed(found):
    before = dict(matplotlib.rcParams)
    figures.regret(found.curves).draw_without_rendering()
    assert dict(matplotlib.rcParams) == before


def test_equal_lines_differ_in_style_and_a_single_point_is_a_dot():
    whole = summarized(comparison(strategies=("random", "aging")), outcome(dict.fromkeys(COURSES, COURSES["random"])))
    lines = figures.regret(whole.curves).axes[0].lines
    assert lines[0].get_linestyle() != lines[1].get_linestyle() and lines[0].get_marker() in ("", "None")
    once = summarized(comparison(horizons=(1,), strategies=("random",)), outcome({"random": [made([70.0])] * 2}))
    assert figures.final(once.curves).axes[0].lines[0].get_marker() == "o"
