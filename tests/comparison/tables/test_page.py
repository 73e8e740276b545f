"""The page of a comparison on tables, and its files; odd results are written too."""

import math
import re
from dataclasses import replace

import pytest

from netwright.comparison.courses import SearchCell
from netwright.comparison.tables import page as report
from tests.comparison.tables.test_summary import COURSES, PROBLEM, comparison, outcome, summarized
from tests.comparison.test_courses import made

NAN = math.nan


@pytest.fixture
def found():
    return summarized(
        comparison(horizons=(2, 4)), outcome(COURSES, faults={SearchCell("aging", "t c10", 7): "a <fault>"})
    )


@pytest.mark.parametrize(
    ("courses", "count"),
    [
        ([made([], ending="exhausted")] * 2, 0),
        ([made([NAN, NAN])] * 2, 0),
        ([made([80.0])] * 2, 2),
        ([made([80.0, 80.0], [NAN, NAN])] * 2, 1),
        ([made([70.0] * 1200)] * 2, 2),
    ],
)
def test_odd_results_are_written_and_empty_figures_are_not(courses, count, tmp_path):
    whole = summarized(comparison(), outcome(COURSES))
    report.write(tmp_path, whole)  # of before
    found = summarized(comparison(strategies=("random",), horizons=(2,)), outcome({"random": courses}))
    html = report.write(tmp_path, found).read_text()
    assert html.count("<svg") == len(list(tmp_path.glob("*.png"))) == len(list(tmp_path.glob("*.svg"))) == count


def test_the_page_and_the_files(drawn, found, tmp_path):
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
        'netwright bench <span class="whole">--table</span> t.csv',
    ):
        assert text in html
    assert html.count("<svg") == 2
    assert not re.search(r'(src|href)="http', html)
    ids = re.findall(r'\bid="([^"]+)"', html)
    assert len(ids) == len(set(ids))
    before = {name: (page.parent / name).read_bytes() for name in names}
    report.write(page.parent, found, "netwright bench --table t.csv")
    assert all((page.parent / name).read_bytes() == data for name, data in before.items()), "the same again"


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
    row = re.search(r"<h3>aging less every other, by test</h3>.*?<tbody>(.*?)</tbody>", html, re.DOTALL)[1]
    assert re.findall(r">([^<>]+)</td>", row) == ["random", "+6", "–", "–", "1"]
    assert "t c10, 4 trials: no clear winner: aging is first (test 9), but not clearly before random." in html
    assert "With 1 common seed, fewer than 20, intervals are too short" in html


def test_names_of_files_are_apart():
    problems = [replace(PROBLEM, name=name) for name in ("a b", "a/b", "../c", "ü", "d")]
    names = [report.file_name(problem, problems) for problem in problems]
    assert names == ["a-b-1", "a-b-2", "c", "4", "d"]
