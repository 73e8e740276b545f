"""Timetables as text, and text that is none."""

import math
from dataclasses import asdict, fields, replace

import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st

from netwright.core import reading, timetable
from netwright.core.errors import BadRunFile
from netwright.core.timetable import PlayedHeat, Timetable

# of a machine that takes two seconds for a step of any network, so that all ends by its steps, long before its hours
PLAN = Timetable(
    hours=0.05,
    workers=1,
    threads=1,
    side=8,
    batch=64,
    precision="float32",
    pace=(*(0.0,) * 6, 2.0),
    rungs=(12,),
    trials=3,
    splits=1,
    finalists=2,
    search_seconds=50.0,
    contest_seconds=100.0,
    rank_seconds=12.0,
    final_seconds=30.0,
    played={"trials": 3},
)
COUNTS = st.integers(1, 10**9)
SECONDS = st.floats(0.001, 3600)
HEAT = PlayedHeat(
    name="rank", keys=("a", "b"), repeats=2, budget=90, ends=((((3, 4),), ()), (((5, 6), (5, 7, 3, 4)), ((8, 9),)))
)
HEATS = st.builds(
    replace, st.just(HEAT), name=st.text(max_size=9), keys=st.tuples(st.text(max_size=9), st.just("b")), budget=COUNTS
)


@given(
    st.builds(
        replace,
        st.just(PLAN),
        hours=st.floats(2, timetable.MOST_HOURS),
        workers=COUNTS,
        side=COUNTS,
        precision=st.sampled_from(["float32", "bfloat16"]),
        pace=st.lists(st.floats(0, 1e300), max_size=6).map(tuple),
        rungs=st.sets(st.integers(1, 10**6), min_size=1, max_size=5).map(sorted).map(tuple),
        search_seconds=SECONDS,
        contest_seconds=SECONDS,
        heats=st.lists(HEATS, max_size=3).map(tuple),
        played=st.dictionaries(st.sampled_from(["trials", "cut", "steps of 1"]), st.integers(0, 10**9)),
    )
)
def test_text_gives_the_timetable_back(plan):
    assert timetable.from_toml(timetable.to_toml(plan), "x") == plan


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"hours": 0.0}, "hours must be above 0"),
        ({"hours": math.nan}, "hours must be above 0"),
        ({"workers": 0}, "workers must be from 1"),
        ({"workers": 1.5}, "its 'workers' is 1.5"),
        ({"workers": True}, "its 'workers' is true"),
        ({"batch": "64"}, "its 'batch' is '64'"),
        ({"rungs": []}, "rungs must be whole seconds"),
        ({"rungs": [5, 5]}, "rungs must be whole seconds"),
        ({"rungs": [0, 5]}, "rungs must be whole seconds"),
        ({"pace": [-1.0]}, "pace must be numbers of at least 0"),
        ({"pace": [math.inf]}, "pace must be numbers of at least 0"),
        ({"precision": "float8"}, "its 'precision' is 'float8'"),
        ({"search_seconds": 5000.0}, "no more than the hours together"),
        ({"final_seconds": 0.0}, "final_seconds must be above 0"),
        ({"played": {"trials": -1}}, "played must be counts"),
        ({"heats": [{**asdict(HEAT), "repeats": 1}]}, "must have ends for each of its keys and repeats"),
        ({"heats": [{**asdict(HEAT), "ends": [[[[3]], []], [[], []]]}]}, "ends of steps, span and bends"),
        ({"heats": [{**asdict(HEAT), "ends": [[[[0, 1]], []], [[], []]]}]}, "ends of steps, span and bends"),
        ({"heats": [{**asdict(HEAT), "ends": [[[[3, 4, 2, 2]], []], [[], []]]}]}, "ends of steps, span and bends"),
        ({"heats": [{**asdict(HEAT), "budget": -1}]}, "a budget of at least 0"),
        ({"more": 1}, "its 'more' is 1"),
        ({"hours": None}, "it has no hours: a timetable has one"),
    ],
)
def test_what_is_no_timetable_is_refused_in_one_sentence(change, said):
    tables = {**reading.toml(timetable.to_toml(PLAN)), **change}
    text = tomli_w.dumps({name: value for name, value in tables.items() if value is not None})
    with pytest.raises(BadRunFile) as refused:
        timetable.from_toml(text, "the timetable a.toml")
    message = str(refused.value)
    assert message.startswith("the timetable a.toml is no timetable: ") and said in message
    assert "\n" not in message and message.endswith("give the timetable.toml of a run as it was written")


def test_a_file_that_is_missing_or_no_toml(tmp_path):
    with pytest.raises(BadRunFile, match=r"the timetable .*none\.toml cannot be read: No such file"):
        timetable.read(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_text("hours = ")
    with pytest.raises(BadRunFile, match=r"the timetable .*a\.toml is not valid TOML"):
        timetable.read(tmp_path / "a.toml")


def test_every_number_is_written():
    written = reading.toml(timetable.to_toml(replace(PLAN, reference="", played={"trials": 3}, heats=(HEAT,))))
    assert list(written) == [each.name for each in fields(Timetable)]
