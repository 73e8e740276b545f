"""A comparison plays what is missing and nothing else, and refuses before anything is written."""

import pytest

from netwright.comparison import caveats, folder
from netwright.comparison.tables import cell_file
from netwright.comparison.tables.comparison import carry_out, prepare
from netwright.core.errors import BadReference, MissingCapability, NetwrightError, StoreError
from tests.comparison.in_process import playing
from tests.comparison.tables import small
from tests.comparison.test_pool import without_time


@pytest.fixture
def table(tmp_path):
    return small.write(tmp_path / "t.csv")


@pytest.fixture(autouse=True)
def _in_process():
    with playing():
        yield


def carried_out(prepared, where, workers=1):
    with folder.taken(where):
        return carry_out(prepared, where, workers)


def lines(where):
    return (where / cell_file.CELLS).read_text().splitlines()


def test_more_seeds_and_strategies_only_add_cells(table, tmp_path):
    where = tmp_path / "bench"
    first = carried_out(small.prepared(table, "random", "3"), where)
    assert len(first.courses) == len(lines(where)) == 3
    seen = []
    with folder.taken(where):
        more = small.prepared(table, "local_search,random", "5")
        second = carry_out(more, where, 1, lambda done, total: seen.append((done, total)))
    assert len(second.courses) == len(lines(where)) == 10
    assert seen[0] == (3, 10) and seen[-1] == (10, 10)
    assert list(second.courses) == more.cells
    for cell, course in first.courses.items():
        assert without_time(cell, course) == without_time(cell, second.courses[cell])
    carried_out(more, where)
    assert len(lines(where)) == 10
    assert len(carried_out(small.prepared(table, "random", "1:3"), where).courses) == 2


def test_a_smaller_number_of_trials_cuts_and_a_larger_one_plays_again(table, tmp_path):
    where = tmp_path / "bench"
    whole = carried_out(small.prepared(table, trials="12"), where).courses
    short = carried_out(small.prepared(table, trials="5"), where).courses
    assert len(lines(where)) == len(whole) == 8
    assert {len(course) for course in short.values()} == {5}
    direct = carried_out(small.prepared(table, trials="5"), tmp_path / "other").courses
    for cell in direct:
        assert without_time(cell, short[cell]) == without_time(cell, direct[cell]), "a prefix is the shorter search"
    longer = carried_out(small.prepared(table, trials="20"), where).courses
    assert len(lines(where)) == 16 and {len(course) for course in longer.values()} == {20}
    for cell, course in whole.items():
        assert course.signals.tolist() == longer[cell].signals[:12].tolist()


def test_a_limit_of_seconds(table, tmp_path):
    prepared = small.prepared(table, trials=None, table_seconds=60.0, seconds="cost")
    found = carried_out(prepared, tmp_path / "bench").courses
    assert all(
        course.ending == "table_seconds" and course.costs[:-1].sum() < 60 <= course.costs.sum()
        for course in found.values()
    )
    both = small.prepared(table, trials="3", table_seconds=60.0, seconds="cost")
    assert {len(course) for course in carried_out(both, tmp_path / "bench").courses.values()} == {3}
    assert len(lines(tmp_path / "bench")) == 8


def test_failed_cells_are_listed_and_tried_again(table, tmp_path):
    raising = f"{small.STRANGE}:Raising"
    for _ in range(2):
        found = carried_out(small.prepared(table, f"random,{raising}", "2"), tmp_path / "bench")
        assert {cell.strategy for cell in found.faults} == {raising} and len(found.faults) == 2
        assert {cell.strategy for cell in found.courses} == {"random"}


