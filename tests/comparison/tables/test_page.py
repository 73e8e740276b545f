"""Figures and page of a comparison: every strategy is there, nothing covers the curves, odd results are drawn too."""

import math
import re
from dataclasses import replace

import matplotlib
import numpy as np
import pytest

from netwright.comparison import measures
from netwright.comparison import page as report
from netwright.comparison.courses import Cell
from netwright.comparison.measures import Mean
from tests.comparison.test_courses import made
from tests.comparison.test_results import COURSES, MINUS, PROBLEM, comparison, outcome, summarized

NAN = math.nan


@pytest.fixture
def found():
    return summarized(comparison(horizons=(2, 4)), outcome(COURSES, faults={Cell("aging", "t c10", 7): "a <fault>"}))


def test_curves_have_their_bands_and_names(found):
    for draw, name in ((report.regret, "regret"), (report.final, "final")):
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
    assert report.regret(found.curves).axes[0].get_ylabel() == "regret in val"
    assert report.regret(found.curves).axes[0].get_yscale() == "log"
    assert report.final(found.curves).axes[0].get_ylabel() == "test of the incumbent"
    minus = summarized(comparison(MINUS, (3,), ("random",)), outcome({"random": [made([5, 3, 9])] * 2}, "loss"))
    assert report.final(minus.curves).axes[0].get_ylabel() == "test of the incumbent (lower is better)"
    paid = outcome({"random": [made([70, 80], costs=[40, 60])] * 2})
    seconds = summarized(comparison(horizons=(), strategies=("random",), table_seconds=100.0), paid)
    assert report.regret(seconds.curves).axes[0].get_xlabel() == "seconds of evaluation"


def test_many_strategies_of_long_names_stay_within_the_figure():
    names = [f"mylab.some_module:Strategy{n}(population=10,sample=3,replacement=False)" for n in range(9)]
    curves = summarized(comparison(strategies=("random",)), outcome({"random": COURSES["random"]})).curves
    figure = report.regret([replace(curves[0], strategy=name) for name in [*names, "_$\\bad{$"]])
    figure.draw_without_rendering()
    extent = figure.legends[0].get_window_extent()
    assert extent.x0 >= 0 and extent.x1 <= figure.bbox.x1
    assert len(figure.legends[0].get_texts()) == 10
    assert figure.axes[0].get_window_extent().height > 40


@pytest.mark.parametrize(
    "courses",
    [
        [made([], ending="exhausted")] * 2,
        [made([NAN, NAN])] * 2,
        [made([80.0])] * 2,
        [made([80.0, 80.0], [NAN, NAN])] * 2,
        [made([70.0] * 1200)] * 2,
    ],
)
def test_odd_results_are_written(courses, tmp_path):
    found = summarized(comparison(strategies=("random",), horizons=(2,)), outcome({"random": courses}))
    assert report.write(tmp_path, found).stat().st_size > 5000


def test_the_page_and_the_files(found, tmp_path):
    page = report.write(tmp_path / "bench", found, "netwright bench --table t.csv")
    names = {path.name for path in page.parent.iterdir()}
    figures = {f"t-c10-{measure}.{kind}" for measure in ("regret", "final") for kind in ("png", "svg")}
    assert names == {"index.html", "bench.json", "bench.csv", "pairs.csv", *figures}
    html = page.read_text()
    for text in (
        "t c10, 2 trials, 2 seeds",
        "t c10, 4 trials",
        "A remark.",
        "a &lt;fault&gt;",
        "netwright bench --table t.csv",
    ):
        assert text in html
    assert html.count("<svg") == 2
    assert not re.search(r'(src|href)="http', html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    before = {name: (page.parent / name).read_bytes() for name in names}
    report.write(page.parent, found, "netwright bench --table t.csv")
    assert all((page.parent / name).read_bytes() == data for name, data in before.items()), "the same again"


def test_bands_of_regret_end_at_the_axis(found):
    """A mean less 1.96 standard errors may be below 0, which a logarithmic axis does not have."""
    curve = found.curves[0]
    wide = replace(curve, regret_error=curve.regret * 2)
    for curves in ([wide], [wide, replace(curve, regret=curve.regret * 0)]):
        axes = report.regret(curves).axes[0]
        lowest = min(band.get_paths()[0].vertices[:, 1].min() for band in axes.collections)
        assert lowest == pytest.approx(axes.get_ylim()[0]) and lowest > 0


def test_titles_say_what_ended_the_searches(found):
    row = found.rows[0]
    assert report.title(row) == "t c10, 2 trials"
    assert report.title(replace(row, table_seconds=120_000.0)) == "t c10, 120,000 s, at most 2 trials"
    assert report.title(replace(row, trials=None, table_seconds=0.5)) == "t c10, 0.5 s"


def test_a_strategy_that_yields_nothing_has_found_no_share_of_the_best():
    courses = [made([], ending="exhausted"), made([NAN, NAN])]
    [row] = summarized(comparison(strategies=("random",), horizons=(2,)), outcome({"random": courses})).rows
    assert report.cells(row)[report.COLUMNS.index("found best")] == "–"


def test_one_seed_has_a_difference_and_no_interval(tmp_path):
    whole = summarized(comparison(), outcome({name: [each[0], None] for name, each in COURSES.items()}))
    html = report.write(tmp_path, whole).read_text()
    row = re.search(r"<tr><td[^>]*>final</td>.*?</tr>", html, re.DOTALL)[0]
    assert re.findall(r">([^<>]+)</td>", row) == ["final", "random", "aging", "-6", "–", "–", "1"]
    assert "With 1 common seed, fewer than 20, intervals are too short" in html


def test_names_of_files_are_apart():
    problems = [replace(PROBLEM, name=name) for name in ("a b", "a/b", "../c", "ü", "d")]
    names = [report.file_name(problem, problems) for problem in problems]
    assert names == ["a-b-1", "a-b-2", "c", "4", "d"]


@pytest.mark.parametrize(
    ("mean", "text"),
    [
        (Mean(93.8537, 0.0521, 100), "93.854 ± 0.052"),
        (Mean(1.2, 0.13, 100), "1.20 ± 0.13"),
        (Mean(1234.5, 21.0, 9), "1,234 ± 21"),
        (measures.mean(np.array([62.7] * 3)), "62.7 ± 0"),
        (measures.mean(np.array([62.7])), "62.7"),
        (measures.mean(np.array([])), "–"),
    ],
)
def test_a_mean_has_as_many_decimals_as_its_error_tells(mean, text):
    assert report.with_error(mean) == text


def test_no_global_setting_is_changed(found):
    before = dict(matplotlib.rcParams)
    report.regret(found.curves).draw_without_rendering()
    assert dict(matplotlib.rcParams) == before