def test_a_damaged_line_is_counted_until_its_cell_has_a_whole_one(table, tmp_path):
    where = tmp_path / "bench"
    carried_out(small.prepared(table, "random", "3"), where)
    first, second, third = lines(where)
    (where / cell_file.CELLS).write_text(f"{first}\n{second[:-7]}\nnothing\n")
    assert carried_out(small.prepared(table, "random", "3"), where).damaged == 2
    assert carried_out(small.prepared(table, "random", "3"), where).damaged == 0
    (where / cell_file.CELLS).write_text(f"{first}\n{second[:-7]}\n{third}\n")
    assert carried_out(small.prepared(table, "random", "1"), where).damaged == 0, "not its turn"
    assert carried_out(small.prepared(table, "random", "3"), where).damaged == 1
    assert carried_out(small.prepared(table, "random", "5"), where).damaged == 0
    assert carried_out(small.prepared(table, "random", "3", "20"), where).damaged == 0, "more trials mend no line"


def test_equal_references_are_one_cell(table, tmp_path):
    for text in ("aging(population=4,sample=2)", "aging(sample=2, population=4)"):
        carried_out(small.prepared(table, text, "2"), tmp_path / "bench")
    assert len(lines(tmp_path / "bench")) == 2


def test_another_table_is_refused_before_anything_is_played(table, tmp_path):
    carried_out(small.prepared(table), tmp_path / "bench")
    small.write(table, shift=1.0)
    with pytest.raises(StoreError, match="holds cells of another table called 't'"):
        carried_out(small.prepared(table), tmp_path / "bench")
    assert len(lines(tmp_path / "bench")) == 8


def test_long_starts_are_warned_of(table):
    prepared = small.prepared(
        table, "tournament,tournament(initial=20),aging(population=30,sample=3),local_search,random", trials="20,100"
    )
    said = {
        (strategy, horizon): sentence
        for strategy, starts in prepared.starts.items()
        for horizon in prepared.plan.horizons
        for sentence in caveats.long_starts(starts, horizon)
    }
    assert set(said) == {
        *(("tournament", 20), ("tournament", 100)),
        ("tournament(initial=20)", 20),
        ("aging(population=30,sample=3)", 20),
    }
    assert said["tournament", 100].startswith("initial = 200 is not less than T = 100: its random start")


def test_more_trials_than_networks_are_remarked_on_in_advance(table):
    prepared = small.prepared(table, trials="60,61")
    [problem] = prepared.problems
    assert prepared.remarks(problem)[-1].startswith("it has 60 networks, fewer than T = 61 trials")
    assert not any("fewer" in remark for remark in small.prepared(table, trials="60").remarks(problem))


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"strategies": "random,agin"}, "there is no strategy 'agin'; did you mean 'aging'?"),
        ({"strategies": "aging(populatoin=3)"}, "has no option 'populatoin'; did you mean 'population'?"),
        ({"strategies": f"{small.STRANGE}:TwoGoals"}, "two_goals weighs two objectives, the run has 1"),
        ({"genes": ["a", "d"]}, "table 't' has no column 'd'; its columns: a, b, c, val, test, cost"),
        ({"signal": "acc"}, "has no column 'acc'"),
        ({"trials": None, "table_seconds": 9.0}, "table 't' has no costs; give its column with --seconds"),
        ({"trials": None, "table_seconds": 9.0, "seconds": "free"}, "some evaluations of table 't' cost nothing"),
    ],
)
def test_what_is_wrong_is_refused(table, options, sentence):
    text = table.read_text().splitlines()
    table.write_text("\n".join(f"{line},{'free' if line == text[0] else 0}" for line in text) + "\n")
    sentence = sentence.replace("val, test, cost", "val, test, cost, free")
    with pytest.raises((BadReference, MissingCapability, NetwrightError)) as refused:
        small.prepared(table, **options)
    assert sentence in str(refused.value)


def test_two_tables_of_one_name_are_refused(table, tmp_path):
    asked = small.prepared(table).plan
    with pytest.raises(BadReference, match="two tables are called 't'; give each once, or a name of its own"):
        prepare(type(asked)(asked.strategies, asked.tables * 2, asked.seeds, asked.horizons))
